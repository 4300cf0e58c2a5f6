//! The language of the page, as the server wrote it.

use crate::browser::dom::theme;
use crate::i18n::Locale;
use std::str::FromStr;

/// What `<html lang>` says.
pub fn of_document() -> Locale {
    let tag = theme::root().and_then(|root| root.get_attribute("lang"));
    tag.and_then(|tag| Locale::from_str(&tag).ok())
        .unwrap_or_default()
}
