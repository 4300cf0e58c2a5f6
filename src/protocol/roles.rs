//! Roles, and the table of what each role may do.
//!
//! The table is compiled into both halves: the page shows what is allowed, the server decides.
//! [`permit`] is the only function that decides. A new [`Action`] without a rule does not compile.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

listed_enum! {
    /// What a participant is in a room, in ascending order of rank.
    #[derive(
        Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum Role {
        /// Hears, sees and reads.
        Viewer,
        /// The role of everybody to whom the room gives no other.
        #[default]
        Guest,
        /// Speaks where guests may not.
        Speaker,
        /// Does what hosts do, except to hosts and other co-hosts.
        CoHost,
        /// Holds the key of the room.
        Host,
    }
}

impl Role {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Guest => "guest",
            Self::Speaker => "speaker",
            Self::CoHost => "co_host",
            Self::Host => "host",
        }
    }

    /// Whether this role moderates the room.
    pub fn moderates(self) -> bool {
        self >= Self::CoHost
    }

    /// Whether this is the role of everybody to whom the room gives no other.
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

listed_enum! {
    /// A part of a meeting that a room allows to some roles.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Feature {
        /// Speak in the call.
        Microphone,
        /// Show a camera in the call.
        Camera,
        /// Share a screen in the call.
        Screen,
        /// Write messages and react to them.
        Chat,
        /// Send files to others.
        Files,
        /// Raise a hand.
        Hand,
        /// Make links that invite others.
        Invite,
        /// Change one's own nickname.
        Rename,
    }
}

/// A set of features; a list of names on the wire, in which unknown names are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FeatureSet(u8);

impl FeatureSet {
    /// The set of every feature.
    pub const ALL: Self = Self(u8::MAX);

    /// The set of these features.
    pub const fn of(features: &[Feature]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < features.len() {
            bits |= 1 << features[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Whether the set has this feature.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u8) != 0
    }

    /// The set with or without this feature.
    #[must_use]
    pub const fn with(self, feature: Feature, on: bool) -> Self {
        let bit = 1 << feature as u8;
        match on {
            true => Self(self.0 | bit),
            false => Self(self.0 & !bit),
        }
    }

    /// The features of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL
            .into_iter()
            .filter(move |feature| self.has(*feature))
    }
}

impl Serialize for FeatureSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for FeatureSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Named {
            Known(Feature),
            Unknown(serde::de::IgnoredAny),
        }
        let names = Vec::<Named>::deserialize(from)?;
        let set = names
            .into_iter()
            .fold(Self::default(), |set, name| match name {
                Named::Known(feature) => set.with(feature, true),
                Named::Unknown(_) => set,
            });
        Ok(set)
    }
}

/// The features that a room allows to the roles below co-host. Co-hosts and hosts have all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Powers {
    /// The features of viewers.
    pub viewer: FeatureSet,
    /// The features of guests.
    pub guest: FeatureSet,
    /// The features of speakers.
    pub speaker: FeatureSet,
}

impl Powers {
    /// The features of a role.
    pub fn of(&self, role: Role) -> FeatureSet {
        match role {
            Role::Viewer => self.viewer,
            Role::Guest => self.guest,
            Role::Speaker => self.speaker,
            Role::CoHost | Role::Host => FeatureSet::ALL,
        }
    }
}

impl Default for Powers {
    /// Viewers raise a hand. Guests take part in everything and invite nobody.
    fn default() -> Self {
        let all_but_invite = FeatureSet::ALL.with(Feature::Invite, false);
        Self {
            viewer: FeatureSet::of(&[Feature::Hand]),
            guest: all_but_invite,
            speaker: all_but_invite,
        }
    }
}

listed_enum! {
    /// What a command does in a room.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Action {
        /// Write a message.
        SendMessage,
        /// Send files with a message, or directly to another participant.
        ShareFiles,
        /// Receive files from another participant over a direct connection.
        ReceiveFiles,
        /// Edit a message of one's own.
        EditMessage,
        /// Delete a message of one's own.
        DeleteMessage,
        /// Add a reaction to a message.
        React,
        /// Remove a reaction of one's own.
        RemoveReaction,
        /// Show that one types.
        Type,
        /// Change one's own nickname.
        ChangeNickname,
        /// Enter the call, receive its media, and leave it.
        JoinCall,
        /// Switch one's own microphone on.
        UseMicrophone,
        /// Switch one's own camera on.
        UseCamera,
        /// Share one's own screen.
        ShareScreen,
        /// Mute the microphone of another participant.
        Mute,
        /// Stop the camera of another participant.
        StopCamera,
        /// Stop the shared screen of another participant.
        StopScreen,
        /// Ask another participant to switch the microphone on.
        AskToUnmute,
        /// Change the nickname of another participant.
        RenameOther,
        /// Give another participant a role below one's own.
        ChangeRole,
        /// End the stay of another participant, who may come back.
        Remove,
        /// End the stay of another participant and keep them out.
        Ban,
        /// Let a banned participant in again.
        LiftBan,
        /// Delete a message of another participant.
        DeleteOthersMessage,
        /// Pin a message, or unpin it.
        Pin,
        /// Delete every message of the room.
        ClearMessages,
        /// Announce something to everybody in the room.
        Announce,
        /// Change the settings and the password of the room.
        ChangeSettings,
        /// Admit people from the lobby, or turn them away.
        Admit,
        /// Make an invite for a role below one's own, and see one's own invites.
        Invite,
        /// Revoke an invite of one's own.
        RevokeInvite,
        /// Revoke an invite of another participant.
        RevokeOthersInvite,
        /// End the meeting for everybody.
        EndMeeting,
    }
}

/// What an action requires of the participant who asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Every role may do it.
    Anybody,
    /// The room allows this feature to the role.
    Feature(Feature),
    /// The role is at least this one. An action on another participant requires a higher rank than
    /// theirs, too.
    AtLeast(Role),
}

impl Action {
    /// What the action requires.
    pub const fn requirement(self) -> Requirement {
        match self {
            Self::DeleteMessage | Self::RemoveReaction | Self::JoinCall | Self::ReceiveFiles => {
                Requirement::Anybody
            }
            Self::SendMessage | Self::EditMessage | Self::React | Self::Type => {
                Requirement::Feature(Feature::Chat)
            }
            Self::ShareFiles => Requirement::Feature(Feature::Files),
            Self::ChangeNickname => Requirement::Feature(Feature::Rename),
            Self::UseMicrophone => Requirement::Feature(Feature::Microphone),
            Self::UseCamera => Requirement::Feature(Feature::Camera),
            Self::ShareScreen => Requirement::Feature(Feature::Screen),
            Self::Invite | Self::RevokeInvite => Requirement::Feature(Feature::Invite),
            Self::Mute
            | Self::StopCamera
            | Self::StopScreen
            | Self::AskToUnmute
            | Self::RenameOther
            | Self::ChangeRole
            | Self::Remove
            | Self::Ban
            | Self::LiftBan
            | Self::DeleteOthersMessage
            | Self::Pin
            | Self::Announce
            | Self::ChangeSettings
            | Self::Admit
            | Self::RevokeOthersInvite => Requirement::AtLeast(Role::CoHost),
            Self::ClearMessages | Self::EndMeeting => Requirement::AtLeast(Role::Host),
        }
    }
}

/// Why an action is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The room does not allow this feature to the role.
    FeatureOff(Feature),
    /// The action requires this role.
    RoleTooLow(Role),
    /// The other participant's role is not below one's own.
    TargetNotBelow,
}

/// Decides whether a participant of the role `actor` may do something, in a room with these powers.
/// `target` is the role of the other participant whom the action concerns, if there is one.
///
/// # Errors
/// Why it is not allowed.
pub fn permit(
    actor: Role,
    action: Action,
    target: Option<Role>,
    powers: &Powers,
) -> Result<(), Denial> {
    match action.requirement() {
        Requirement::Anybody => Ok(()),
        Requirement::Feature(feature) => match powers.of(actor).has(feature) {
            true => Ok(()),
            false => Err(Denial::FeatureOff(feature)),
        },
        Requirement::AtLeast(role) if actor < role => Err(Denial::RoleTooLow(role)),
        Requirement::AtLeast(_) => match target {
            Some(target) if target >= actor => Err(Denial::TargetNotBelow),
            Some(_) | None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_acts_on_a_participant_of_the_same_or_a_higher_rank() {
        let powers = Powers::default();
        for actor in Role::ALL {
            for action in Action::ALL {
                let Requirement::AtLeast(lowest) = action.requirement() else {
                    continue;
                };
                for target in Role::ALL {
                    let allowed = permit(actor, action, Some(target), &powers).is_ok();
                    assert_eq!(
                        allowed,
                        actor >= lowest && target < actor,
                        "{actor:?} {action:?} {target:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn powers_bind_the_roles_below_co_host_only() {
        let none = FeatureSet::default();
        let powers = Powers {
            viewer: none,
            guest: none,
            speaker: none,
        };
        for role in Role::ALL {
            for action in Action::ALL {
                if let Requirement::Feature(feature) = action.requirement() {
                    let expected = match role.moderates() {
                        true => Ok(()),
                        false => Err(Denial::FeatureOff(feature)),
                    };
                    assert_eq!(permit(role, action, None, &powers), expected);
                }
            }
        }
    }

    #[test]
    fn a_guest_of_a_new_room_takes_part_and_does_nothing_to_others() {
        let powers = Powers::default();
        for action in Action::ALL {
            let allowed = permit(Role::Guest, action, None, &powers).is_ok();
            let moderates = matches!(action.requirement(), Requirement::AtLeast(_));
            let invites = matches!(action, Action::Invite | Action::RevokeInvite);
            assert_eq!(allowed, !moderates && !invites, "{action:?}");
        }
        assert!(!powers.guest.has(Feature::Invite));
    }

    #[test]
    fn a_feature_set_is_a_list_of_names_and_ignores_unknown_ones() {
        let set = FeatureSet::of(&[Feature::Chat, Feature::Camera]);
        let json = serde_json::to_string(&set).expect("serialises");
        assert_eq!(json, r#"["camera","chat"]"#);
        let newer = r#"["camera","telepathy",7,"chat"]"#;
        assert_eq!(serde_json::from_str::<FeatureSet>(newer).ok(), Some(set));
        assert_eq!(FeatureSet::ALL.iter().count(), Feature::ALL.len());
    }

    #[test]
    fn every_role_serialises_to_its_name() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).expect("serialises"), role.name());
        }
    }
}
