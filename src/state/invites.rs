//! The invites of a room as those who may make invites see them.

use crate::protocol::{Invite, InviteId, Role, ServerMessage};
use crate::state::rows::OffsetMinutes;

/// Seconds of one hour.
const HOUR_S: u32 = 60 * 60;
/// Milliseconds of one minute.
const MINUTE_MS: i64 = 60 * 1000;

/// The invites, as the server last listed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invites {
    /// The invites that have not expired, oldest first; `None` before the first list.
    pub list: Option<Vec<Invite>>,
    /// The invite that this participant made last, while the list has it.
    pub created: Option<InviteId>,
}

impl Invites {
    /// Applies a message of the server. Returns whether anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        let ServerMessage::Invites { invites, created } = message else {
            return false;
        };
        let has = |id: &InviteId| invites.iter().any(|invite| invite.id == *id);
        let kept = self.created.take();
        self.created = created.clone().or(kept).filter(has);
        self.list = Some(invites.clone());
        true
    }

    /// The invites, newest first.
    pub fn newest_first(&self) -> Vec<Invite> {
        self.list.iter().flatten().rev().cloned().collect()
    }

    /// How many participants have used an invite; `None` if it is no longer listed.
    pub fn used(&self, id: &InviteId) -> Option<u32> {
        let invite = self.list.iter().flatten().find(|one| one.id == *id);
        invite.map(|invite| invite.used)
    }
}

/// The roles that a participant of this role may give by an invite, the usual one first.
pub fn offered_roles(mine: Role) -> Vec<Role> {
    let may_give = |role: &Role| match mine.moderates() {
        true => *role < mine,
        false => *role <= mine.min(Role::Guest),
    };
    let mut roles: Vec<_> = Role::ALL.into_iter().filter(may_give).collect();
    roles.sort_by_key(|role| !role.is_default());
    roles
}

/// How long an invite lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It lasts one day.
    Day,
    /// It lasts one hour.
    Hour,
    /// It lasts one week.
    Week,
    /// Until it is revoked.
    Never,
}

impl Lifetime {
    /// All, the usual one first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Hour, Self::Week, Self::Never];

    /// The seconds; `None` for an invite that does not expire.
    pub fn seconds(self) -> Option<u32> {
        match self {
            Self::Hour => Some(HOUR_S),
            Self::Day => Some(24 * HOUR_S),
            Self::Week => Some(7 * 24 * HOUR_S),
            Self::Never => None,
        }
    }
}

/// How many participants an invite lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// It lets one participant in.
    One,
    /// It lets ten participants in.
    Ten,
    /// It lets in as many as come.
    Any,
}

impl Uses {
    /// All, the usual one first.
    pub const ALL: [Self; 3] = [Self::One, Self::Ten, Self::Any];

    /// The number; `None` for an invite that does not count.
    pub fn number(self) -> Option<u32> {
        match self {
            Self::One => Some(1),
            Self::Ten => Some(10),
            Self::Any => None,
        }
    }
}

/// How long the event of a calendar file lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// From the opening of the room to its closing.
    Window,
    /// It lasts one hour.
    Hour,
    /// It lasts half an hour.
    HalfHour,
    /// It lasts two hours.
    TwoHours,
    /// It lasts four hours.
    FourHours,
    /// It lasts one day.
    Day,
}

impl Length {
    /// The lengths without [`Self::Window`], the usual one first.
    pub const FIXED: [Self; 5] = [
        Self::Hour,
        Self::HalfHour,
        Self::TwoHours,
        Self::FourHours,
        Self::Day,
    ];

    /// The minutes; `None` for the window of the room.
    pub fn minutes(self) -> Option<i64> {
        match self {
            Self::Window => None,
            Self::HalfHour => Some(30),
            Self::Hour => Some(60),
            Self::TwoHours => Some(120),
            Self::FourHours => Some(240),
            Self::Day => Some(24 * 60),
        }
    }

    /// When an event ends that starts at `starts`; `closes` is when the room closes. `None` if it would
    /// not end after its start.
    pub fn end(self, starts: i64, closes: Option<i64>) -> Option<i64> {
        let ends = match self.minutes() {
            Some(minutes) => starts.checked_add(minutes * MINUTE_MS),
            None => closes,
        };
        ends.filter(|ends| *ends > starts)
    }
}

/// When the calendar file proposes to start: when the room opens if that is to come, otherwise at the
/// next full hour of local time.
pub fn proposed_start(opens: Option<i64>, now: i64, offset: OffsetMinutes) -> i64 {
    if let Some(opens) = opens.filter(|opens| *opens > now) {
        return opens;
    }
    let shift = i64::from(offset(now)) * MINUTE_MS;
    let hour = i64::from(HOUR_S) * 1000;
    ((now + shift).div_euclid(hour) + 1) * hour - shift
}

/// The moment of such a field, whose number is its local time taken for UTC. `None` for an empty
/// field, whose number is not one.
pub fn local_moment(number: f64, offset: OffsetMinutes) -> Option<i64> {
    // The year 9999 ends before this number.
    if !(0.0..3e14).contains(&number) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "in the range of i64")]
    let local_ms = number as i64;
    let shift = |at| i64::from(offset(at)) * MINUTE_MS;
    // The offset of about that moment leads to the moment, whose offset may differ around a change
    // of the clocks.
    Some(local_ms - shift(local_ms - shift(local_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::InviteToken;
    use crate::state::rows::datetime_value;

    fn invite(id: &str, used: u32) -> Invite {
        Invite {
            id: InviteId::parse(id).expect("valid"),
            token: InviteToken::parse(&"A".repeat(34)).expect("valid"),
            role: Role::Guest,
            name: None,
            expires: None,
            uses: Some(3),
            used,
        }
    }

    fn listed(invites: &[Invite], created: Option<&Invite>) -> ServerMessage {
        ServerMessage::Invites {
            invites: invites.to_vec(),
            created: created.map(|invite| invite.id.clone()),
        }
    }

    #[test]
    fn the_new_invite_is_known_until_it_is_no_longer_listed() {
        let (first, second) = (invite("aaaaaaaaaaaa", 0), invite("bbbbbbbbbbbb", 2));
        let mut invites = Invites::default();
        assert!(!invites.apply(&ServerMessage::Pong));
        assert!(invites.apply(&listed(&[first.clone(), second.clone()], Some(&second))));
        assert_eq!(invites.created.as_ref(), Some(&second.id));
        let ids: Vec<_> = invites
            .newest_first()
            .into_iter()
            .map(|one| one.id)
            .collect();
        assert_eq!(ids, [second.id.clone(), first.id.clone()]);
        invites.apply(&listed(&[first.clone(), second.clone()], None));
        assert_eq!(invites.created.as_ref(), Some(&second.id));
        assert_eq!(invites.used(&second.id), Some(2));
        invites.apply(&listed(&[first], None));
        assert_eq!(
            (invites.created.clone(), invites.used(&second.id)),
            (None, None)
        );
    }

    #[test]
    fn an_invite_gives_a_role_below_the_own_one_and_guests_invite_guests() {
        use Role::{CoHost, Guest, Host, Speaker, Viewer};
        assert_eq!(offered_roles(Host), [Guest, Viewer, Speaker, CoHost]);
        assert_eq!(offered_roles(CoHost), [Guest, Viewer, Speaker]);
        assert_eq!(offered_roles(Speaker), [Guest, Viewer]);
        assert_eq!(offered_roles(Guest), [Guest, Viewer]);
        assert_eq!(offered_roles(Viewer), [Viewer]);
    }

    #[test]
    fn an_event_starts_with_the_room_or_at_the_next_full_hour() {
        let half_hour_zone: OffsetMinutes = &|_| 330;
        let now = 1_800_000_000_000;
        assert_eq!(proposed_start(Some(now + 1), now, half_hour_zone), now + 1);
        let next = proposed_start(Some(now - 1), now, half_hour_zone);
        assert_eq!(datetime_value(now, 330), "2027-01-15T13:30");
        assert_eq!(datetime_value(next, 330), "2027-01-15T14:00");
        assert_eq!(Length::Hour.end(next, None), Some(next + 60 * MINUTE_MS));
        assert_eq!(Length::Window.end(next, Some(next + 5)), Some(next + 5));
        assert_eq!(Length::Window.end(next, Some(next)), None);
        assert_eq!(Length::Window.end(next, None), None);
        assert_eq!(Length::Day.end(i64::MAX, None), None);
    }

    #[test]
    fn a_field_holds_the_local_time_also_around_a_change_of_the_clocks() {
        // As in Berlin on 28 March 2027: two hours after UTC from 01:00 UTC on.
        let change = 1_806_195_600_000;
        let offset = |at: i64| if at < change { 60 } else { 120 };
        for at in [change - 3_600_000, change, change + 7_200_000] {
            let number = (at + i64::from(offset(at)) * MINUTE_MS) as f64;
            assert_eq!(local_moment(number, &offset), Some(at));
        }
        for number in [f64::NAN, -1.0, 1e300] {
            assert_eq!(local_moment(number, &offset), None);
        }
    }
}
