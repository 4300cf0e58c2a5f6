//! What a new message does outside the log: a notification of the desktop and a sound.
//!
//! Pure: what the page looks like and the time are arguments. Whatever a person hears or is notified of
//! is in the log, too. Only messages that arrive while the page is connected count: those of a
//! `joined` are history, also the ones that were missed.

use crate::protocol::{ChatMessage, Joined, Nickname};
use crate::state::log::Log;
use crate::state::{People, Position, files};

/// Minimum time between two sounds, and between two notifications of messages that are equally
/// important, in milliseconds.
const EVERY_MS: f64 = 1_000.0;
/// Longest text of a notification, in characters. Systems show two or three lines.
const MAX_CHARS: usize = 160;

/// What this device does about new messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertSettings {
    /// Whether it shows notifications of the desktop.
    pub notifications: bool,
    /// Whether it plays a sound.
    pub sounds: bool,
    /// Whether it does so for replies to this participant and mentions of them only.
    pub only_for_me: bool,
}

impl AlertSettings {
    /// Each setting and its word in the storage of the device.
    fn words(&mut self) -> [(&'static str, &mut bool); 3] {
        [
            ("notify", &mut self.notifications),
            ("sound", &mut self.sounds),
            ("only-for-me", &mut self.only_for_me),
        ]
    }

    /// The settings as they are stored: the words of those that are on.
    pub fn to_text(mut self) -> String {
        let words = self.words().into_iter();
        let on: Vec<_> = words.filter(|(_, on)| **on).map(|(word, _)| word).collect();
        on.join(" ")
    }

    /// The stored settings; unknown words are ignored.
    pub fn of_text(text: &str) -> Self {
        let mut settings = Self::default();
        for (word, on) in settings.words() {
            *on = text.split(' ').any(|stored| stored == word);
        }
        settings
    }
}

/// Whether a page may show notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The page may show them.
    Granted,
    /// The browser has not asked, or the question was closed.
    Unanswered,
    /// The browser denies it, and does not ask again.
    Denied,
    /// Browsers allow it on pages by https only.
    Insecure,
    /// The browser has no notifications of pages.
    Missing,
}

impl Permission {
    /// Reads `Notification.permission`; `None` if the browser has no notifications.
    pub fn of(is_secure: bool, permission: Option<&str>) -> Self {
        match permission {
            _ if !is_secure => Self::Insecure,
            None => Self::Missing,
            Some("granted") => Self::Granted,
            Some("denied") => Self::Denied,
            Some(_) => Self::Unanswered,
        }
    }
}

/// What surrounds a message that arrives.
#[derive(Clone, Copy)]
pub struct AlertContext<'a> {
    /// What this device does about new messages.
    pub settings: AlertSettings,
    /// Whether the page is hidden, or another window has the focus.
    pub is_away: bool,
    /// The people of the room.
    pub people: &'a People,
    /// The messages of the room.
    pub log: &'a Log,
    /// The steady clock, in milliseconds.
    pub now_ms: f64,
}

impl AlertContext<'_> {
    /// Whether a message is meant for this participant: a mention of them, or a reply to a message of
    /// theirs.
    fn is_for_me(&self, message: &ChatMessage) -> bool {
        let replied = message.reply_to.and_then(|id| self.log.message(id));
        replied.is_some_and(|replied| self.people.is_me(&replied.from.id))
            || message.mentions().any(|id| self.people.is_me(id))
    }
}

/// What a message does outside the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alert {
    /// A notification of this author and text.
    pub notification: Option<(Nickname, String)>,
    /// Whether a sound is played.
    pub sound: bool,
}

/// Which messages have been seen, and when the last alerts were.
#[derive(Debug, Default)]
pub struct Alerts {
    /// The newest event of the log; `None` before the room is joined.
    position: Option<Position>,
    /// When the last sound was played.
    sound_ms: Option<f64>,
    /// When the last notification of a message for everybody was shown, and of one for me.
    notified_ms: [Option<f64>; 2],
}

impl Alerts {
    /// The room is joined: all that is in `joined` is history.
    pub fn on_joined(&mut self, joined: &Joined) {
        self.position = Some(Position {
            epoch: joined.epoch.clone(),
            seq: joined.seq,
        });
    }

    /// A message arrives. It has been applied to the log.
    pub fn on_chat(&mut self, message: &ChatMessage, context: AlertContext) -> Alert {
        let Some(position) = &mut self.position else {
            return Alert::default();
        };
        let is_new = message.seq > position.seq;
        position.seq = position.seq.max(message.seq);
        let is_mine = context.people.is_me(&message.from.id);
        let settings = context.settings;
        let is_for_me = context.is_for_me(message);
        let is_wanted = !settings.only_for_me || is_for_me;
        if !is_new || is_mine || !context.is_away || !is_wanted {
            return Alert::default();
        }
        let text = files::one_line(message).filter(|_| settings.notifications);
        let text = text.filter(|_| {
            // A message for me is not lost among messages for everybody.
            is_due(
                &mut self.notified_ms[usize::from(is_for_me)],
                context.now_ms,
            )
        });
        Alert {
            notification: text.map(|text| (message.from.nickname.clone(), short(&text))),
            sound: settings.sounds && is_due(&mut self.sound_ms, context.now_ms),
        }
    }
}

/// Whether the last time was long enough ago. The time becomes the last one if so.
fn is_due(last_ms: &mut Option<f64>, now_ms: f64) -> bool {
    let is_due = last_ms.is_none_or(|last_ms| now_ms - last_ms >= EVERY_MS);
    if is_due {
        *last_ms = Some(now_ms);
    }
    is_due
}

/// The first [`MAX_CHARS`] characters of a text, with an ellipsis if there are more.
fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Mark, MarkKind, ServerMessage};
    use crate::state::RoomState;
    use crate::state::tests::{id, joined, message_by, person};

    const ALL: AlertSettings = AlertSettings {
        notifications: true,
        sounds: true,
        only_for_me: false,
    };
    const FOR_ME: AlertSettings = AlertSettings {
        only_for_me: true,
        ..ALL
    };

    /// Ann's page of a room in which Ann said message 1 and Ben message 2; another window has the
    /// focus.
    struct Page {
        state: RoomState,
        alerts: Alerts,
        settings: AlertSettings,
        is_away: bool,
        now_ms: f64,
    }

    impl Page {
        fn new(settings: AlertSettings) -> Self {
            let mut page = Self {
                state: RoomState::default(),
                alerts: Alerts::default(),
                settings,
                is_away: true,
                now_ms: 0.0,
            };
            page.joins(false, 2, vec![message_by(1, "Ann"), message_by(2, "Ben")]);
            page
        }

        fn joins(&mut self, resumed: bool, seq: u64, history: Vec<ChatMessage>) {
            let message = joined(resumed, seq, history);
            self.state.apply(&message);
            let ServerMessage::Joined(joined) = message else {
                unreachable!("made by `joined`");
            };
            self.alerts.on_joined(&joined);
        }

        fn receives(&mut self, message: ChatMessage) -> Alert {
            self.state.apply(&ServerMessage::Chat(message.clone()));
            let context = AlertContext {
                settings: self.settings,
                is_away: self.is_away,
                people: &self.state.people,
                log: &self.state.log,
                now_ms: self.now_ms,
            };
            self.alerts.on_chat(&message, context)
        }
    }

    /// What a message of Ben does whose alerts are all due.
    fn all(text: &str) -> Alert {
        let ben = Nickname::parse("Ben").expect("valid");
        Alert {
            notification: Some((ben, text.to_owned())),
            sound: true,
        }
    }

    fn reply(seq: u64, name: &str, to: u64) -> ChatMessage {
        ChatMessage {
            reply_to: Some(id(to)),
            ..message_by(seq, name)
        }
    }

    /// A message of Ben that mentions somebody.
    fn mentioning(seq: u64, name: &str) -> ChatMessage {
        let mention = Mark {
            start: 0,
            end: 1,
            kind: MarkKind::Mention(person(name).id),
        };
        ChatMessage {
            marks: vec![mention],
            ..message_by(seq, "Ben")
        }
    }

    #[test]
    fn a_new_message_alerts_once_and_only_while_the_page_is_away() {
        let mut page = Page::new(ALL);
        assert_eq!(page.receives(message_by(3, "Ben")), all("text 3"));
        page.now_ms = 5_000.0;
        assert_eq!(page.receives(message_by(3, "Ben")), Alert::default());
        page.is_away = false;
        assert_eq!(page.receives(message_by(4, "Ben")), Alert::default());
        page.is_away = true;
        assert_eq!(page.receives(message_by(5, "Ben")), all("text 5"));
    }

    #[test]
    fn own_messages_history_and_missed_messages_alert_nobody() {
        let mut page = Page::new(ALL);
        assert_eq!(page.receives(message_by(3, "Ann")), Alert::default());
        assert_eq!(page.receives(message_by(2, "Ben")), Alert::default());
        page.joins(true, 5, vec![message_by(4, "Ben"), message_by(5, "Ben")]);
        // A copy that was sent before the connection was lost.
        assert_eq!(page.receives(message_by(5, "Ben")), Alert::default());
        assert_eq!(page.receives(message_by(6, "Ben")), all("text 6"));
    }

    #[test]
    fn each_setting_has_its_own_effect() {
        let mut page = Page::new(AlertSettings::default());
        assert_eq!(page.receives(message_by(3, "Ben")), Alert::default());
        page.settings.sounds = true;
        let alert = page.receives(message_by(4, "Ben"));
        assert_eq!((alert.notification, alert.sound), (None, true));
        page.settings = AlertSettings {
            sounds: false,
            ..ALL
        };
        page.now_ms = 5_000.0;
        let alert = page.receives(message_by(5, "Ben"));
        assert!(alert.notification.is_some() && !alert.sound);
    }

    #[test]
    fn only_replies_to_me_and_mentions_of_me_alert_if_that_is_chosen() {
        let mut page = Page::new(FOR_ME);
        assert_eq!(page.receives(message_by(3, "Ben")), Alert::default());
        assert_eq!(page.receives(reply(4, "Ben", 2)), Alert::default());
        assert_eq!(page.receives(reply(5, "Ben", 99)), Alert::default());
        assert_eq!(page.receives(reply(6, "Ben", 1)), all("text 6"));
        page.now_ms = 5_000.0;
        assert_eq!(page.receives(mentioning(7, "Ben")), Alert::default());
        assert_eq!(page.receives(mentioning(8, "Ann")), all("text 8"));
    }

    #[test]
    fn a_flood_alerts_once_a_second_and_hides_no_reply_to_me() {
        let mut page = Page::new(ALL);
        let (mut notified, mut sounds) = (0, 0);
        for seq in 3..103 {
            page.now_ms += 25.0;
            let alert = page.receives(message_by(seq, "Ben"));
            notified += usize::from(alert.notification.is_some());
            sounds += usize::from(alert.sound);
        }
        assert_eq!((notified, sounds), (3, 3));
        page.now_ms += 1.0;
        let alert = page.receives(reply(103, "Ben", 1));
        assert!(alert.notification.is_some() && !alert.sound);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(short(&"가".repeat(MAX_CHARS)), "가".repeat(MAX_CHARS));
        let cut = short(&"가".repeat(MAX_CHARS + 1));
        assert_eq!(cut, format!("{}…", "가".repeat(MAX_CHARS)));
    }

    #[test]
    fn settings_are_stored_as_words() {
        let off = AlertSettings::default();
        for settings in [off, ALL, FOR_ME] {
            assert_eq!(AlertSettings::of_text(&settings.to_text()), settings);
        }
        assert_eq!(FOR_ME.to_text(), "notify sound only-for-me");
        assert_eq!(AlertSettings::of_text("notifyx \u{0} [1]"), off);
    }

    #[test]
    fn a_permission_is_read_with_its_reason() {
        assert_eq!(Permission::of(true, Some("granted")), Permission::Granted);
        assert_eq!(
            Permission::of(true, Some("default")),
            Permission::Unanswered
        );
        assert_eq!(Permission::of(true, Some("denied")), Permission::Denied);
        assert_eq!(Permission::of(true, None), Permission::Missing);
        assert_eq!(Permission::of(false, Some("denied")), Permission::Insecure);
    }
}
