//! The checks of a request to enter a room before the room sees it: rates, invite and password. The
//! same for a `join` over a connection and for a form without script.

use super::{
    context::AppContext,
    error::refusal_of_rate,
    log_throttle::LogThrottle,
    net::{Network, RequestKind, ban_network},
    rooms::{RoomError, RoomHandle, ShownPassword},
};
use crate::protocol::{
    ChatText, ErrorCode, InviteId, InviteToken, MAX_KNOCK_CHARS, RoomName, RoomPassword,
};
use std::net::IpAddr;

/// What somebody shows who asks to enter, as received.
#[derive(Debug, Default)]
pub struct Shown {
    /// The invite to the room.
    pub invite: Option<InviteToken>,
    /// The password of the room.
    pub password: Option<RoomPassword>,
    /// What the hosts read where the person waits in the lobby.
    pub line: Option<String>,
}

/// A request to enter that has passed the checks.
pub struct CheckedEntry {
    /// The room to enter.
    pub room: RoomHandle,
    /// The invite, which the server has signed for this room.
    pub invite: Option<InviteId>,
    /// What the person shows about the password of the room.
    pub password: ShownPassword,
    /// What the hosts read where the person waits in the lobby.
    pub line: Option<ChatText>,
    /// The network of the client; nothing for an address that is exempt from limits.
    pub network: Option<Network>,
}

impl AppContext {
    /// Checks a request of this address to enter a room, and charges its rates.
    ///
    /// # Errors
    /// The code of the refusal.
    pub async fn check_entry(
        &self,
        name: &RoomName,
        ip: IpAddr,
        shown: Shown,
    ) -> Result<CheckedEntry, ErrorCode> {
        let line = shown.line.filter(|line| !line.trim().is_empty());
        let line = line.map(|line| parse_text(&line, MAX_KNOCK_CHARS));
        let rooms = &self.rooms;
        let room = rooms.open(name).map_err(RoomError::code)?;
        self.charge(RequestKind::Join, ip, 1)?;
        // A forged invite is refused before anybody looks for the room.
        let invite = shown.invite.map(|token| rooms.verify_invite(name, &token));
        let invite = invite.transpose()?;
        self.charge_new_room(name, ip).await?;
        Ok(CheckedEntry {
            invite,
            password: self.verify_password(&room, ip, shown.password).await?,
            line: line.transpose()?,
            network: ban_network(ip),
            room,
        })
    }

    /// Charges the rates of a room that is not open, or that was never used.
    ///
    /// # Errors
    /// The address exceeds its rate.
    pub async fn charge_new_room(&self, name: &RoomName, ip: IpAddr) -> Result<(), ErrorCode> {
        if !self.rooms.is_open(name) {
            self.charge(RequestKind::NewRoom, ip, 1)?;
            if self.rooms.is_new(name).await {
                self.charge(RequestKind::NewName, ip, 1)?;
            }
        }
        Ok(())
    }

    /// Verifies what somebody at this address shows as the password of a room.
    async fn verify_password(
        &self,
        room: &RoomHandle,
        ip: IpAddr,
        shown: Option<RoomPassword>,
    ) -> Result<ShownPassword, ErrorCode> {
        let Some(shown) = shown else {
            return Ok(ShownPassword::Nothing);
        };
        match room.password().await.map_err(RoomError::code)? {
            Some(known) => {
                let passwords = &self.room_passwords;
                let verified = passwords.verify(room.name(), ip, &shown, known).await;
                // Who needs no password, such as a host, enters although others have guessed.
                Ok(verified.unwrap_or(ShownPassword::Unverified))
            }
            None => Ok(ShownPassword::Nothing),
        }
    }

    /// Charges the rate of an address. Called after all other checks of a connection, so that only
    /// the room or the store can refuse a charged message.
    ///
    /// # Errors
    /// The address exceeds its rate.
    pub fn charge(&self, kind: RequestKind, ip: IpAddr, amount: u32) -> Result<(), ErrorCode> {
        let Err(limit) = self.request_rates.try_take(kind, ip, amount) else {
            return Ok(());
        };
        static REFUSED: LogThrottle = LogThrottle::new();
        if let Some(count) = REFUSED.record() {
            tracing::warn!(
                kind = kind.name(),
                count,
                limit = limit.name(),
                "more was asked for than --address-rates or --total-rates allow"
            );
        }
        Err(refusal_of_rate(kind, limit))
    }
}

/// Parses a short text for or by a host.
///
/// # Errors
/// [`ErrorCode::BadText`] if it is empty, too long, or holds control characters.
pub fn parse_text(text: &str, max_chars: usize) -> Result<ChatText, ErrorCode> {
    let text = ChatText::parse(text).map_err(|_| ErrorCode::BadText)?;
    match text.as_str().chars().count() <= max_chars {
        true => Ok(text),
        false => Err(ErrorCode::BadText),
    }
}
