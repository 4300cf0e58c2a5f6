//! Guests: the participants who were let in without a host, by an invite or by a form without script.
//!
//! They are kept apart from those whom a host let in or gave a role, so that nobody who uses an invite
//! again and again takes a place of others: at the limit the invite that let in most people forgets
//! one of its own.

use crate::protocol::{InviteId, ParticipantId, Role};
use serde::{Deserialize, Serialize};

/// Most guests of whom a room remembers that they were let in. 1,000: half of the largest room.
pub const MAX_GUESTS: usize = 1_000;

/// The guests whom one invite, or the form without script, let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    /// The invite; nothing for the form without script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invite: Option<InviteId>,
    /// The role that they have by it.
    #[serde(default, skip_serializing_if = "Role::is_default")]
    role: Role,
    /// Whether as many may use it as come, so that a guest who was forgotten may use it again.
    #[serde(default)]
    unlimited: bool,
    /// Whether they may return. After a change of the password they have the role only.
    #[serde(default)]
    returns: bool,
    /// The guests, the last one at the end.
    people: Vec<ParticipantId>,
}

/// By what a guest was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetInBy {
    /// The invite; nothing for the form without script.
    pub invite: Option<InviteId>,
    /// The role that the guest has by it.
    pub role: Role,
    /// Whether as many may use it as come.
    pub unlimited: bool,
}

/// A guest who is not remembered any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Former {
    /// The role that the guest had by an invite.
    pub role: Role,
    /// Whether the guest was let in.
    pub was_let_in: bool,
}

/// The guests of a room. Each participant is in it once at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Guests(Vec<Group>);

impl Guests {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|group| group.people.len()).sum()
    }

    /// Whether there are as many as may be.
    pub fn is_full(&self) -> bool {
        self.len() >= MAX_GUESTS
    }

    /// How many have a role by an invite.
    pub fn with_role(&self) -> usize {
        let groups = self.0.iter().filter(|group| !group.role.is_default());
        groups.map(|group| group.people.len()).sum()
    }

    /// The group of a participant.
    fn group_of(&self, id: &ParticipantId) -> Option<&Group> {
        self.0.iter().find(|group| group.people.contains(id))
    }

    /// Whether a participant is a guest.
    pub fn contains(&self, id: &ParticipantId) -> bool {
        self.group_of(id).is_some()
    }

    /// Whether a participant is a guest who may return.
    pub fn may_return(&self, id: &ParticipantId) -> bool {
        self.group_of(id).is_some_and(|group| group.returns)
    }

    /// The role that a participant has by an invite, if it is not the default.
    pub fn role_of(&self, id: &ParticipantId) -> Option<Role> {
        let role = self.group_of(id)?.role;
        (!role.is_default()).then_some(role)
    }

    /// Adds a guest who may return, in place of a former entry. The caller has checked the limit.
    pub fn add(&mut self, id: &ParticipantId, by: LetInBy) {
        self.remove(id);
        let LetInBy {
            invite,
            role,
            unlimited,
        } = by;
        let empty = Group {
            invite,
            role,
            unlimited,
            returns: true,
            people: Vec::new(),
        };
        let is_same = |group: &Group| {
            let people = Vec::new();
            let kind = Group {
                invite: group.invite.clone(),
                people,
                ..*group
            };
            kind == empty
        };
        match self.0.iter().position(is_same) {
            Some(at) => self.0[at].people.push(id.clone()),
            None => self.0.push(Group {
                people: vec![id.clone()],
                ..empty
            }),
        }
    }

    /// Removes a guest.
    pub fn remove(&mut self, id: &ParticipantId) -> Option<Former> {
        let at = self.0.iter().position(|group| group.people.contains(id))?;
        let group = &mut self.0[at];
        group.people.retain(|known| known != id);
        let former = Former {
            role: group.role,
            was_let_in: group.returns,
        };
        self.0.retain(|group| !group.people.is_empty());
        Some(former)
    }

    /// Nobody may return any more. Those with a role keep it.
    pub fn keep_roles_only(&mut self) {
        self.0.retain(|group| !group.role.is_default());
        for group in &mut self.0 {
            group.returns = false;
        }
    }

    /// The guest to forget at the limit for one more by this invite, after `others` who are forgotten
    /// for others whose entry is not durable yet: of the invite without limit that let in most people,
    /// otherwise of this one. Nobody who is here loses a role.
    pub fn to_forget(
        &self,
        invite: Option<&InviteId>,
        others: usize,
        is_here: impl Fn(&ParticipantId) -> bool,
    ) -> Option<ParticipantId> {
        let unlimited = self.0.iter().filter(|group| group.unlimited);
        let largest = unlimited.max_by_key(|group| group.people.len());
        let own = self.0.iter().find(|group| group.invite.as_ref() == invite);
        let groups = largest.into_iter().chain(own);
        let mut found = groups.filter_map(|group| {
            let absent = group.people.iter().filter(|id| !is_here(id));
            let here = group.people.iter().filter(|id| is_here(id));
            let here = here.filter(|_| group.role.is_default());
            let people: Vec<_> = absent.chain(here).collect();
            people.get(others).or(people.last()).copied()
        });
        found.next().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::identity::{new_session_token, participant_id};

    fn person() -> ParticipantId {
        participant_id(&new_session_token())
    }

    fn invite(number: usize) -> InviteId {
        InviteId::parse(&format!("invite-{number:05}")).expect("valid")
    }

    fn by(invite: &InviteId, role: Role, unlimited: bool) -> LetInBy {
        LetInBy {
            invite: Some(invite.clone()),
            role,
            unlimited,
        }
    }

    #[test]
    fn a_guest_is_in_one_group_and_keeps_a_role_only_after_a_change_of_the_password() {
        let (invite, other) = (invite(1), invite(2));
        let (ann, ben) = (person(), person());
        let mut guests = Guests::default();
        guests.add(&ann, by(&invite, Role::Guest, true));
        guests.add(&ben, by(&invite, Role::Guest, true));
        guests.add(&ann, by(&other, Role::Speaker, false));
        assert_eq!((guests.len(), guests.with_role()), (2, 1));
        guests.keep_roles_only();
        assert!(!guests.contains(&ben) && !guests.may_return(&ann));
        assert_eq!(guests.role_of(&ann), Some(Role::Speaker));
        guests.add(&ann, by(&other, Role::Speaker, false));
        assert!(guests.may_return(&ann));
        let former = Former {
            role: Role::Speaker,
            was_let_in: true,
        };
        assert_eq!(guests.remove(&ann), Some(former));
        assert!(guests.is_empty() && guests.remove(&ann).is_none());
    }

    #[test]
    fn the_invite_without_limit_that_let_in_most_people_forgets_one_who_is_not_here() {
        let [large, small, counted] = std::array::from_fn(invite);
        let mut guests = Guests::default();
        let mut add = |invite: &InviteId, role, unlimited| {
            let id = person();
            guests.add(&id, by(invite, role, unlimited));
            id
        };
        let counted_people: Vec<_> = (0..5).map(|_| add(&counted, Role::Guest, false)).collect();
        let many: Vec<_> = (0..3).map(|_| add(&large, Role::Viewer, true)).collect();
        add(&small, Role::Guest, true);
        for invite in [&large, &small, &counted] {
            let forgotten = guests.to_forget(Some(invite), 0, |id| *id == many[0]);
            assert_eq!(forgotten.as_ref(), Some(&many[1]), "the first one is here");
            let next = guests.to_forget(Some(invite), 1, |id| *id == many[0]);
            assert_eq!(next.as_ref(), Some(&many[2]));
        }
        // While all of them are here, only an invite's own people are forgotten for it.
        let here = |id: &ParticipantId| many.contains(id);
        assert_eq!(guests.to_forget(Some(&large), 0, here), None);
        let own = guests.to_forget(Some(&counted), 0, here);
        assert_eq!(own.as_ref(), Some(&counted_people[0]));
    }
}
