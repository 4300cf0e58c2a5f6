//! Announces new messages to screen readers.

use crate::components::TimeZone;
use crate::components::chat::notice::NoticeSentence;
use crate::i18n::*;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::announce::{Announced, Announcement};
use leptos::html::Div;
use leptos::prelude::*;
use std::time::Duration;

/// Delay of an announcement, so that messages that arrive together are announced together.
const GATHER: Duration = Duration::from_millis(200);
/// Time until an announcement is removed, in milliseconds. Screen readers read it when it is
/// inserted; later it would only duplicate the log.
#[cfg(feature = "hydrate")]
const STANDS_MS: u32 = 3_000;

/// Live region that announces new messages and notices.
#[component]
pub fn Announcements() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let zone = expect_context::<TimeZone>();
    let host = NodeRef::<Div>::new();
    let announced = StoredValue::new(None);
    let gathering = StoredValue::new(false);
    let say = speaker(host);
    let speak = move || {
        gathering.try_set_value(false);
        let announcements = announced.try_update_value(|announced: &mut Option<Announced>| {
            let (log, people) = (session.room.log(), session.room.people());
            let (log, people) = (log.read_untracked(), people.read_untracked());
            announced
                .as_mut()
                .map(|announced| announced.new_announcements(&log, &people))
        });
        for announcement in announcements.flatten().unwrap_or_default() {
            say(&sentence(i18n.get_locale_untracked(), zone, announcement));
        }
    };
    Effect::new(move || {
        session.room.log().track();
        let first = announced.with_value(Option::is_none);
        if first {
            let log = session.room.log();
            announced.set_value(Some(Announced::all_of(&log.read_untracked())));
        } else if !gathering.get_value() {
            gathering.set_value(true);
            set_timeout(speak, GATHER);
        }
    });
    view! { <div class="visually-hidden" node_ref=host></div> }
}

/// A function that announces a sentence in a region of `host`, in the browser.
#[cfg(feature = "hydrate")]
fn speaker(host: NodeRef<Div>) -> impl Fn(&str) + Copy + 'static {
    use crate::browser::dom::announcer::Announcer;
    let announcer = StoredValue::new_local(None);
    Effect::new(move || {
        if let Some(host) = host.get() {
            announcer.set_value(Announcer::within(&host));
        }
    });
    move |sentence| {
        let announce = |announcer: &Option<Announcer>| announcer.as_ref()?.announce(sentence);
        let spoken = announcer.try_with_value(announce).flatten();
        leptos::task::spawn_local(async move {
            gloo_timers::future::TimeoutFuture::new(STANDS_MS).await;
            drop(spoken);
        });
    }
}

/// The server announces nothing.
#[cfg(not(feature = "hydrate"))]
fn speaker(_: NodeRef<Div>) -> impl Fn(&str) + Copy + 'static {
    |_| {}
}

/// The text of an announcement.
fn sentence(locale: Locale, zone: TimeZone, announcement: Announcement) -> String {
    match announcement {
        Announcement::Said(nickname, text) => format!("{nickname}: {text}"),
        Announcement::Messages(count) => {
            td_string!(locale, room.new_messages, count = count).to_string()
        }
        Announcement::Notice(notice) => {
            NoticeSentence::of(locale, &|at| zone.offset_minutes(at), &notice).plain()
        }
    }
}
