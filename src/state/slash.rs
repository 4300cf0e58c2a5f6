//! Slash commands: what a line of the composer that begins with `/` asks for.
//!
//! Every action of the meeting that needs no picture has one, so that whoever writes needs
//! neither pointer nor menus.

use crate::protocol::{
    Action, ClientMessage, Denial, MAX_ANNOUNCEMENT_CHARS, MAX_NICKNAME_CHARS, MAX_REASON_CHARS,
    Nickname, ParticipantId, Person, Role, SettingsChange, Source, permit, text,
};
use crate::state::People;
use crate::state::duplicate_names::DuplicateNames;
use crate::state::standing::Standing;
use crate::state::transfers::Target;

listed_enum! {
    /// The slash commands, in the order in which they are offered.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum SlashCommand {
        /// Show the commands.
        Help,
        /// Change the nickname.
        Nick,
        /// Choose files to send.
        File,
        /// Share files directly with somebody, or with everybody.
        Share,
        /// Enter the call.
        Call,
        /// Leave the call and stay in the room.
        Hangup,
        /// Leave the room.
        Leave,
        /// Switch the own microphone off, or that of somebody else.
        Mute,
        /// Switch the own microphone on, or ask somebody else to.
        Unmute,
        /// Switch the own camera on or off.
        Camera,
        /// Share the screen, or stop sharing it.
        Screen,
        /// Open the settings of the chat.
        Settings,
        /// Mute everybody whose role is lower.
        Muteall,
        /// Change the nickname of somebody else.
        Rename,
        /// Give somebody a role.
        Role,
        /// End the stay of somebody, who may come back.
        Remove,
        /// End the stay of somebody and keep them out.
        Ban,
        /// Announce something to everybody.
        Announce,
        /// Let nobody new in.
        Lock,
        /// Let people in again.
        Unlock,
        /// Delete every message of the room.
        Clear,
        /// End the meeting for everybody.
        End,
    }
}

/// What follows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlashArguments {
    /// The command stands alone.
    None,
    /// A nickname of one's own.
    Nickname,
    /// Somebody, or nobody for oneself or for everybody.
    OptionalPerson,
    /// Somebody and their new nickname.
    PersonAndNickname,
    /// Somebody and a role.
    PersonAndRole,
    /// Somebody and, perhaps, a reason.
    PersonAndReason,
    /// A text for everybody.
    Text,
    /// The word `all`: the command cannot be taken back.
    All,
}

/// What is done for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlashTask {
    /// The commands are shown.
    Help,
    /// Files to send are chosen.
    ChooseFiles,
    /// Files to share directly are chosen.
    ShareFiles(Target),
    /// The nickname is changed.
    Nickname(Nickname),
    /// The call is entered.
    EnterCall,
    /// The call is left.
    LeaveCall,
    /// The room is left.
    LeaveRoom,
    /// A source of one's own is switched on or off; the other way if `None`.
    Switch(Source, Option<bool>),
    /// The settings of the chat are opened.
    Settings,
    /// A request is sent.
    Request(ClientMessage),
}

/// Why nothing is done for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlashProblem {
    /// There is no command of this name.
    Unknown(String),
    /// The command needs more than it got, or something else.
    Usage(SlashCommand),
    /// Nobody in the room has this name.
    NobodyNamed(String),
    /// Several people in the room have this name.
    SeveralNamed(String),
    /// The nickname or the text is not valid.
    NotValid,
    /// One's own role, the room, or the other's role does not allow it.
    NotAllowed(Denial),
    /// A command about others was used for oneself.
    Oneself,
    /// The command needs the call, which this participant is not in.
    NotInCall,
}

/// What the composer does with a typed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComposerInput {
    /// It is a message, with this text.
    Message(String),
    /// It is a command.
    Command(Result<SlashTask, SlashProblem>),
}

/// The words of the language of the page. The English ones are always understood.
#[derive(Clone, Copy)]
pub struct SlashWords<'a> {
    /// The word of a command.
    pub command: &'a dyn Fn(SlashCommand) -> &'static str,
    /// The name of a role.
    pub role: &'a dyn Fn(Role) -> &'static str,
    /// The word that confirms a command for everybody.
    pub all: &'static str,
}

/// Where a command is typed.
#[derive(Clone, Copy)]
pub struct SlashContext<'a> {
    /// The words of the language of the page.
    pub words: SlashWords<'a>,
    /// The people in the room.
    pub people: &'a People,
    /// What this participant may do.
    pub standing: &'a Standing,
    /// Whether this participant is in the call.
    pub in_call: bool,
}

impl SlashCommand {
    /// The English word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Nick => "nick",
            Self::File => "file",
            Self::Share => "share",
            Self::Call => "call",
            Self::Hangup => "hangup",
            Self::Leave => "leave",
            Self::Mute => "mute",
            Self::Unmute => "unmute",
            Self::Camera => "camera",
            Self::Screen => "screen",
            Self::Settings => "settings",
            Self::Muteall => "muteall",
            Self::Rename => "rename",
            Self::Role => "role",
            Self::Remove => "remove",
            Self::Ban => "ban",
            Self::Announce => "announce",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Clear => "clear",
            Self::End => "end",
        }
    }

    /// What follows the command.
    pub const fn arguments(self) -> SlashArguments {
        match self {
            Self::Help
            | Self::File
            | Self::Call
            | Self::Hangup
            | Self::Leave
            | Self::Camera
            | Self::Screen
            | Self::Settings
            | Self::Muteall
            | Self::Lock
            | Self::Unlock => SlashArguments::None,
            Self::Nick => SlashArguments::Nickname,
            Self::Share | Self::Mute | Self::Unmute => SlashArguments::OptionalPerson,
            Self::Rename => SlashArguments::PersonAndNickname,
            Self::Role => SlashArguments::PersonAndRole,
            Self::Remove | Self::Ban => SlashArguments::PersonAndReason,
            Self::Announce => SlashArguments::Text,
            Self::Clear | Self::End => SlashArguments::All,
        }
    }

    /// The action in the table of roles that the command takes; `None` if every role may.
    const fn action(self) -> Option<Action> {
        match self {
            Self::Help | Self::Hangup | Self::Leave | Self::Mute | Self::Settings => None,
            Self::Nick => Some(Action::ChangeNickname),
            Self::File | Self::Share => Some(Action::ShareFiles),
            Self::Call => Some(Action::JoinCall),
            Self::Unmute => Some(Action::UseMicrophone),
            Self::Camera => Some(Action::UseCamera),
            Self::Screen => Some(Action::ShareScreen),
            Self::Muteall => Some(Action::Mute),
            Self::Rename => Some(Action::RenameOther),
            Self::Role => Some(Action::ChangeRole),
            Self::Remove => Some(Action::Remove),
            Self::Ban => Some(Action::Ban),
            Self::Announce => Some(Action::Announce),
            Self::Lock | Self::Unlock => Some(Action::ChangeSettings),
            Self::Clear => Some(Action::ClearMessages),
            Self::End => Some(Action::EndMeeting),
        }
    }

    /// Whether this participant may use the command for something at least.
    pub fn is_allowed(self, standing: &Standing) -> bool {
        self.action()
            .is_none_or(|action| standing.may(action, None))
    }

    /// The command of a word, in the language of the page or in English.
    fn of(word: &str, words: SlashWords) -> Option<Self> {
        let word = word.to_lowercase();
        let is_named = |command: &Self| command.word() == word || (words.command)(*command) == word;
        Self::ALL.into_iter().find(is_named)
    }
}

/// The commands whose word begins with what is typed, while only a command's word is typed.
pub fn offered(typed: &str, words: SlashWords, standing: &Standing) -> Vec<SlashCommand> {
    let Some(word) = typed.strip_prefix('/') else {
        return Vec::new();
    };
    if !word.chars().all(char::is_alphabetic) {
        return Vec::new();
    }
    let word = word.to_lowercase();
    let begins = |command: &SlashCommand| {
        command.word().starts_with(&word) || (words.command)(*command).starts_with(&word)
    };
    SlashCommand::ALL
        .into_iter()
        .filter(|command| begins(command) && command.is_allowed(standing))
        .collect()
}

/// Reads what was typed. `//` begins a message with one `/`; a word with anything but letters in
/// it, such as a path, begins a message, too.
pub fn parse(typed: &str, context: SlashContext) -> ComposerInput {
    let typed = typed.trim();
    let Some(line) = typed.strip_prefix('/') else {
        return ComposerInput::Message(typed.to_owned());
    };
    if line.starts_with('/') {
        return ComposerInput::Message(line.to_owned());
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if word.is_empty() || !word.chars().all(char::is_alphabetic) {
        return ComposerInput::Message(typed.to_owned());
    }
    ComposerInput::Command(match SlashCommand::of(word, context.words) {
        Some(command) => task(command, rest.trim(), context),
        None => Err(SlashProblem::Unknown(word.to_owned())),
    })
}

/// What a command with these arguments does.
fn task(
    command: SlashCommand,
    rest: &str,
    context: SlashContext,
) -> Result<SlashTask, SlashProblem> {
    let usage = || SlashProblem::Usage(command);
    let request = |message| Ok(SlashTask::Request(message));
    let lock = |locked| {
        request(ClientMessage::SetRoom {
            change: SettingsChange {
                locked: Some(locked),
                ..SettingsChange::default()
            },
        })
    };
    if command.arguments() == SlashArguments::None && !rest.is_empty() {
        return Err(usage());
    }
    match command {
        SlashCommand::Mute if !rest.is_empty() => {
            let (who, rest) = other(Action::Mute, rest, context)?;
            ended(rest, command)?;
            return request(ClientMessage::Mute {
                who: Some(who),
                source: Source::Microphone,
            });
        }
        SlashCommand::Unmute if !rest.is_empty() => {
            let (who, rest) = other(Action::AskToUnmute, rest, context)?;
            ended(rest, command)?;
            return request(ClientMessage::AskToUnmute { who });
        }
        _ => {}
    }
    if let Some(action) = command.action() {
        allowed(action, None, context.standing)?;
    }
    match command {
        SlashCommand::Help => Ok(SlashTask::Help),
        SlashCommand::Nick => nickname(rest, command).map(SlashTask::Nickname),
        SlashCommand::File => Ok(SlashTask::ChooseFiles),
        SlashCommand::Share if rest.is_empty() => Ok(SlashTask::ShareFiles(Target::Everybody)),
        SlashCommand::Share => {
            let (who, rest) = person(rest, context.people)?;
            ended(rest, command)?;
            match context.standing.is_me(&who) {
                true => Err(SlashProblem::Oneself),
                false => Ok(SlashTask::ShareFiles(Target::Person(who))),
            }
        }
        SlashCommand::Call => Ok(SlashTask::EnterCall),
        SlashCommand::Hangup => in_call(context, SlashTask::LeaveCall),
        SlashCommand::Leave => Ok(SlashTask::LeaveRoom),
        SlashCommand::Mute => in_call(context, SlashTask::Switch(Source::Microphone, Some(false))),
        SlashCommand::Unmute => in_call(context, SlashTask::Switch(Source::Microphone, Some(true))),
        SlashCommand::Camera => in_call(context, SlashTask::Switch(Source::Camera, None)),
        SlashCommand::Screen => in_call(context, SlashTask::Switch(Source::Screen, None)),
        SlashCommand::Settings => Ok(SlashTask::Settings),
        SlashCommand::Muteall => request(ClientMessage::Mute {
            who: None,
            source: Source::Microphone,
        }),
        SlashCommand::Rename => {
            let (who, rest) = other(Action::RenameOther, required(rest, command)?, context)?;
            let nickname = nickname(rest, command)?.to_string();
            request(ClientMessage::Rename { who, nickname })
        }
        SlashCommand::Role => {
            let (who, rest) = other(Action::ChangeRole, required(rest, command)?, context)?;
            let role = role(rest, context.words).ok_or_else(usage)?;
            request(ClientMessage::SetRole { who, role })
        }
        SlashCommand::Remove => {
            let (who, rest) = other(Action::Remove, required(rest, command)?, context)?;
            let reason = reason(rest)?;
            request(ClientMessage::Remove { who, reason })
        }
        SlashCommand::Ban => {
            let (who, rest) = other(Action::Ban, required(rest, command)?, context)?;
            let reason = reason(rest)?;
            request(ClientMessage::Ban {
                who,
                reason,
                address: false,
            })
        }
        SlashCommand::Announce => {
            let text = bounded(required(rest, command)?, MAX_ANNOUNCEMENT_CHARS)?;
            request(ClientMessage::Announce { text })
        }
        SlashCommand::Lock => lock(true),
        SlashCommand::Unlock => lock(false),
        SlashCommand::Clear | SlashCommand::End if rest != "all" && rest != context.words.all => {
            Err(usage())
        }
        SlashCommand::Clear => request(ClientMessage::ClearMessages),
        SlashCommand::End => request(ClientMessage::EndMeeting),
    }
}

/// A task for which this participant must be in the call.
fn in_call(context: SlashContext, task: SlashTask) -> Result<SlashTask, SlashProblem> {
    match context.in_call {
        true => Ok(task),
        false => Err(SlashProblem::NotInCall),
    }
}

/// What is left, which must not be empty.
fn required(rest: &str, command: SlashCommand) -> Result<&str, SlashProblem> {
    match rest.is_empty() {
        true => Err(SlashProblem::Usage(command)),
        false => Ok(rest),
    }
}

/// Nothing may be left.
fn ended(rest: &str, command: SlashCommand) -> Result<(), SlashProblem> {
    match rest.is_empty() {
        true => Ok(()),
        false => Err(SlashProblem::Usage(command)),
    }
}

/// A nickname, which must not be empty.
fn nickname(rest: &str, command: SlashCommand) -> Result<Nickname, SlashProblem> {
    let rest = required(rest, command)?;
    bounded(rest, MAX_NICKNAME_CHARS)?;
    Nickname::parse(rest).map_err(|_| SlashProblem::NotValid)
}

/// A reason, or none.
fn reason(rest: &str) -> Result<Option<String>, SlashProblem> {
    match rest.is_empty() {
        true => Ok(None),
        false => bounded(rest, MAX_REASON_CHARS).map(Some),
    }
}

/// A text of at most this many characters.
fn bounded(rest: &str, most: usize) -> Result<String, SlashProblem> {
    match rest.chars().count() <= most {
        true => Ok(rest.to_owned()),
        false => Err(SlashProblem::NotValid),
    }
}

/// The role of a word, with `-`, `_`, a space or nothing between its parts.
fn role(word: &str, words: SlashWords) -> Option<Role> {
    let plain = |word: &str| word.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    let is_named = |role: &Role| plain(role.name()) == word || plain((words.role)(*role)) == word;
    Role::ALL.into_iter().find(is_named)
}

/// What the table of roles says.
fn allowed(action: Action, target: Option<Role>, standing: &Standing) -> Result<(), SlashProblem> {
    permit(standing.role(), action, target, &standing.settings.powers)
        .map_err(SlashProblem::NotAllowed)
}

/// The other participant whom the arguments begin with, and the rest of the arguments.
fn other<'a>(
    action: Action,
    rest: &'a str,
    context: SlashContext,
) -> Result<(ParticipantId, &'a str), SlashProblem> {
    allowed(action, None, context.standing)?;
    let (who, rest) = person(rest, context.people)?;
    if context.standing.is_me(&who) {
        return Err(SlashProblem::Oneself);
    }
    allowed(
        action,
        Some(context.standing.role_of(&who)),
        context.standing,
    )?;
    Ok((who, rest))
}

/// The person in the room whose name the text begins with, with or without `@`, and the text after
/// it. Of several names the longest counts. Whoever shares a name is named with the tag after it.
fn person<'a>(text: &'a str, people: &People) -> Result<(ParticipantId, &'a str), SlashProblem> {
    let text = text.strip_prefix('@').unwrap_or(text);
    let duplicates = DuplicateNames::among(people.here.iter());
    // A space may stand before the tag.
    let longest = MAX_NICKNAME_CHARS + 1 + TAG_CHARS;
    let ends = text
        .char_indices()
        .skip(1)
        .filter(|(_, c)| c.is_whitespace())
        .map(|(end, _)| end)
        .take_while(|end| text[..*end].chars().count() <= longest);
    let mut ends: Vec<usize> = ends.collect();
    if text.chars().count() <= longest {
        ends.push(text.len());
    }
    for end in ends.into_iter().rev() {
        let (name, rest) = (text[..end].trim_end(), text[end..].trim());
        let named = |person: &&Person| is_named(person, name, &duplicates);
        let mut found = people.here.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(one), None) => return Ok((one.id.clone(), rest)),
            (Some(_), Some(_)) => return Err(SlashProblem::SeveralNamed(name.to_owned())),
            (None, _) => {}
        }
    }
    let first = text.split_whitespace().next().unwrap_or_default();
    let first: String = first.chars().take(MAX_NICKNAME_CHARS).collect();
    Err(SlashProblem::NobodyNamed(first))
}

/// Characters of the tag after a shared name, at most.
const TAG_CHARS: usize = 12;

/// Whether a name means this person: the nickname, or the nickname and the tag.
fn is_named(person: &Person, name: &str, duplicates: &DuplicateNames) -> bool {
    let nickname = text::key(person.nickname.as_str());
    if text::key(name) == nickname {
        return true;
    }
    let tagged = duplicates.tag(&person.id).and_then(|tag| {
        let name = name.strip_suffix(tag.as_str())?;
        Some(text::key(name.trim_end()))
    });
    tagged.is_some_and(|tagged| tagged == nickname)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ServerMessage;
    use proptest::prelude::*;

    fn id(id: &str) -> ParticipantId {
        ParticipantId::parse(id).expect("an id")
    }

    fn people() -> People {
        let named = |who: &str, name: &str| {
            Person::new(id(who), Nickname::parse(name).expect("a nickname"))
        };
        People {
            me: Some(id("p_me")),
            here: vec![
                named("p_me", "Me"),
                named("p_ann", "Ann"),
                named("p_annlee", "Ann Lee"),
                named("p_kim1", "Kim"),
                named("p_kim2", "kim"),
            ],
        }
    }

    fn standing(role: Role) -> Standing {
        let mut standing = Standing::of(id("p_me"));
        let (seq, by) = (None, None);
        let id = id("p_me");
        standing.apply(&ServerMessage::RoleChanged { seq, id, role, by });
        standing
    }

    /// Korean words for a command, a role and "all".
    const KOREAN: SlashWords = SlashWords {
        command: &|command| match command {
            SlashCommand::Nick => "닉네임",
            other => other.word(),
        },
        role: &|role| match role {
            Role::Speaker => "발표자",
            other => other.name(),
        },
        all: "모두",
    };

    fn as_role(role: Role, typed: &str) -> ComposerInput {
        let (people, standing) = (people(), standing(role));
        let context = SlashContext {
            words: KOREAN,
            people: &people,
            standing: &standing,
            in_call: true,
        };
        parse(typed, context)
    }

    fn host(typed: &str) -> Result<SlashTask, SlashProblem> {
        match as_role(Role::Host, typed) {
            ComposerInput::Command(task) => task,
            ComposerInput::Message(text) => panic!("{typed} is the message {text}"),
        }
    }

    #[test]
    fn a_text_without_a_slash_a_path_and_a_doubled_slash_are_messages() {
        let message = |typed: &str| match as_role(Role::Guest, typed) {
            ComposerInput::Message(text) => text,
            ComposerInput::Command(task) => panic!("{typed} is a command: {task:?}"),
        };
        assert_eq!(message(" hello "), "hello");
        assert_eq!(message("/etc/passwd is a file"), "/etc/passwd is a file");
        assert_eq!(message("/ alone"), "/ alone");
        assert_eq!(message("//help"), "/help");
        assert_eq!(message("1/2"), "1/2");
    }

    #[test]
    fn a_command_is_known_by_its_english_word_and_by_that_of_the_page() {
        let task = Ok(SlashTask::Nickname(
            Nickname::parse("Ann B").expect("valid"),
        ));
        assert_eq!(host("/nick Ann B"), task);
        assert_eq!(host("/NICK Ann B"), task);
        assert_eq!(host("/닉네임 Ann B"), task);
        assert_eq!(host("/dance"), Err(SlashProblem::Unknown("dance".into())));
    }

    #[test]
    fn the_longest_name_in_the_room_is_meant() {
        let remove = |who: &str, reason: Option<&str>| {
            Ok(SlashTask::Request(ClientMessage::Remove {
                who: id(who),
                reason: reason.map(str::to_owned),
            }))
        };
        assert_eq!(host("/remove ann"), remove("p_ann", None));
        assert_eq!(host("/remove @Ann Lee"), remove("p_annlee", None));
        assert_eq!(host("/remove Ann Leeway"), remove("p_ann", Some("Leeway")));
        assert_eq!(
            host("/remove ANN LEE be  kind"),
            remove("p_annlee", Some("be  kind"))
        );
    }

    #[test]
    fn people_who_share_a_name_are_told_apart_by_the_tag() {
        let people = people();
        let tag = DuplicateNames::among(people.here.iter()).tag(&id("p_kim2"));
        let tag = tag.expect("a shared name");
        let muted = Ok(SlashTask::Request(ClientMessage::Mute {
            who: Some(id("p_kim2")),
            source: Source::Microphone,
        }));
        assert_eq!(
            host("/mute Kim"),
            Err(SlashProblem::SeveralNamed("Kim".into()))
        );
        assert_eq!(host(&format!("/mute Kim {tag}")), muted);
        assert_eq!(host(&format!("/mute kim{tag}")), muted);
        assert_eq!(
            host("/mute Zoe"),
            Err(SlashProblem::NobodyNamed("Zoe".into()))
        );
    }

    #[test]
    fn a_role_is_known_by_its_name_in_either_language() {
        let given = |role| {
            let who = id("p_ann");
            Ok(SlashTask::Request(ClientMessage::SetRole { who, role }))
        };
        assert_eq!(host("/role Ann co-host"), given(Role::CoHost));
        assert_eq!(host("/role Ann 발표자"), given(Role::Speaker));
        let usage = Err(SlashProblem::Usage(SlashCommand::Role));
        assert_eq!(host("/role Ann king"), usage);
    }

    #[test]
    fn files_are_shared_with_one_person_or_with_everybody() {
        let to = |target| Ok(SlashTask::ShareFiles(target));
        assert_eq!(host("/share"), to(Target::Everybody));
        let ann = Target::Person(id("p_ann"));
        assert_eq!(host("/share @Ann"), to(ann));
        assert_eq!(host("/share Me"), Err(SlashProblem::Oneself));
        let nobody = SlashProblem::NobodyNamed("nobody".to_owned());
        assert_eq!(host("/share nobody of this name"), Err(nobody));
    }

    #[test]
    fn nobody_moderates_themselves() {
        assert_eq!(host("/remove Me"), Err(SlashProblem::Oneself));
    }

    #[test]
    fn what_cannot_be_taken_back_needs_the_word_all() {
        assert_eq!(
            host("/clear"),
            Err(SlashProblem::Usage(SlashCommand::Clear))
        );
        assert_eq!(
            host("/clear all"),
            Ok(SlashTask::Request(ClientMessage::ClearMessages))
        );
        assert_eq!(
            host("/end all"),
            Ok(SlashTask::Request(ClientMessage::EndMeeting))
        );
    }

    #[test]
    fn a_guest_is_offered_and_may_use_no_command_of_hosts() {
        let standing = standing(Role::Guest);
        let offered = offered("/", KOREAN, &standing);
        assert!(offered.contains(&SlashCommand::Nick) && offered.contains(&SlashCommand::Mute));
        for command in SlashCommand::ALL {
            let rest = match command.arguments() {
                SlashArguments::None => "",
                SlashArguments::Nickname | SlashArguments::Text => "words",
                SlashArguments::OptionalPerson => "Ann",
                SlashArguments::PersonAndNickname => "Ann Bo",
                SlashArguments::PersonAndRole => "Ann speaker",
                SlashArguments::PersonAndReason => "Ann why",
                SlashArguments::All => "all",
            };
            let task = as_role(Role::Guest, &format!("/{} {rest}", command.word()));
            let is_refused = matches!(
                task,
                ComposerInput::Command(Err(SlashProblem::NotAllowed(_)))
            );
            let about_others = matches!(command, SlashCommand::Mute | SlashCommand::Unmute);
            assert_eq!(
                is_refused,
                about_others || !offered.contains(&command),
                "{command:?} {task:?}"
            );
            let by_host = as_role(Role::Host, &format!("/{} {rest}", command.word()));
            assert!(
                matches!(by_host, ComposerInput::Command(Ok(_))),
                "{by_host:?}"
            );
        }
    }

    #[test]
    fn commands_are_offered_while_their_word_is_typed() {
        let standing = standing(Role::Host);
        assert_eq!(offered("/he", KOREAN, &standing), [SlashCommand::Help]);
        assert_eq!(offered("/닉", KOREAN, &standing), [SlashCommand::Nick]);
        assert!(offered("/nick A", KOREAN, &standing).is_empty());
        assert!(offered("hello", KOREAN, &standing).is_empty());
        assert_eq!(offered("/", KOREAN, &standing), SlashCommand::ALL);
    }

    proptest! {
        /// No text panics, and a text that does not begin with a slash is sent as it is.
        #[test]
        fn every_text_is_read(typed in "/?(mute|role|ban|nick|\\PC{0,6})?( |@|\\PC|Ann|Kim#){0,20}") {
            let input = as_role(Role::Host, &typed);
            if !typed.trim().starts_with('/') {
                prop_assert_eq!(input, ComposerInput::Message(typed.trim().to_owned()));
            }
        }
    }
}
