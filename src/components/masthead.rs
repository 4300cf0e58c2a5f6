//! The head of every page except the call: name, language and theme.

use crate::components::{Icon, IconName, is_without_script, page_address};
use crate::i18n::*;
use crate::words;
use leptos::prelude::*;
use leptos_i18n::Locale as _;

/// The head of a page, with a skip link.
#[component]
pub fn Masthead() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <a class="skip" href="#content" rel="external">
            {words!(i18n, common.skip)}
        </a>
        <header class="masthead">
            <a class="masthead__logo" href=page_address("/")>
                "Noom"
            </a>
            <div class="masthead__tools">
                <LanguageSwitch />
                <ThemeSwitch />
            </div>
        </header>
    }
}

/// Changes the language: in place with script, by a link without.
#[component]
pub fn LanguageSwitch() -> impl IntoView {
    let i18n = use_i18n();
    let tag = Signal::derive(move || i18n.get_locale().other().as_str());
    let suffix = if is_without_script() { "&plain=1" } else { "" };
    let name = Signal::derive(move || i18n.get_locale().other().own_name());
    let switch = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        let language = i18n.get_locale_untracked().other();
        #[cfg(feature = "hydrate")]
        crate::browser::dom::storage::set_cookie(LANGUAGE_COOKIE, language.as_str());
        i18n.set_locale(language);
    };
    view! {
        <a
            class="lang"
            translate="no"
            href=Signal::derive(move || format!("?lang={}{suffix}", tag.get()))
            hreflang=tag
            lang=tag
            rel="external"
            on:click=switch
        >
            {name}
        </a>
    }
}

/// Switches between the light and the dark theme. The default is the device's.
#[component]
pub fn ThemeSwitch() -> impl IntoView {
    let i18n = use_i18n();
    let dark = RwSignal::new(false);
    Effect::new(move || {
        #[cfg(feature = "hydrate")]
        dark.set(crate::browser::dom::theme::is_dark());
    });
    let switch = move |_| {
        dark.update(|dark| *dark = !*dark);
        #[cfg(feature = "hydrate")]
        crate::browser::dom::theme::set_dark(dark.get_untracked());
    };
    view! {
        <button
            class="theme"
            type="button"
            aria-label=words!(i18n, common.theme)
            aria-pressed=Signal::derive(move || dark.get().to_string())
            on:click=switch
        >
            <Icon name=IconName::Moon />
        </button>
    }
}
