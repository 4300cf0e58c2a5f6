//! What the operator can do: each action is parsed from a form, run once, and logged.

use super::{
    Operator,
    backups::{self, BackupError, BackupName},
};
use crate::{
    protocol::{ChatText, HostKey, MAX_ANNOUNCEMENT_CHARS, ParticipantId, RoomName},
    server::{
        authority::new_host_key,
        clock::Moment,
        context::AppContext,
        doctor,
        rooms::OperatorCommand,
        store::{LoggedAction, OperatorWrite},
    },
};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration, time::Instant};
use strum::{EnumString, IntoStaticStr, VariantArray};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

/// How long a request waits for a long action, which goes on without it. 8 s: no proxy gives up
/// before.
const WAIT: Duration = Duration::from_secs(8);
/// Longest subject of a logged action, in characters.
const MAX_SUBJECT_CHARS: usize = 200;

/// The fields of a form.
pub type Fields = BTreeMap<String, String>;

/// An action of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// End the stay of everybody in a room.
    CloseRoom(RoomName),
    /// End the stay of one person in a room.
    RemovePerson(RoomName, ParticipantId),
    /// Announce something in every open room.
    Announce(ChatText),
    /// Give a room a new host key, which makes the operator a host.
    NewHostKey(RoomName, HostKey),
    /// Delete every message of a room.
    DeleteHistory(RoomName),
    /// Make a backup in the data directory.
    MakeBackup,
    /// Delete a backup of the data directory.
    DeleteBackup(BackupName),
    /// Check whether people can reach the server.
    RunChecks,
    /// End a session.
    EndSession(i64),
    /// End the session of this request.
    SignOut,
}

/// The kinds of actions, as forms and the log name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ActionKind {
    /// Somebody became the operator; not in a form.
    BecameOperator,
    /// The operator signed in; not in a form.
    SignedIn,
    /// The kind of [`Action::CloseRoom`].
    CloseRoom,
    /// The kind of [`Action::RemovePerson`].
    RemovePerson,
    /// The kind of [`Action::Announce`].
    Announce,
    /// The kind of [`Action::NewHostKey`].
    NewHostKey,
    /// The kind of [`Action::DeleteHistory`].
    DeleteHistory,
    /// The kind of [`Action::MakeBackup`].
    MakeBackup,
    /// The kind of [`Action::DeleteBackup`].
    DeleteBackup,
    /// The kind of [`Action::RunChecks`].
    RunChecks,
    /// The kind of [`Action::EndSession`].
    EndSession,
    /// The kind of [`Action::SignOut`].
    SignOut,
}

/// How an action ended, as the address of the next page names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The room is closed.
    RoomClosed,
    /// The person is removed.
    PersonRemoved,
    /// The announcement is sent.
    Announced,
    /// The room has a new host key.
    HostKeySet,
    /// The messages are deleted.
    HistoryDeleted,
    /// The messages are being deleted.
    HistoryGoing,
    /// The backup is made.
    BackupMade,
    /// The backup is being made.
    BackupGoing,
    /// The backup is deleted.
    BackupDeleted,
    /// The checks were run.
    Checked,
    /// The checks are being run.
    CheckGoing,
    /// The session is ended.
    SessionEnded,
    /// The room, person, file or session was gone already.
    NotThere,
    /// There are as many backups as may be.
    BackupsFull,
    /// The disk has too little free for a backup.
    BackupNoSpace,
    /// Too many actions, or one of this kind runs.
    TooMany,
    /// The text of an announcement is empty or too long.
    BadText,
    /// The store or the disk failed.
    Failed,
}

/// Why a form is no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadForm {
    /// The text of an announcement is empty, too long or not allowed.
    Text,
    /// Anything else, which no form of the pages sends.
    Other,
}

impl Action {
    /// Parses the fields of a form.
    pub fn parse(fields: &Fields) -> Result<Self, BadForm> {
        let field = |name: &str| fields.get(name).map(String::as_str).ok_or(BadForm::Other);
        // A stored room may have a name of former rules.
        let room = || field("room").map(RoomName::from_stored);
        let kind: ActionKind = field("action")?.parse().map_err(|_| BadForm::Other)?;
        Ok(match kind {
            ActionKind::CloseRoom => Self::CloseRoom(room()?),
            ActionKind::RemovePerson => {
                let person = ParticipantId::parse(field("person")?);
                Self::RemovePerson(room()?, person.map_err(|_| BadForm::Other)?)
            }
            ActionKind::Announce => {
                let text = ChatText::parse(field("text")?).map_err(|_| BadForm::Text)?;
                match text.as_str().chars().count() <= MAX_ANNOUNCEMENT_CHARS {
                    true => Self::Announce(text),
                    false => return Err(BadForm::Text),
                }
            }
            ActionKind::NewHostKey => Self::NewHostKey(room()?, new_host_key()),
            ActionKind::DeleteHistory => Self::DeleteHistory(room()?),
            ActionKind::MakeBackup => Self::MakeBackup,
            ActionKind::DeleteBackup => {
                let name = BackupName::parse(field("name")?);
                Self::DeleteBackup(name.ok_or(BadForm::Other)?)
            }
            ActionKind::RunChecks => Self::RunChecks,
            ActionKind::EndSession => {
                let id = field("session")?.parse();
                Self::EndSession(id.map_err(|_| BadForm::Other)?)
            }
            ActionKind::SignOut => Self::SignOut,
            ActionKind::BecameOperator | ActionKind::SignedIn => return Err(BadForm::Other),
        })
    }

    /// The kind of the action.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::CloseRoom(_) => ActionKind::CloseRoom,
            Self::RemovePerson(..) => ActionKind::RemovePerson,
            Self::Announce(_) => ActionKind::Announce,
            Self::NewHostKey(..) => ActionKind::NewHostKey,
            Self::DeleteHistory(_) => ActionKind::DeleteHistory,
            Self::MakeBackup => ActionKind::MakeBackup,
            Self::DeleteBackup(_) => ActionKind::DeleteBackup,
            Self::RunChecks => ActionKind::RunChecks,
            Self::EndSession(_) => ActionKind::EndSession,
            Self::SignOut => ActionKind::SignOut,
        }
    }

    /// The page that shows the outcome, if it is not that of a room.
    pub fn page(&self) -> &'static str {
        match self {
            Self::RunChecks => "/admin/doctor",
            Self::CloseRoom(_)
            | Self::RemovePerson(..)
            | Self::Announce(_)
            | Self::NewHostKey(..)
            | Self::DeleteHistory(_)
            | Self::MakeBackup
            | Self::DeleteBackup(_)
            | Self::EndSession(_)
            | Self::SignOut => "/admin",
        }
    }

    /// The room whose page shows the outcome; nothing if [`Self::page`] does.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::CloseRoom(room)
            | Self::RemovePerson(room, _)
            | Self::NewHostKey(room, _)
            | Self::DeleteHistory(room) => Some(room),
            Self::Announce(_)
            | Self::MakeBackup
            | Self::DeleteBackup(_)
            | Self::RunChecks
            | Self::EndSession(_)
            | Self::SignOut => None,
        }
    }

    /// What the log names beside the kind.
    fn subject(&self) -> String {
        match self {
            Self::CloseRoom(room) | Self::NewHostKey(room, _) | Self::DeleteHistory(room) => {
                room.to_string()
            }
            Self::RemovePerson(room, person) => format!("{} · {}", room, person.as_str()),
            Self::Announce(text) => text.to_string(),
            Self::DeleteBackup(name) => name.as_str().to_owned(),
            Self::MakeBackup | Self::RunChecks | Self::EndSession(_) | Self::SignOut => {
                String::new()
            }
        }
    }
}

/// Runs an action within the limits, and logs it if it did something. `session` is the one of the
/// request.
pub async fn run(context: &AppContext, action: Action, session: i64) -> Outcome {
    if !context.operator.allows(&action, Instant::now()) {
        return Outcome::TooMany;
    }
    let (kind, subject) = (action.kind(), action.subject());
    let outcome = match action {
        Action::CloseRoom(room) => {
            let closed = context.rooms.operate(&room, OperatorCommand::Close).await;
            done(closed, Outcome::RoomClosed)
        }
        Action::RemovePerson(room, person) => {
            let command = OperatorCommand::Remove(person);
            let removed = context.rooms.operate(&room, command).await;
            done(removed, Outcome::PersonRemoved)
        }
        Action::Announce(text) => {
            let rooms = context.rooms.clone();
            let work = async move {
                rooms.announce(&text).await;
                Outcome::Announced
            };
            // Busy rooms get it a moment later.
            long(&context.operator.announcing, Outcome::Announced, work).await
        }
        Action::NewHostKey(room, key) => {
            let is_set = context.rooms.set_host_key(&room, &key).await;
            done(is_set, Outcome::HostKeySet)
        }
        Action::DeleteHistory(room) => delete_history(context, room).await,
        Action::MakeBackup => make_backup(context).await,
        Action::DeleteBackup(name) => delete_backup(context, name).await,
        Action::RunChecks => run_checks(context).await,
        Action::EndSession(id) => end_session(context, id).await,
        Action::SignOut => end_session(context, session).await,
    };
    match outcome {
        Outcome::NotThere
        | Outcome::BackupsFull
        | Outcome::BackupNoSpace
        | Outcome::TooMany
        | Outcome::BadText
        | Outcome::Failed => {}
        Outcome::RoomClosed
        | Outcome::PersonRemoved
        | Outcome::Announced
        | Outcome::HostKeySet
        | Outcome::HistoryDeleted
        | Outcome::HistoryGoing
        | Outcome::BackupMade
        | Outcome::BackupGoing
        | Outcome::BackupDeleted
        | Outcome::Checked
        | Outcome::CheckGoing
        | Outcome::SessionEnded => log(context, kind, &subject).await,
    }
    outcome
}

/// Writes an action into the log of actions. A failure changes nothing for the operator.
pub async fn log(context: &AppContext, kind: ActionKind, subject: &str) {
    let action: &'static str = kind.into();
    tracing::info!(action, "the operator acted");
    let entry = LoggedAction {
        at: Moment::now().wall_ms,
        action: action.to_owned(),
        subject: subject.chars().take(MAX_SUBJECT_CHARS).collect(),
    };
    if let Err(error) = context
        .store
        .write_operator(OperatorWrite::Log(entry))
        .await
    {
        tracing::error!(%error, action, "an action of the operator is not in the log of actions");
    }
}

/// The outcome of an action that found something to do or not.
fn done(changed: bool, outcome: Outcome) -> Outcome {
    match changed {
        true => outcome,
        false => Outcome::NotThere,
    }
}

/// The outcome of a failed store.
fn failed(error: &dyn std::error::Error) -> Outcome {
    tracing::error!(%error, "an action of the operator failed");
    Outcome::Failed
}

/// Runs a long action on a task of its own, one of its kind at once. Waits for [`WAIT`].
async fn long(
    running: &Arc<tokio::sync::Semaphore>,
    going: Outcome,
    work: impl Future<Output = Outcome> + Send + 'static,
) -> Outcome {
    let Ok(permit) = running.clone().try_acquire_owned() else {
        return Outcome::TooMany;
    };
    let hold = |permit: OwnedSemaphorePermit| async move {
        let outcome = work.await;
        drop(permit);
        outcome
    };
    match timeout(WAIT, tokio::spawn(hold(permit))).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(&error),
        Err(_) => going,
    }
}

/// Deletes the messages of a room. Its clients load a snapshot of the empty log.
async fn delete_history(context: &AppContext, room: RoomName) -> Outcome {
    let deleting = context.clone();
    let work = async move {
        match deleting.rooms.clear(&room).await {
            Ok(0) => Outcome::NotThere,
            Ok(_) => Outcome::HistoryDeleted,
            Err(error) => failed(&error),
        }
    };
    let running = &context.operator.deletions;
    long(running, Outcome::HistoryGoing, work).await
}

/// Makes a backup in the data directory.
async fn make_backup(context: &AppContext) -> Outcome {
    let config = context.config.clone();
    let make = move || {
        let directory = backups::directory(&config.data_dir);
        let reserve = config.store.quota.disk_reserve;
        backups::make(&config.database(), &directory, reserve)
    };
    let work = async move {
        match tokio::task::spawn_blocking(make).await {
            Ok(Ok(_)) => Outcome::BackupMade,
            Ok(Err(BackupError::Full)) => Outcome::BackupsFull,
            Ok(Err(error @ BackupError::NoSpace { .. })) => {
                tracing::error!(%error, "a backup was not begun");
                Outcome::BackupNoSpace
            }
            Ok(Err(error @ BackupError::File(_))) => failed(&error),
            Err(error) => failed(&error),
        }
    };
    let running = &context.operator.backups;
    long(running, Outcome::BackupGoing, work).await
}

/// Deletes a backup of the data directory.
async fn delete_backup(context: &AppContext, name: BackupName) -> Outcome {
    let directory = backups::directory(&context.config.data_dir);
    let delete = move || backups::delete(&directory, &name);
    match tokio::task::spawn_blocking(delete).await {
        Ok(Ok(deleted)) => done(deleted, Outcome::BackupDeleted),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

/// Checks whether people can reach the server.
async fn run_checks(context: &AppContext) -> Outcome {
    let checking = context.clone();
    let work = async move {
        match doctor::run(&checking).await {
            Some(_) => Outcome::Checked,
            None => Outcome::TooMany,
        }
    };
    let running = &context.operator.checks;
    long(running, Outcome::CheckGoing, work).await
}

/// Ends a session.
async fn end_session(context: &AppContext, id: i64) -> Outcome {
    let end = OperatorWrite::EndSession { id };
    match context.store.write_operator(end).await {
        Ok(rows) => done(rows > 0, Outcome::SessionEnded),
        Err(error) => failed(&error),
    }
}

impl Operator {
    /// Whether the limits allow an action now.
    fn allows(&self, action: &Action, now: Instant) -> bool {
        let announces = matches!(action, Action::Announce(_));
        self.actions.try_take(now) && (!announces || self.announcements.try_take(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<Action, BadForm> {
        let fields = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Action::parse(&fields.collect())
    }

    #[test]
    fn a_form_is_an_action_or_nothing() {
        let room = RoomName::from_stored("a room");
        let close = parsed(&[("action", "close_room"), ("room", "a room")]);
        assert_eq!(close, Ok(Action::CloseRoom(room)));
        let sign_out = parsed(&[("action", "sign_out")]);
        assert_eq!(sign_out, Ok(Action::SignOut));
        for bad in [
            &[][..],
            &[("action", "close_room")],
            &[("action", "became_operator")],
            &[("action", "end_session"), ("session", "x")],
            &[("action", "delete_backup"), ("name", "../noom.db")],
            &[("action", "remove_person"), ("room", "a"), ("person", "")],
        ] {
            assert_eq!(parsed(bad), Err(BadForm::Other), "{bad:?}");
        }
    }

    #[test]
    fn an_announcement_has_one_to_five_hundred_characters() {
        let announce = |text: &str| parsed(&[("action", "announce"), ("text", text)]);
        assert!(announce(&"가".repeat(500)).is_ok());
        for text in ["", " ", "\u{0}", &"가".repeat(501)] {
            assert_eq!(announce(text), Err(BadForm::Text));
        }
    }

    #[test]
    fn every_kind_is_read_as_it_is_logged() {
        for kind in ActionKind::VARIANTS {
            let name: &'static str = (*kind).into();
            assert_eq!(name.parse(), Ok(*kind));
        }
    }
}
