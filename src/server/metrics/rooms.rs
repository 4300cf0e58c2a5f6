//! Counters of rooms and of connections to rooms.

use super::Labelled;
use crate::protocol::ErrorCode;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Counters of the rooms of one server. Clones share the numbers.
#[derive(Debug, Clone, Default)]
pub struct RoomMetrics {
    /// Frames queued to clients, counted for each receiver.
    pub frames: Counter,
    /// Clients closed with 4408 because they read too slowly.
    pub slow_clients: Counter,
    /// Joins, including those of participants who return.
    joins: Counter,
    /// Joins that request to resume, by `outcome`: `resumed` or `snapshot`.
    resumes: Labelled,
    /// Refusals, by `code`.
    refusals: Labelled,
    /// Refusals of a chat message, an edit, a deletion or a reaction.
    messages_refused: Counter,
}

impl RoomMetrics {
    /// Counts a join. `requests_resume`: the client sent its last known `seq`. `resumed`: the
    /// client received the events since then, and no snapshot.
    pub fn joined(&self, requests_resume: bool, resumed: bool) {
        self.joins.inc();
        if requests_resume {
            let outcome = if resumed { "resumed" } else { "snapshot" };
            self.resumes
                .get_or_create(&[("outcome", outcome.into())])
                .inc();
        }
    }

    /// Counts a refusal. `is_message`: the refusal is about a chat message.
    pub fn refused(&self, code: ErrorCode, is_message: bool) {
        let labels = [("code", code.name().into())];
        self.refusals.get_or_create(&labels).inc();
        self.messages_refused.inc_by(u64::from(is_message));
    }

    /// Adds the counters to a registry.
    pub fn register(&self, registry: &mut Registry) {
        // Each outcome has a series from the start, so that its first rate is defined.
        for outcome in ["resumed", "snapshot"] {
            drop(self.resumes.get_or_create(&[("outcome", outcome.into())]));
        }
        for (name, help, counter) in [
            (
                "frames",
                "Frames queued to clients, one for each receiver",
                &self.frames,
            ),
            (
                "slow_clients",
                "Clients closed because they read too slowly",
                &self.slow_clients,
            ),
            (
                "joins",
                "Joins, also of participants who return",
                &self.joins,
            ),
            (
                "messages_refused",
                "Messages and changes of messages that were refused",
                &self.messages_refused,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "resumes",
            "Joins that asked to resume",
            self.resumes.clone(),
        );
        registry.register(
            "refusals",
            "Refusals sent to clients, by code",
            self.refusals.clone(),
        );
    }
}
