//! The time zone in which times of day are shown.

use crate::i18n::{Locale, day, time_of_day};
use crate::state::rows::local;
use leptos::prelude::*;

/// The cookie with the device's offset, in minutes east of UTC.
const ZONE_COOKIE: &str = "noom_zone";

/// The time zone of the page: the rendered offset, then the browser's.
#[derive(Clone, Copy)]
pub struct TimeZone {
    /// Minutes east of UTC that the page was rendered with.
    rendered: StoredValue<i32>,
    /// Whether to ask the browser for the offset of each moment.
    ask_browser: RwSignal<bool>,
}

impl TimeZone {
    /// Provides the zone as context. The browser starts with the offset of the rendered page, so
    /// that hydration matches it.
    pub fn provide() {
        let rendered = SharedValue::new(rendered_offset).into_inner();
        provide_context(Self {
            rendered: StoredValue::new(rendered),
            ask_browser: RwSignal::new(false),
        });
        #[cfg(feature = "hydrate")]
        Effect::new(move || {
            let now = crate::browser::dom::clock::now_ms();
            let offset = crate::browser::dom::clock::offset_minutes(now);
            crate::browser::dom::storage::set_cookie(ZONE_COOKIE, &offset.to_string());
        });
    }

    /// Switches to the browser's zone. Called once the page is hydrated.
    pub fn ask_browser(self) {
        self.ask_browser.set(true);
    }

    /// A moment in local time, as a time of day; tracked.
    pub fn time(self, at_ms: i64) -> String {
        time_of_day(local(at_ms, &|at| self.offset_minutes(at)))
    }

    /// A moment in local time, as a day and a time of day; tracked.
    pub fn day_and_time(self, locale: Locale, at_ms: i64) -> String {
        let at = local(at_ms, &|at| self.offset_minutes(at));
        format!("{} {}", day(locale, at.date()), time_of_day(at))
    }

    /// The offset from UTC at a moment, in minutes; tracked.
    pub fn offset_minutes(self, at_ms: i64) -> i32 {
        #[cfg(feature = "hydrate")]
        if self.ask_browser.get() {
            return crate::browser::dom::clock::offset_minutes(at_ms);
        }
        let _ = (at_ms, self.ask_browser);
        self.rendered.get_value()
    }
}

/// The offset of the request's cookie, in minutes east of UTC; 0 if it is missing.
fn rendered_offset() -> i32 {
    #[cfg(feature = "ssr")]
    let cookie = crate::server::request::cookie(ZONE_COOKIE);
    #[cfg(not(feature = "ssr"))]
    let cookie: Option<String> = None;
    let offset = cookie.and_then(|text| text.parse().ok());
    offset
        .filter(|minutes: &i32| minutes.abs() <= 14 * 60)
        .unwrap_or(0)
}
