//! What a host is offered to do to a participant, and why some of it is not possible.

use crate::protocol::{
    Action, ClientMessage, Devices, Feature, Nickname, ParticipantId, Powers, Role, Source,
};
use crate::state::standing::Standing;

/// What a host does to one participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonAction {
    /// Mute the microphone.
    Mute,
    /// Stop the camera.
    StopCamera,
    /// Stop the shared screen.
    StopScreen,
    /// Ask the participant to switch the microphone on.
    AskToUnmute,
    /// Change the nickname.
    Rename,
    /// Give this role.
    SetRole(Role),
    /// End the stay.
    Remove,
    /// End the stay and keep the participant out.
    Ban,
}

impl PersonAction {
    /// The action in the table of roles.
    fn action(self) -> Action {
        match self {
            Self::Mute => Action::Mute,
            Self::StopCamera => Action::StopCamera,
            Self::StopScreen => Action::StopScreen,
            Self::AskToUnmute => Action::AskToUnmute,
            Self::Rename => Action::RenameOther,
            Self::SetRole(_) => Action::ChangeRole,
            Self::Remove => Action::Remove,
            Self::Ban => Action::Ban,
        }
    }

    /// The question that the action asks first; `None` for an action that needs no words.
    pub fn question(self) -> Option<Question> {
        match self {
            Self::Rename => Some(Question::Rename),
            Self::Remove => Some(Question::Remove),
            Self::Ban => Some(Question::Ban),
            Self::Mute
            | Self::StopCamera
            | Self::StopScreen
            | Self::AskToUnmute
            | Self::SetRole(_) => None,
        }
    }

    /// The request of an action that asks nothing.
    pub fn request(self, who: ParticipantId) -> Option<ClientMessage> {
        let mute = |source| {
            let who = Some(who.clone());
            Some(ClientMessage::Mute { who, source })
        };
        match self {
            Self::Mute => mute(Source::Microphone),
            Self::StopCamera => mute(Source::Camera),
            Self::StopScreen => mute(Source::Screen),
            Self::AskToUnmute => Some(ClientMessage::AskToUnmute { who }),
            Self::SetRole(role) => Some(ClientMessage::SetRole { who, role }),
            Self::Rename | Self::Remove | Self::Ban => None,
        }
    }
}

/// What a dialog asks before an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The new nickname.
    Rename,
    /// The reason of the removal.
    Remove,
    /// The reason of the ban, and whether it includes the network address.
    Ban,
    /// The reason why somebody in the lobby is turned away.
    TurnAway,
}

/// The menu about one participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonMenu {
    /// The actions, in order. Empty for those who moderate nothing, and about oneself.
    pub actions: Vec<PersonAction>,
    /// The role of the participant, if it is not below one's own: then no action is possible.
    pub too_high: Option<Role>,
}

impl PersonMenu {
    /// The menu about a participant. `devices`: what the participant has on in the call, if in it.
    pub fn about(standing: &Standing, who: &ParticipantId, devices: Option<Devices>) -> Self {
        let (mine, theirs) = (standing.role(), standing.role_of(who));
        if standing.is_me(who) || !mine.moderates() {
            return Self::default();
        }
        let mut actions = Vec::new();
        if let Some(devices) = devices {
            let may_speak = standing.settings.powers.of(theirs).has(Feature::Microphone);
            match devices.microphone {
                true => actions.push(PersonAction::Mute),
                false if may_speak => actions.push(PersonAction::AskToUnmute),
                false => {}
            }
            actions.extend(devices.camera.then_some(PersonAction::StopCamera));
            actions.extend(devices.screen.then_some(PersonAction::StopScreen));
        }
        actions.push(PersonAction::Rename);
        let below = Role::ALL.into_iter().rev().filter(|role| *role < mine);
        let others = below.filter(|role| *role != theirs);
        actions.extend(others.map(PersonAction::SetRole));
        actions.extend([PersonAction::Remove, PersonAction::Ban]);
        if theirs >= mine {
            // The actions that a host looks for first, each with the reason why not.
            let actions = match devices {
                Some(_) => vec![PersonAction::Mute, PersonAction::Remove],
                None => vec![PersonAction::Remove],
            };
            return Self {
                actions,
                too_high: Some(theirs),
            };
        }
        actions.retain(|action| standing.may(action.action(), Some(who)));
        Self {
            actions,
            too_high: None,
        }
    }
}

/// The powers with one feature of one role switched on or off. Co-hosts and hosts keep all.
pub fn with_power(mut powers: Powers, role: Role, feature: Feature, on: bool) -> Powers {
    let features = match role {
        Role::Viewer => &mut powers.viewer,
        Role::Guest => &mut powers.guest,
        Role::Speaker => &mut powers.speaker,
        Role::CoHost | Role::Host => return powers,
    };
    *features = features.with(feature, on);
    powers
}

/// A dialog about one participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonTask {
    /// Id of the participant.
    pub who: ParticipantId,
    /// The participant's nickname when the dialog opened.
    pub nickname: Nickname,
    /// What the dialog asks.
    pub question: Question,
}

impl PersonTask {
    /// The request of the answered question. `text` is the nickname or the reason, `address`
    /// whether a ban includes the network address.
    pub fn request(&self, text: &str, address: bool) -> ClientMessage {
        let (who, text) = (self.who.clone(), text.trim());
        let reason = (!text.is_empty()).then(|| text.to_owned());
        match self.question {
            Question::Rename => ClientMessage::Rename {
                who,
                nickname: text.to_owned(),
            },
            Question::Remove => ClientMessage::Remove { who, reason },
            Question::TurnAway => ClientMessage::Deny {
                who: Some(who),
                reason,
            },
            Question::Ban => ClientMessage::Ban {
                who,
                reason,
                address,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ServerMessage;

    fn id(name: &str) -> ParticipantId {
        ParticipantId::parse(&format!("p_{name}")).expect("valid")
    }

    fn standing(mine: Role, ben: Role) -> Standing {
        let mut standing = Standing::of(id("me"));
        for (name, role) in [("me", mine), ("ben", ben)] {
            standing.apply(&ServerMessage::RoleChanged {
                seq: None,
                id: id(name),
                role,
                by: None,
            });
        }
        standing
    }

    fn about_ben(mine: Role, ben: Role, devices: Option<Devices>) -> PersonMenu {
        PersonMenu::about(&standing(mine, ben), &id("ben"), devices)
    }

    #[test]
    fn a_host_is_offered_what_applies_to_the_devices_of_a_guest() {
        use PersonAction::*;
        let all = [
            Rename,
            SetRole(Role::CoHost),
            SetRole(Role::Speaker),
            SetRole(Role::Viewer),
            Remove,
            Ban,
        ];
        assert_eq!(about_ben(Role::Host, Role::Guest, None).actions, all);
        let devices = Devices {
            microphone: true,
            screen: true,
            camera: false,
        };
        let menu = about_ben(Role::Host, Role::Guest, Some(devices));
        assert_eq!(menu.actions[..3], [Mute, StopScreen, Rename]);
        let menu = about_ben(Role::Host, Role::Guest, Some(Devices::default()));
        assert_eq!(menu.actions[..2], [AskToUnmute, Rename]);
        let menu = about_ben(Role::Host, Role::Viewer, Some(Devices::default()));
        assert_eq!(
            menu.actions[0], Rename,
            "a viewer has no microphone to ask for"
        );
    }

    #[test]
    fn only_who_moderates_has_a_menu_and_never_about_themselves() {
        for role in [Role::Viewer, Role::Guest, Role::Speaker] {
            assert_eq!(about_ben(role, Role::Guest, None), PersonMenu::default());
        }
        let host = standing(Role::Host, Role::Guest);
        let menu = PersonMenu::about(&host, &id("me"), None);
        assert_eq!(menu, PersonMenu::default());
    }

    #[test]
    fn every_offered_action_is_allowed_by_the_table_and_roles_not_below_are_explained() {
        for mine in Role::ALL {
            for ben in Role::ALL {
                let on = Devices {
                    microphone: true,
                    camera: true,
                    screen: true,
                };
                let menu = about_ben(mine, ben, Some(on));
                let standing = standing(mine, ben);
                for action in menu.actions {
                    let may = standing.may(action.action(), Some(&id("ben")));
                    assert_eq!(may, menu.too_high.is_none(), "{mine:?} {ben:?} {action:?}");
                    if let PersonAction::SetRole(role) = action {
                        assert!(role < mine && role != ben);
                    }
                }
                assert_eq!(menu.too_high.is_some(), mine.moderates() && ben >= mine);
            }
        }
    }

    #[test]
    fn each_action_asks_a_question_or_is_a_request() {
        let roles = Role::ALL.map(PersonAction::SetRole);
        let others = [
            PersonAction::Mute,
            PersonAction::StopCamera,
            PersonAction::StopScreen,
            PersonAction::AskToUnmute,
            PersonAction::Rename,
            PersonAction::Remove,
            PersonAction::Ban,
        ];
        for action in roles.into_iter().chain(others) {
            let (question, request) = (action.question(), action.request(id("ben")));
            assert!(question.is_some() != request.is_some(), "{action:?}");
        }
    }

    #[test]
    fn a_switch_changes_one_feature_of_one_role() {
        let before = Powers::default();
        for role in Role::ALL {
            for feature in Feature::ALL {
                for on in [false, true] {
                    let after = with_power(before, role, feature, on);
                    for other in Role::ALL {
                        let expected = match other == role && !role.moderates() {
                            true => before.of(other).with(feature, on),
                            false => before.of(other),
                        };
                        assert_eq!(after.of(other), expected, "{role:?} {feature:?} {other:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_reason_is_optional() {
        let task = |question| PersonTask {
            who: id("ben"),
            nickname: Nickname::parse("Ben").expect("valid"),
            question,
        };
        let who = id("ben");
        assert_eq!(
            task(Question::Remove).request(" ", true),
            ClientMessage::Remove {
                who: who.clone(),
                reason: None
            }
        );
        assert_eq!(
            task(Question::Ban).request(" loud ", true),
            ClientMessage::Ban {
                who,
                reason: Some("loud".into()),
                address: true
            }
        );
    }
}
