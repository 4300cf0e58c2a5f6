//! Direct connections between two members, in the call or not. They carry files.
//!
//! The room routes their signals and hands out ICE servers; no byte of a file passes the server. Who
//! may open a connection is decided by [`super::moderation`]; everybody may answer.

use super::{
    command::{ConnectionId, DirectRequest, Effect, Now},
    room::{Room, refuse},
};
use crate::protocol::{ErrorCode, ParticipantId, ServerMessage, Signal};

impl Room {
    /// Dispatches a request about a direct connection.
    pub(super) fn handle_direct(
        &mut self,
        index: usize,
        connection: ConnectionId,
        request: DirectRequest,
        now: Now,
    ) -> Vec<Effect> {
        match request {
            DirectRequest::Signal { to, signal } => {
                self.route_direct(index, connection, &to, signal, now)
            }
            DirectRequest::IceServers => vec![Effect::Send {
                connection,
                message: ServerMessage::IceServers {
                    ice_servers: self.rules.ice_servers.to_vec(),
                    relay_only: self.rules.hide_addresses,
                },
            }],
        }
    }

    /// Forwards a signal to the member it names. The bytes count against the same limits as
    /// signals of the call.
    fn route_direct(
        &mut self,
        index: usize,
        connection: ConnectionId,
        to: &ParticipantId,
        signal: Signal,
        now: Now,
    ) -> Vec<Effect> {
        if !signal.is_within_limits() {
            return refuse(connection, ErrorCode::SignalTooLong);
        }
        // Media would pass by the mutes of the call.
        if !signal.is_data_only() {
            return refuse(connection, ErrorCode::BadOffer);
        }
        let Some(receiver) = self.index_of(to) else {
            return refuse(connection, ErrorCode::NoSuchPerson);
        };
        if self.rules.hide_addresses && !signal.is_relay_only() {
            return refuse(connection, ErrorCode::AddressesHidden);
        }
        self.relay_signal(index, connection, receiver, None, signal, now)
    }
}
