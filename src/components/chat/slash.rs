//! Slash commands in the composer: the words of the page, what they do, and why they do not.

use super::suggestions::{Suggestion, SuggestionKind};
use crate::components::hosts::{role_name, role_with_article};
use crate::i18n::*;
use crate::paths::{address, to_address};
use crate::protocol::{Denial, Role, Source};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::call::{CallStage, CallStateStoreFields};
use crate::state::slash::{
    self, ComposerInput, SlashArguments, SlashCommand, SlashContext, SlashProblem, SlashTask,
    SlashWords,
};
use crate::state::transfers::Target;
use leptos::prelude::*;
use leptos_router::NavigateOptions;

/// Parses what was typed.
pub fn parsed(session: Session, locale: Locale, typed: &str) -> ComposerInput {
    let people = session.room.people();
    let standing = session.room.standing();
    slash::parse(
        typed,
        SlashContext {
            words: words_of(
                &|command| word(locale, command),
                &|role| role_name(locale, role),
                locale,
            ),
            people: &people.read_untracked(),
            standing: &standing.read_untracked(),
            in_call: session.call.stage().get_untracked() == CallStage::In,
        },
    )
}

/// The commands that begin with what is typed.
pub fn suggested(session: Session, locale: Locale, typed: &str) -> Vec<Suggestion> {
    let command_word = |command| word(locale, command);
    let role = |role| role_name(locale, role);
    let standing = session.room.standing();
    let words = words_of(&command_word, &role, locale);
    slash::offered(typed, words, &standing.read_untracked())
        .into_iter()
        .map(|command| {
            let space = match command.arguments() {
                SlashArguments::None => "",
                SlashArguments::Nickname
                | SlashArguments::OptionalPerson
                | SlashArguments::PersonAndNickname
                | SlashArguments::PersonAndRole
                | SlashArguments::PersonAndReason
                | SlashArguments::Text
                | SlashArguments::All => " ",
            };
            Suggestion {
                text: format!("/{}{space}", word(locale, command)),
                label: usage(locale, command),
                about: about(locale, command).to_owned(),
                kind: SuggestionKind::Command,
                caret: None,
            }
        })
        .collect()
}

/// Does what a command asks for. The composer shows the commands and the settings, and lets files be
/// chosen.
pub fn run(session: Session, task: SlashTask, navigate: &impl Fn(&str, NavigateOptions)) {
    match task {
        SlashTask::Help | SlashTask::ChooseFiles | SlashTask::Settings => {}
        SlashTask::ShareFiles(target) => {
            let nickname = match &target {
                Target::Person(id) => session.nickname_of(id),
                Target::Everybody => String::new(),
            };
            session.share_files(target, nickname);
        }
        SlashTask::Nickname(nickname) => session.rename(nickname),
        SlashTask::EnterCall => {
            session.press_join();
            navigate(&address(&session.name().call_path()), to_address());
        }
        SlashTask::LeaveCall => {
            session.leave_call();
            navigate(&address(&session.name().path()), to_address());
        }
        SlashTask::LeaveRoom => {
            session.disconnect();
            navigate(&address("/"), to_address());
        }
        SlashTask::Switch(source, on) => {
            let devices = session.call.devices().get_untracked();
            let (is_on, toggle): (bool, fn(Session)) = match source {
                Source::Microphone => (devices.microphone, Session::toggle_microphone),
                Source::Camera => (devices.camera, Session::toggle_camera),
                Source::Screen | Source::ScreenAudio => (devices.screen, Session::toggle_screen),
            };
            if on != Some(is_on) {
                toggle(session);
            }
        }
        SlashTask::Request(request) => session.moderate(request),
    }
}

/// Why nothing was done, as a sentence.
pub fn sentence(locale: Locale, problem: &SlashProblem) -> String {
    match problem {
        SlashProblem::Unknown(word) => {
            td_string!(locale, slash.unknown, word = word.as_str()).to_string()
        }
        SlashProblem::Usage(command) => {
            td_string!(locale, slash.usage, usage = usage(locale, *command)).to_string()
        }
        SlashProblem::NobodyNamed(name) => {
            td_string!(locale, slash.nobody_named, name = name.as_str()).to_string()
        }
        SlashProblem::SeveralNamed(name) => {
            td_string!(locale, slash.several_named, name = name.as_str()).to_string()
        }
        SlashProblem::NotValid => td_string!(locale, slash.not_valid).to_owned(),
        SlashProblem::NotAllowed(Denial::FeatureOff(_)) => {
            td_string!(locale, slash.feature_off).to_owned()
        }
        SlashProblem::NotAllowed(Denial::RoleTooLow(role)) => {
            let role = role_with_article(locale, *role);
            td_string!(locale, slash.role_too_low, role = role).to_string()
        }
        SlashProblem::NotAllowed(Denial::TargetNotBelow) => {
            td_string!(locale, slash.not_below).to_owned()
        }
        SlashProblem::Oneself => td_string!(locale, slash.oneself).to_owned(),
        SlashProblem::NotInCall => td_string!(locale, slash.not_in_call).to_owned(),
    }
}

/// The words of a language.
fn words_of<'a>(
    command: &'a dyn Fn(SlashCommand) -> &'static str,
    role: &'a dyn Fn(Role) -> &'static str,
    locale: Locale,
) -> SlashWords<'a> {
    SlashWords {
        command,
        role,
        all: td_string!(locale, slash.all),
    }
}

/// A command and what follows it, as it is typed.
fn usage(locale: Locale, command: SlashCommand) -> String {
    let (name, new_name) = (
        td_string!(locale, slash.name),
        td_string!(locale, slash.new_name),
    );
    let arguments = match command.arguments() {
        SlashArguments::None => String::new(),
        SlashArguments::Nickname => format!(" {name}"),
        SlashArguments::OptionalPerson => format!(" [{name}]"),
        SlashArguments::PersonAndNickname => format!(" {name} {new_name}"),
        SlashArguments::PersonAndRole => {
            format!(" {name} {}", td_string!(locale, slash.role_argument))
        }
        SlashArguments::PersonAndReason => {
            format!(" {name} [{}]", td_string!(locale, slash.reason))
        }
        SlashArguments::Text => format!(" {}", td_string!(locale, slash.text)),
        SlashArguments::All => format!(" {}", td_string!(locale, slash.all)),
    };
    format!("/{}{arguments}", word(locale, command))
}

/// The word of a command.
fn word(locale: Locale, command: SlashCommand) -> &'static str {
    match command {
        SlashCommand::Help => td_string!(locale, slash.help),
        SlashCommand::Nick => td_string!(locale, slash.nick),
        SlashCommand::File => td_string!(locale, slash.file),
        SlashCommand::Share => td_string!(locale, slash.share),
        SlashCommand::Call => td_string!(locale, slash.call),
        SlashCommand::Hangup => td_string!(locale, slash.hangup),
        SlashCommand::Leave => td_string!(locale, slash.leave),
        SlashCommand::Mute => td_string!(locale, slash.mute),
        SlashCommand::Unmute => td_string!(locale, slash.unmute),
        SlashCommand::Camera => td_string!(locale, slash.camera),
        SlashCommand::Screen => td_string!(locale, slash.screen),
        SlashCommand::Settings => td_string!(locale, slash.settings),
        SlashCommand::Muteall => td_string!(locale, slash.muteall),
        SlashCommand::Rename => td_string!(locale, slash.rename),
        SlashCommand::Role => td_string!(locale, slash.role),
        SlashCommand::Remove => td_string!(locale, slash.remove),
        SlashCommand::Ban => td_string!(locale, slash.ban),
        SlashCommand::Announce => td_string!(locale, slash.announce),
        SlashCommand::Lock => td_string!(locale, slash.lock),
        SlashCommand::Unlock => td_string!(locale, slash.unlock),
        SlashCommand::Clear => td_string!(locale, slash.clear),
        SlashCommand::End => td_string!(locale, slash.end),
    }
}

/// What a command does.
fn about(locale: Locale, command: SlashCommand) -> &'static str {
    match command {
        SlashCommand::Help => td_string!(locale, slash.help_about),
        SlashCommand::Nick => td_string!(locale, slash.nick_about),
        SlashCommand::File => td_string!(locale, slash.file_about),
        SlashCommand::Share => td_string!(locale, slash.share_about),
        SlashCommand::Call => td_string!(locale, slash.call_about),
        SlashCommand::Hangup => td_string!(locale, slash.hangup_about),
        SlashCommand::Leave => td_string!(locale, slash.leave_about),
        SlashCommand::Mute => td_string!(locale, slash.mute_about),
        SlashCommand::Unmute => td_string!(locale, slash.unmute_about),
        SlashCommand::Camera => td_string!(locale, slash.camera_about),
        SlashCommand::Screen => td_string!(locale, slash.screen_about),
        SlashCommand::Settings => td_string!(locale, slash.settings_about),
        SlashCommand::Muteall => td_string!(locale, slash.muteall_about),
        SlashCommand::Rename => td_string!(locale, slash.rename_about),
        SlashCommand::Role => td_string!(locale, slash.role_about),
        SlashCommand::Remove => td_string!(locale, slash.remove_about),
        SlashCommand::Ban => td_string!(locale, slash.ban_about),
        SlashCommand::Announce => td_string!(locale, slash.announce_about),
        SlashCommand::Lock => td_string!(locale, slash.lock_about),
        SlashCommand::Unlock => td_string!(locale, slash.unlock_about),
        SlashCommand::Clear => td_string!(locale, slash.clear_about),
        SlashCommand::End => td_string!(locale, slash.end_about),
    }
}
