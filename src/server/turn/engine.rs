//! What happens to a frame: the way in for listeners, and the order of the checks.
//!
//! Sans-IO but for the sending: a listener hands in a frame with the moment it came, and gets
//! back what to answer. The lock is held for table look-ups only, never while something is
//! sent or the SFU is called with a packet. Requests are answered in [`super::methods`],
//! packets are passed on in [`super::forward`].

use super::{
    allocations::{Owner, Table},
    client::{Client, Path},
    credentials::{Credentials, Secret, holder},
    external::External,
    frame::{self, Frame, Malformed},
    local_peer::MediaPort,
    nonce::Nonces,
    options::{TurnOptions, UNPROVEN},
    request::Request,
    response::Answer,
    stats::{Loss, Refusal, Stats},
};
use crate::server::net::AddressRates;
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};
use turn_server::codec::{
    Attributes,
    message::{
        attributes::{AttributeType, MessageIntegrity, Nonce, Realm, UserName},
        methods::{Method, MethodType::Request as Asked},
    },
};

/// Bytes of the smallest request a client begins with: Allocate with REQUESTED-TRANSPORT.
const SMALLEST_BEGINNING: usize = frame::HEADER_BYTES + 8;

/// When something came, by both clocks: spans by one, credentials by the other.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Never goes back.
    pub instant: Instant,
    /// What the world calls it.
    pub wall: SystemTime,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}

/// The server without its sockets.
pub struct Engine {
    /// Makes and checks credentials.
    pub secret: Secret,
    /// Counts.
    pub stats: Stats,
    /// The addresses relay addresses are made of.
    pub external: External,
    /// The SFU.
    pub(super) media: Arc<dyn MediaPort>,
    /// The realm of the credentials.
    realm: String,
    /// Makes and checks nonces.
    nonces: Nonces,
    /// How often strangers are answered.
    strangers: AddressRates,
    /// The allocations.
    table: Mutex<Table>,
}

impl Engine {
    /// A server nobody uses yet.
    pub fn new(options: &TurnOptions, media: Arc<dyn MediaPort>, now: Instant) -> Self {
        Self {
            secret: Secret::random(),
            stats: Stats::default(),
            external: External::new(options.external.clone()),
            media,
            realm: options.realm.clone(),
            nonces: Nonces::new(now),
            strangers: AddressRates::new(UNPROVEN),
            table: Mutex::new(Table::new(options.limits)),
        }
    }

    /// Credentials for somebody who is in a room's call; none where there are as many people in
    /// calls as there may be.
    pub fn credentials(&self, user: &str, room: &str, now: Moment) -> Option<Credentials> {
        let holder = self.table().enter(user, room, now.instant)?;
        Some(self.secret.credentials(&holder, now.wall))
    }

    /// Takes in a frame and gives the answer, if there is one.
    ///
    /// # Errors
    /// It is no frame; a stream is to be closed then.
    pub fn handle(
        &self,
        (client, path): (&Client, &Path),
        bytes: &[u8],
        now: Moment,
    ) -> Result<Option<Bytes>, Malformed> {
        match frame::parse(bytes) {
            Ok(Frame::Channel { number, payload }) => {
                self.forward_channel(client, number, payload, now.instant);
                Ok(None)
            }
            Ok(Frame::Stun(message)) => Ok(self.message((client, path), message, now)),
            Err(malformed) => {
                self.stats.lost(Loss::Malformed);
                Err(malformed)
            }
        }
    }

    /// Takes in a STUN message.
    fn message(&self, from: (&Client, &Path), message: &[u8], now: Moment) -> Option<Bytes> {
        let mut attributes = Attributes::default();
        let request = Request::read(message, &mut attributes)?;
        match request.method() {
            Method::Binding(Asked) => self.binding(from.0, &request),
            Method::SendIndication => {
                self.forward_indication(from.0, &request, now.instant);
                None
            }
            Method::Allocate(Asked)
            | Method::Refresh(Asked)
            | Method::CreatePermission(Asked)
            | Method::ChannelBind(Asked) => self.question(from, &request, now),
            _ => None,
        }
    }

    /// Tells a client its address as we see it.
    fn binding(&self, client: &Client, request: &Request<'_>) -> Option<Bytes> {
        let unknown = request.unknown();
        if !unknown.is_empty() {
            self.stats.refused(Refusal::UnknownAttribute);
            let refusal = Answer::refusal(request, Refusal::UnknownAttribute);
            return self.to_stranger(client, refusal.unknown(&unknown));
        }
        let mapped = AttributeType::XorMappedAddress;
        self.to_stranger(
            client,
            Answer::success(request).address(mapped, client.source),
        )
    }

    /// Takes in a request that needs credentials.
    fn question(
        &self,
        from: (&Client, &Path),
        request: &Request<'_>,
        now: Moment,
    ) -> Option<Bytes> {
        let owner = match self.prove(from.0, request, now) {
            Ok(owner) => owner,
            Err(why) => return self.turn_away(from.0, request, why, now.instant),
        };
        let unknown = request.unknown();
        let answer = match unknown.is_empty() {
            true => self.ask(from, owner.clone(), request, now.instant),
            false => Err(Refusal::UnknownAttribute),
        };
        let answer = answer.unwrap_or_else(|why| {
            self.stats.refused(why);
            let refusal = Answer::refusal(request, why);
            match why {
                Refusal::UnknownAttribute => refusal.unknown(&unknown),
                _ => refusal,
            }
        });
        Some(answer.signed(&owner.key))
    }

    /// Who signed a request, by long-term credentials (RFC 8489, section 9.2.4).
    ///
    /// An allocation's own username goes on beyond its expiry: browsers keep it for as long as
    /// they keep the allocation, and that ends with the stay it was made in.
    fn prove(&self, client: &Client, request: &Request<'_>, now: Moment) -> Result<Owner, Refusal> {
        if request.get::<MessageIntegrity>().is_none() {
            // A challenge is larger than the smallest question a client begins with. Whoever
            // asks less is no client, and gets less.
            let begins = request.size() >= SMALLEST_BEGINNING;
            return Err(if begins {
                Refusal::Unauthorized
            } else {
                Refusal::BadRequest
            });
        }
        let username = request.get::<UserName>().ok_or(Refusal::BadRequest)?;
        let realm = request.get::<Realm>().ok_or(Refusal::BadRequest)?;
        let nonce = request.get::<Nonce>().ok_or(Refusal::BadRequest)?;
        if !self.nonces.accepts(client, nonce, now.instant) {
            return Err(Refusal::StaleNonce);
        }
        let known = self.owner(client, username, now.instant);
        let owner = known.or_else(|| self.newcomer(username, now.wall));
        let proven =
            owner.filter(|owner| realm == self.realm && request.is_signed_with(&owner.key));
        proven.ok_or(Refusal::Unauthorized)
    }

    /// The owner of the client's allocation, if that is the name.
    fn owner(&self, client: &Client, username: &str, now: Instant) -> Option<Owner> {
        let mut table = self.table();
        let owner = &table.of(client, now)?.owner;
        (owner.username == username).then(|| owner.clone())
    }

    /// Who a username says it is, where that stay still lasts; the signature is still to be
    /// checked.
    fn newcomer(&self, username: &str, now: SystemTime) -> Option<Owner> {
        let holder = holder(username, now)?;
        let is_live = self.table().is_live(&holder);
        is_live.then(|| Owner {
            username: username.to_owned(),
            holder,
            key: self.secret.key(username, &self.realm),
        })
    }

    /// Answers whoever proved nothing, with what is needed to try again.
    fn turn_away(
        &self,
        client: &Client,
        request: &Request<'_>,
        why: Refusal,
        now: Instant,
    ) -> Option<Bytes> {
        self.stats.refused(why);
        let answer = Answer::refusal(request, why);
        let answer = match why {
            Refusal::BadRequest => answer,
            _ => answer
                .attribute(AttributeType::Realm as u16, self.realm.as_bytes())
                .attribute(
                    AttributeType::Nonce as u16,
                    self.nonces.make(client, now).as_bytes(),
                ),
        };
        self.to_stranger(client, answer)
    }

    /// Answers a stranger, unless its address got enough.
    fn to_stranger(&self, client: &Client, answer: Answer) -> Option<Bytes> {
        if !self.strangers.allow(client.source.ip()) {
            self.stats.lost(Loss::Unproven);
            return None;
        }
        Some(answer.unsigned())
    }

    /// The table, for a few lines. A panic while it was held left no half-done change that
    /// matters: it goes on.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
