//! Notifications and sounds for new messages, as [`crate::state::alert`] decides.

use crate::browser::dom::chime::{self, Tone};
use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::js::call;
use crate::browser::dom::{notification, storage};
use crate::browser::room::controller::RoomController;
use crate::protocol::ChatMessage;
use crate::state::RoomStateStoreFields;
use crate::state::alert::{AlertContext, Permission};
use leptos::prelude::*;

impl RoomController {
    /// A message has arrived and is in the log.
    pub(super) fn alert(&self, message: &ChatMessage) {
        let alert = {
            let (people, log) = (self.state.people(), self.state.log());
            let (people, log) = (people.read_untracked(), log.read_untracked());
            let context = AlertContext {
                settings: storage::alert_settings(),
                is_away: is_away(),
                people: &people,
                log: &log,
                now_ms: steady_ms(),
            };
            self.alerts.borrow_mut().on_chat(message, context)
        };
        if let Some((author, text)) = alert.notification
            && notification::permission() == Permission::Granted
        {
            let title = format!("{author} · {}", self.room);
            notification::show(&title, &text, &self.room);
        }
        if alert.sound {
            chime::play(Tone::Message);
        }
    }
}

/// Whether the page is hidden, or another window has the focus.
fn is_away() -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    document.is_some_and(|document| {
        let has_focus = call(&document, "hasFocus").is_none_or(|has_focus| has_focus.is_truthy());
        document.hidden() || !has_focus
    })
}
