//! What was said.

use super::{ChatText, MessageId, Person};
use serde::{Deserialize, Serialize};

/// The place of a durable event in its room's log: 1, 2, 3, … in one [`super::Epoch`].
/// 0 is "before anything happened".
pub type Seq = u64;

/// How many messages a newcomer is given, and the default of a `history` page.
pub const HISTORY_PAGE: u32 = 50;
/// The largest `history` page, in messages. A larger `limit` is answered with this many.
pub const MAX_HISTORY_PAGE: u32 = 200;

/// One durable chat message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Its place in the room's order.
    pub seq: Seq,
    /// The id its author's client made.
    pub id: MessageId,
    /// Who said it, under the nickname of that moment.
    pub from: Person,
    /// What was said.
    pub text: ChatText,
    /// When the server took it, in milliseconds since the Unix epoch.
    pub at: i64,
}
