//! What the client of a polling connection says, in order and once.

use crate::server::http::connection::{Disconnect, Inbound, InboundSource, departure_of};
use serde_json::value::RawValue;
use std::vec;
use tokio::sync::{mpsc, oneshot};
use tungstenite::Utf8Bytes;

/// What a request brings to the task.
pub enum ClientInput {
    /// Frames.
    Batch(Batch),
    /// A sign of life.
    KeepAlive,
    /// A goodbye with this code.
    Close(u16),
}

/// The frames of one request.
pub struct Batch {
    /// Counts the batches of a connection, from 1.
    pub number: u64,
    /// The frames in order.
    pub frames: Vec<Utf8Bytes>,
    /// Told when all of them have been taken in, now or before.
    pub done: oneshot::Sender<Result<(), MissingBatch>>,
}

/// A number was left out; only a broken client does that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingBatch;

/// Takes the letters apart.
pub struct BatchReader {
    /// What the requests bring.
    inputs: mpsc::Receiver<ClientInput>,
    /// The frames of the present batch that are still to be heard.
    frames: vec::IntoIter<Utf8Bytes>,
    /// Who waits for the present batch.
    done: Option<oneshot::Sender<Result<(), MissingBatch>>>,
    /// The number of the present batch.
    number: u64,
}

impl BatchReader {
    /// A reader that has heard nothing yet.
    pub fn new(inputs: mpsc::Receiver<ClientInput>) -> Self {
        Self {
            inputs,
            frames: Vec::new().into_iter(),
            done: None,
            number: 0,
        }
    }

    /// Starts on a batch. One that came before is a sign of life and nothing else: its
    /// answer was lost and its client asks again.
    fn start(&mut self, batch: Batch) -> Inbound {
        let step = match batch.number {
            number if number <= self.number => Ok(()),
            number if number == self.number + 1 => {
                self.number = number;
                self.frames = batch.frames.into_iter();
                self.done = Some(batch.done);
                return self.frames.next().map_or(Inbound::KeepAlive, Inbound::Text);
            }
            _ => Err(MissingBatch),
        };
        let _ = batch.done.send(step);
        Inbound::KeepAlive
    }
}

impl InboundSource for BatchReader {
    async fn next(&mut self) -> Inbound {
        if let Some(frame) = self.frames.next() {
            return Inbound::Text(frame);
        }
        if let Some(done) = self.done.take() {
            let _ = done.send(Ok(()));
        }
        match self.inputs.recv().await {
            Some(ClientInput::Batch(batch)) => self.start(batch),
            Some(ClientInput::KeepAlive) => Inbound::KeepAlive,
            Some(ClientInput::Close(code)) => {
                Inbound::Disconnected(Disconnect::ByClient(departure_of(Some(code))))
            }
            // The list holds the other end for as long as the task runs.
            None => std::future::pending().await,
        }
    }
}

/// The frames of a body: the texts of the elements of a JSON array.
pub fn frames(body: &[u8]) -> Option<Vec<Utf8Bytes>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    let texts = elements.into_iter().map(|element| element.get());
    Some(texts.map(|text| text.to_owned().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_array_of_frames_as_they_were_written() {
        let texts = |body: &str| {
            let frames = frames(body.as_bytes())?;
            Some(
                frames
                    .iter()
                    .map(|f| f.as_str().to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        let two = texts(r#" [ {"type" : "ping"} , 7 ] "#);
        assert_eq!(two.expect("an array"), [r#"{"type" : "ping"}"#, "7"]);
        assert_eq!(texts("[]").expect("an array"), [""; 0]);
        for body in ["", "{}", "[", "[1,]", "[1] 2", "nonsense"] {
            assert_eq!(texts(body), None, "{body}");
        }
        assert_eq!(frames(b"[\"\xff\"]").map(|f| f.len()), None);
        let deep = format!("[{}]", "[".repeat(60_000));
        assert_eq!(texts(&deep), None);
    }
}
