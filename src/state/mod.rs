//! What a person sees, as plain data that [`crate::protocol::ServerMessage`]s change.

pub mod call;
