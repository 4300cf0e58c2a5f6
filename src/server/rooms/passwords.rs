//! Verifies the passwords of rooms, beside the rooms.
//!
//! A try counts before it is verified, so that tries at the same time count, too; a right one is
//! taken back. Loopback counts as any other address.

use super::core::command::ShownPassword;
use crate::{
    protocol::{ErrorCode, RoomName, RoomPassword},
    server::{
        net::{KeyedRateLimiter, subscriber},
        password_hasher::{PasswordHash, PasswordHasher},
        token_bucket::Quota,
    },
};
use std::net::IpAddr;
use tokio::runtime::Handle;

/// Within which the tries below come back. 15 min.
const WITHIN_S: f64 = 15.0 * 60.0;
/// Wrong tries of one subscriber (an IPv4 address or an IPv6 /64) in one room. 10: a
/// class behind one address, in which some mistype it.
const PER_ADDRESS: f64 = 10.0;
/// Wrong tries in one room. 300: from 30 addresses, and as many hashes take some seconds.
const PER_ROOM: f64 = 300.0;

/// Verifies the passwords of all rooms. Bounded in time by the tries, and in memory by the hasher.
pub struct RoomPasswords {
    /// Hashes passwords at the priority of pages.
    hasher: PasswordHasher,
    /// The tries of each subscriber in each room.
    of_address: KeyedRateLimiter,
    /// The tries in each room.
    of_room: KeyedRateLimiter,
}

impl RoomPasswords {
    /// Without any try. Passwords are hashed on the blocking threads of this runtime.
    pub fn new(threads: Handle) -> Self {
        Self {
            hasher: PasswordHasher::beside_others(threads),
            of_address: KeyedRateLimiter::with_quota(Quota::new(
                PER_ADDRESS / WITHIN_S,
                PER_ADDRESS,
            )),
            of_room: KeyedRateLimiter::with_quota(Quota::new(PER_ROOM / WITHIN_S, PER_ROOM)),
        }
    }

    /// Verifies what somebody at this address shows as the password of a room that has this hash.
    ///
    /// # Errors
    /// [`ErrorCode::TooManyGuesses`]; nothing was hashed.
    pub async fn verify(
        &self,
        room: &RoomName,
        ip: IpAddr,
        shown: &RoomPassword,
        known: PasswordHash,
    ) -> Result<ShownPassword, ErrorCode> {
        let key = (room.clone(), subscriber(ip));
        let of_address = self.of_address.take(&key);
        let of_address = of_address.ok_or(ErrorCode::TooManyGuesses)?;
        let Some(of_room) = self.of_room.take(room) else {
            self.of_address.give_back(&of_address);
            return Err(ErrorCode::TooManyGuesses);
        };
        let password = shown.expose().to_owned();
        if !self.hasher.verify(password, Some(known.clone())).await {
            return Ok(ShownPassword::Wrong);
        }
        self.of_address.give_back(&of_address);
        self.of_room.give_back(&of_room);
        Ok(ShownPassword::Of(known))
    }

    /// Hashes a new password of a room. A try counts as a wrong one, so that nobody has many hashed.
    ///
    /// # Errors
    /// [`ErrorCode::TooManyGuesses`], or [`ErrorCode::Unavailable`] if there is no memory for it.
    pub async fn hash(
        &self,
        room: &RoomName,
        ip: IpAddr,
        password: &RoomPassword,
    ) -> Result<PasswordHash, ErrorCode> {
        let key = (room.clone(), subscriber(ip));
        self.of_address
            .take(&key)
            .ok_or(ErrorCode::TooManyGuesses)?;
        let hash = self.hasher.hash(password.expose().to_owned()).await;
        hash.ok_or(ErrorCode::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> RoomPassword {
        RoomPassword::parse(text).expect("valid")
    }

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).expect("valid")
    }

    #[tokio::test]
    async fn an_address_has_ten_wrong_tries_in_a_room_and_right_ones_do_not_count() {
        let passwords = RoomPasswords::new(Handle::current());
        let hash = PasswordHasher::default().hash("correct".to_owned()).await;
        let hash = hash.expect("hashed");
        let try_at = async |name: &str, ip: &str, text: &str| {
            let ip = ip.parse().expect("an address");
            passwords
                .verify(&room(name), ip, &password(text), hash.clone())
                .await
        };
        let (near, far) = ("127.0.0.1", "192.0.2.1");
        for _ in 0..20 {
            let right = ShownPassword::Of(hash.clone());
            assert_eq!(try_at("a", near, "correct").await, Ok(right));
        }
        for _ in 0..10 {
            assert_eq!(try_at("a", near, "wrong").await, Ok(ShownPassword::Wrong));
        }
        let too_many = Err(ErrorCode::TooManyGuesses);
        assert_eq!(try_at("a", near, "correct").await, too_many);
        assert!(try_at("a", far, "correct").await.is_ok(), "another address");
        assert!(try_at("b", near, "correct").await.is_ok(), "another room");
    }
}
