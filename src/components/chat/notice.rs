//! The sentence of a notice, for the log and for screen readers.

use crate::components::NAME_PLACEHOLDERS;
use crate::components::hosts::role_with_article;
use crate::i18n::{time_of_day, *};
use crate::protocol::Access;
use crate::state::log::{EntryChange, Notice, Signer};
use crate::state::rows::{OffsetMinutes, local};

/// A sentence with placeholders, and the names and texts of others in their places.
pub(super) struct NoticeSentence {
    /// The sentence with its placeholders.
    pub sentence: String,
    /// What stands at the placeholders.
    pub names: Vec<String>,
}

impl NoticeSentence {
    /// The sentence of a notice, with times in the zone of this offset.
    pub fn of(locale: Locale, offset: OffsetMinutes, notice: &Notice) -> Self {
        let [one, other] = NAME_PLACEHOLDERS;
        match notice {
            Notice::Joined(_, name) => Self {
                sentence: td_string!(locale, room.joined, nickname = one).to_string(),
                names: vec![name.to_string()],
            },
            Notice::Left(_, name) => Self {
                sentence: td_string!(locale, room.left, nickname = one).to_string(),
                names: vec![name.to_string()],
            },
            Notice::Renamed { was, now, .. } => Self {
                sentence: td_string!(locale, room.renamed, was = one, now = other).to_string(),
                names: vec![was.to_string(), now.to_string()],
            },
            Notice::Announcement { from: None, text } => Self {
                sentence: format!("{}: {one}", td_string!(locale, room.announcement)),
                names: vec![text.to_string()],
            },
            Notice::Announcement {
                from: Some(from),
                text,
            } => Self {
                sentence: td_string!(locale, hosts.announcement_by, name = one, text = other)
                    .to_string(),
                names: vec![from.nickname.to_string(), text.to_string()],
            },
            Notice::RoleChanged {
                nickname, role, by, ..
            } => {
                let role = role_with_article(locale, *role);
                let sentence = match by {
                    None => {
                        td_string!(locale, hosts.role_changed, name = one, role = role).to_string()
                    }
                    Some(_) => td_string!(
                        locale,
                        hosts.role_changed_by,
                        name = one,
                        role = role,
                        by = other
                    )
                    .to_string(),
                };
                let by = by.iter().map(|(_, name)| name.to_string());
                let names = std::iter::once(nickname.to_string()).chain(by).collect();
                Self { sentence, names }
            }
            Notice::Locked(by) => signed(
                by,
                td_string!(locale, hosts.locked),
                &td_string!(locale, hosts.locked_by, by = one),
            ),
            Notice::Unlocked(by) => signed(
                by,
                td_string!(locale, hosts.unlocked),
                &td_string!(locale, hosts.unlocked_by, by = one),
            ),
            Notice::RulesChanged(by) => signed(
                by,
                td_string!(locale, hosts.rules_changed),
                &td_string!(locale, hosts.rules_changed_by, by = one),
            ),
            Notice::EntryChanged { change, by } => {
                let what = what_changed(locale, *change);
                let (what, one) = (what.as_str(), one);
                signed(
                    by,
                    &td_string!(locale, entry.changed, what = what).to_string(),
                    &td_string!(locale, entry.changed_by, by = one, what = what),
                )
            }
            Notice::ClosesAt(at) => {
                let time = time_of_day(local(*at, offset));
                Self {
                    sentence: td_string!(locale, entry.closes_at, time = time).to_string(),
                    names: Vec::new(),
                }
            }
        }
    }

    /// The sentence as plain text.
    pub fn plain(self) -> String {
        let places = NAME_PLACEHOLDERS.into_iter().zip(self.names);
        places.fold(self.sentence, |sentence, (place, name)| {
            sentence.replace(place, &name)
        })
    }
}

/// What a setting about entering is from now on.
fn what_changed(locale: Locale, change: EntryChange) -> String {
    match change {
        EntryChange::Access(Access::Listed) => td_string!(locale, entry.now_listed).to_owned(),
        EntryChange::Access(Access::Unlisted) => td_string!(locale, entry.now_unlisted).to_owned(),
        EntryChange::Access(Access::Closed) => td_string!(locale, entry.now_closed).to_owned(),
        EntryChange::Lobby(true) => td_string!(locale, entry.now_lobby).to_owned(),
        EntryChange::Lobby(false) => td_string!(locale, entry.now_no_lobby).to_owned(),
        EntryChange::Password(true) => td_string!(locale, entry.now_password).to_owned(),
        EntryChange::Password(false) => td_string!(locale, entry.now_no_password).to_owned(),
        EntryChange::Capacity(Some(count)) => {
            td_string!(locale, entry.now_capacity, count = count).to_string()
        }
        EntryChange::Capacity(None) => td_string!(locale, entry.now_no_capacity).to_owned(),
        EntryChange::Window => td_string!(locale, entry.now_window).to_owned(),
        EntryChange::Retention(Some(days)) => {
            td_string!(locale, entry.now_retention, days = days).to_string()
        }
        EntryChange::Retention(None) => td_string!(locale, entry.now_no_retention).to_owned(),
    }
}

/// The sentence about who changed something, or without them if that is unknown.
fn signed(by: &Signer, without: &str, with: &impl ToString) -> NoticeSentence {
    match by {
        Some((_, name)) => NoticeSentence {
            sentence: with.to_string(),
            names: vec![name.to_string()],
        },
        None => NoticeSentence {
            sentence: without.to_owned(),
            names: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ChatText, Nickname, ParticipantId, Person, Role};

    fn signer(name: &str) -> Signer {
        let id = ParticipantId::parse(&format!("p_{name}")).expect("valid");
        Some((id, Nickname::parse(name).expect("valid")))
    }

    fn plain(locale: Locale, notice: &Notice) -> String {
        NoticeSentence::of(locale, &|_| 0, notice).plain()
    }

    #[test]
    fn a_notice_names_who_caused_it_if_that_is_known() {
        let (id, nickname) = signer("Ben").expect("somebody");
        let promoted = |by| Notice::RoleChanged {
            id: id.clone(),
            nickname: nickname.clone(),
            role: Role::CoHost,
            by,
        };
        let by_ann = promoted(signer("Ann"));
        assert_eq!(plain(Locale::en, &by_ann), "Ann made Ben a co-host");
        assert_eq!(
            plain(Locale::ko, &by_ann),
            "Ann 님이 Ben 님의 역할을 바꿨어요: 공동 진행자"
        );
        assert_eq!(plain(Locale::en, &promoted(None)), "Ben is now a co-host");
        let locked = Notice::Locked(signer("Ann"));
        assert_eq!(plain(Locale::en, &locked), "Ann locked the room");
        assert_eq!(
            plain(Locale::en, &Notice::Locked(None)),
            "The room is locked now"
        );
    }

    #[test]
    fn a_changed_setting_says_what_it_is_now_and_a_warning_the_time() {
        let change = EntryChange::Capacity(Some(12));
        let by_ann = Notice::EntryChanged {
            change,
            by: signer("Ann"),
        };
        assert_eq!(
            plain(Locale::en, &by_ann),
            "Ann changed the room: at most 12 people"
        );
        let closes = Notice::ClosesAt(45 * 60_000);
        assert_eq!(plain(Locale::en, &closes), "This room closes at 00:45");
        assert_eq!(plain(Locale::ko, &closes), "00:45에 방이 닫혀요");
    }

    #[test]
    fn an_announcement_shows_the_host_and_otherwise_comes_from_the_operator() {
        let text = ChatText::parse("five minutes").expect("valid");
        let (id, nickname) = signer("Ann").expect("somebody");
        let by_host = Notice::Announcement {
            from: Some(Person::new(id, nickname)),
            text: text.clone(),
        };
        assert_eq!(
            plain(Locale::en, &by_host),
            "Announcement by Ann: five minutes"
        );
        let by_operator = Notice::Announcement { from: None, text };
        assert_eq!(
            plain(Locale::en, &by_operator),
            "Announcement: five minutes"
        );
    }
}
