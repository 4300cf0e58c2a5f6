//! The language that the server rendered the page in.

use crate::browser::dom::theme;
use crate::i18n::Locale;
use std::str::FromStr;

/// The language of `<html lang>`.
pub fn of_document() -> Locale {
    let tag = theme::root().and_then(|root| root.get_attribute("lang"));
    tag.and_then(|tag| Locale::from_str(&tag).ok())
        .unwrap_or_default()
}
