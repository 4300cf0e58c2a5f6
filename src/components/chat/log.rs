//! The message log: follows the newest message unless the reader has scrolled up.

use crate::components::ErasedShow;
use crate::components::TimeZone;
use crate::components::chat::message::LogRow;
use crate::i18n::*;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::rows::{Row, Window, rows};
use crate::words;
use leptos::html::Div;
use leptos::prelude::*;

/// Distance from its end within which the log counts as at the end, in CSS pixels: a line of
/// text.
const AT_END_PX: i32 = 32;
/// Distance from an end of the drawn rows at which more are drawn, in CSS pixels: about a
/// screen.
const NEAR_PX: i32 = 800;

/// The scroll state of the log.
#[derive(Clone, Copy)]
struct Follow {
    /// The scrolling element.
    log: NodeRef<Div>,
    /// Whether its end is visible.
    at_end: RwSignal<bool>,
    /// Messages of others that arrived while its end was not visible.
    unseen: RwSignal<usize>,
    /// The part of the log that is drawn.
    window: RwSignal<Window>,
    /// Whether the log is about to be scrolled to its end: scroll events until then are not
    /// caused by the reader.
    settling: StoredValue<bool>,
}

impl Follow {
    fn new() -> Self {
        Self {
            log: NodeRef::new(),
            at_end: RwSignal::new(true),
            unseen: RwSignal::new(0),
            window: RwSignal::new(Window::default()),
            settling: StoredValue::new(false),
        }
    }

    /// The reader scrolled.
    fn scrolled(self, session: Session) {
        let Some(log) = self.log.get_untracked() else {
            return;
        };
        if self.settling.get_value() {
            return;
        }
        let below = log.scroll_height() - log.scroll_top() - log.client_height();
        self.draw_near(session, log.scroll_top(), below);
        let at_end = below <= AT_END_PX && self.window.get_untracked().below == 0;
        if self.at_end.get_untracked() != at_end {
            self.at_end.set(at_end);
        }
        if at_end && self.unseen.get_untracked() > 0 {
            self.unseen.set(0);
        }
    }

    /// Draws more rows when the reader comes near an end of the drawn ones.
    fn draw_near(self, session: Session, above: i32, below: i32) {
        let log = session.room.log();
        let (len, more) = (
            log.read_untracked().entries.len(),
            log.read_untracked().more,
        );
        let mut window = self.window.get_untracked();
        let has_moved = match (above < NEAR_PX, below < NEAR_PX) {
            (_, true) if window.newer() => true,
            (true, _) if window.older(len) => true,
            (true, _) if more => {
                session.load_older();
                false
            }
            _ => false,
        };
        if above == 0 && (has_moved || more) {
            // At the very top browsers do not anchor the scroll position.
            if let Some(log) = self.log.get_untracked() {
                log.set_scroll_top(1);
            }
        }
        if has_moved {
            self.window.set(window);
        }
    }

    fn to_end(self) {
        self.window.update(|window| *window = window.at_end());
        self.fill_later();
        self.settling.set_value(true);
        self.scroll_to_end();
        self.at_end.set(true);
        self.unseen.set(0);
    }

    /// Scrolls to the end after the rows are in the document, unless the reader has left it.
    fn scroll_to_end(self) {
        request_animation_frame(move || {
            let log = self.log.try_get_untracked().flatten();
            if let Some(log) = log.filter(|_| self.at_end.try_get_untracked() == Some(true)) {
                log.set_scroll_top(log.scroll_height());
            }
            self.settling.try_set_value(false);
        });
    }

    /// Draws the rows that a jump left out in steps: all at once would be a long task.
    fn fill_later(self) {
        let window = self.window.try_get_untracked();
        if window.is_none_or(Window::is_full) {
            return;
        }
        let fill = move || {
            self.window.try_update(Window::fill);
            self.scroll_to_end();
            self.fill_later();
        };
        set_timeout(fill, std::time::Duration::ZERO);
    }

    /// Rows were added: follows them, or counts those of others.
    fn grown(self, by_others: usize, by_me: bool) {
        if self.at_end.get_untracked() || by_me {
            self.to_end();
        } else if by_others > 0 {
            self.unseen.update(|unseen| *unseen += by_others);
        }
    }
}

/// The log of the room in the context.
#[component]
pub fn MessageLog() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let zone = expect_context::<TimeZone>();
    let follow = Follow::new();
    let rows = Memo::new(move |_| {
        let (log, people) = (session.room.log(), session.room.people());
        let marker = session.room.read_marker().get();
        let offset = |at| zone.offset_minutes(at);
        rows(
            &log.read(),
            &people.read(),
            &marker,
            follow.window.get(),
            &offset,
        )
    });
    keep_following(session, follow);
    let more = Memo::new(move |_| session.room.log().read().more);
    let empty = Memo::new(move |_| rows.read().is_empty());
    view! {
        <div class="chat__frame">
            <div
                class="chat__log"
                role="log"
                // Older messages are inserted, too: `Announcements` announces the new ones.
                aria-live="off"
                tabindex="0"
                aria-label=words!(i18n, room.messages)
                node_ref=follow.log
                on:scroll=move |_| follow.scrolled(session)
            >
                <ol>
                    <ErasedShow when=more>
                        <li class="history-more">
                            <button
                                class="button button--quiet button--small"
                                type="button"
                                on:click=move |_| session.load_older()
                            >
                                {words!(i18n, room.load_older)}
                            </button>
                        </li>
                    </ErasedShow>
                    <ErasedShow when=empty>
                        <li class="chat__empty">{words!(i18n, room.empty)}</li>
                    </ErasedShow>
                    <For
                        each=move || rows.get()
                        key=Row::key
                        children=|row| view! { <LogRow row /> }
                    />
                </ol>
            </div>
            <NewMessages follow />
        </div>
    }
}

/// Follows the log as it grows: own messages always, others' while the end is visible.
fn keep_following(session: Session, follow: Follow) {
    let sizes = Memo::new(move |_| {
        let log = session.room.log();
        let log = log.read();
        let newest = log.messages().next_back().map(|message| message.seq);
        (newest, log.entries.len(), log.pending.len())
    });
    Effect::new(move |before: Option<(Option<u64>, usize, usize)>| {
        let now = sizes.get();
        let new = now
            .0
            .unwrap_or(0)
            .saturating_sub(before.and_then(|b| b.0).unwrap_or(0));
        let appended = before.is_some_and(|before| now.0 != before.0);
        let mine = before.is_some_and(|before| now.2 > before.2);
        let confirmed = before.is_some_and(|before| now.2 < before.2);
        let new = usize::try_from(new)
            .unwrap_or(0)
            .saturating_sub(usize::from(confirmed));
        let grown = before.map_or(0, |before| now.1.saturating_sub(before.1));
        if grown > 0 && follow.window.get_untracked().below > 0 && appended {
            // Keep the drawn rows.
            follow.window.update(|window| window.below += grown);
        }
        follow.grown(
            if before.is_some() { new } else { 0 },
            mine || before.is_none(),
        );
        now
    });
}

/// "3 new messages", while scrolled up.
#[component]
fn NewMessages(
    /// Scroll state of the log.
    follow: Follow,
) -> impl IntoView {
    let i18n = use_i18n();
    let words = Signal::derive(move || match follow.unseen.get() {
        1 => t_string!(i18n, room.one_new_message, count = 1).to_string(),
        count => t_string!(i18n, room.new_messages, count = count).to_string(),
    });
    view! {
        <ErasedShow when=Signal::derive(move || { follow.unseen.get() > 0 })>
            <button class="chat__new" type="button" on:click=move |_| follow.to_end()>
                {words}
            </button>
        </ErasedShow>
    }
}
