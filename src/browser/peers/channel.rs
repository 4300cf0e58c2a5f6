//! The data channel of one connection: reliable, ordered, and agreed upon beforehand.

use super::bytes::{call, get, number, to_js};
use crate::browser::dom::js::Listener;
use crate::state::transfers::frame::chunk_bytes;
use js_sys::{Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, EventTarget, RtcPeerConnection};

/// The id of the channel that carries files.
const FILES_CHANNEL: f64 = 0.0;
/// Most bytes in the queue of the browser. 8 MiB: half of what Chromium queues before it closes the
/// channel, and enough for a fast path.
const MAX_QUEUED_BYTES: f64 = 8.0 * 1024.0 * 1024.0;
/// Queued bytes at which sending goes on.
const LOW_QUEUE_BYTES: f64 = 2.0 * 1024.0 * 1024.0;

/// What happens on a channel.
pub enum ChannelEvent {
    /// It is open.
    Open,
    /// It is closed.
    Closed,
    /// The queue is nearly empty.
    Drained,
    /// A binary message arrived, as an `ArrayBuffer`.
    Message(JsValue),
}

/// The channel of a peer connection.
pub struct Channel {
    channel: JsValue,
    connection: RtcPeerConnection,
    _listeners: Vec<Listener>,
}

impl Channel {
    /// Creates the channel on a new connection, before its first description.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn create(
        connection: &RtcPeerConnection,
        on_event: impl Fn(ChannelEvent) + Clone + 'static,
    ) -> Result<Self, JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"negotiated".into(), &JsValue::TRUE)?;
        Reflect::set(&options, &"id".into(), &FILES_CHANNEL.into())?;
        let channel = call(
            connection,
            "createDataChannel",
            &[&"files".into(), &options],
        )?;
        Reflect::set(&channel, &"binaryType".into(), &"arraybuffer".into())?;
        let low = LOW_QUEUE_BYTES.into();
        Reflect::set(&channel, &"bufferedAmountLowThreshold".into(), &low)?;
        let target: &EventTarget = channel.unchecked_ref();
        let listen = |name, event: fn(&Event) -> ChannelEvent| {
            let on_event = on_event.clone();
            Listener::new(target, name, move |found| on_event(event(&found)))
        };
        let listeners = vec![
            listen("open", |_| ChannelEvent::Open),
            listen("close", |_| ChannelEvent::Closed),
            listen("bufferedamountlow", |_| ChannelEvent::Drained),
            listen("message", |event| ChannelEvent::Message(get(event, "data"))),
        ];
        Ok(Self {
            channel,
            connection: connection.clone(),
            _listeners: listeners,
        })
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        get(&self.channel, "readyState").as_string().as_deref() == Some("open")
    }

    /// Whether the queue has room for more of a file.
    pub fn has_room(&self) -> bool {
        number(&self.channel, "bufferedAmount") < MAX_QUEUED_BYTES
    }

    /// The bytes of a file in one message.
    pub fn chunk_bytes(&self) -> usize {
        let transport = get(&self.connection, "sctp");
        chunk_bytes(match transport.is_object() {
            true => number(&transport, "maxMessageSize"),
            false => 0.0,
        })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The channel is not open, or its queue is full.
    pub fn send(&self, message: Vec<u8>) -> Result<(), JsValue> {
        call(&self.channel, "send", &[&to_js(message)?]).map(|_| ())
    }
}
