//! Inbound frames of a polling client, in order and without repetitions.

use crate::server::http::connection::{Disconnect, Inbound, InboundSource, departure_of};
use serde_json::value::RawValue;
use std::vec;
use tokio::sync::{mpsc, oneshot};
use tungstenite::Utf8Bytes;

/// An input from a request to the task of its connection.
pub enum ClientInput {
    /// A batch of frames.
    Batch(Batch),
    /// The client polls.
    KeepAlive,
    /// The client closes with this code.
    Close(u16),
}

/// The frames of one request.
pub struct Batch {
    /// Number of the batch within its connection, from 1.
    pub number: u64,
    /// The frames in order.
    pub frames: Vec<Utf8Bytes>,
    /// Completed when all frames have been processed, or had been for a repeated batch.
    pub done: oneshot::Sender<Result<(), MissingBatch>>,
}

/// The client skipped a batch number, which only a faulty client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingBatch;

/// Reads batches frame by frame.
pub struct BatchReader {
    /// Inputs from the requests.
    inputs: mpsc::Receiver<ClientInput>,
    /// The unread frames of the current batch.
    frames: vec::IntoIter<Utf8Bytes>,
    /// The request that waits for the current batch.
    done: Option<oneshot::Sender<Result<(), MissingBatch>>>,
    /// The number of the current batch.
    number: u64,
}

impl BatchReader {
    /// A reader before its first batch.
    pub fn new(inputs: mpsc::Receiver<ClientInput>) -> Self {
        Self {
            inputs,
            frames: Vec::new().into_iter(),
            done: None,
            number: 0,
        }
    }

    /// Starts a batch. A client repeats a batch whose response was lost. The repetition only keeps
    /// the connection alive.
    fn start(&mut self, batch: Batch) -> Inbound {
        let result = match batch.number {
            number if number <= self.number => Ok(()),
            number if number == self.number + 1 => {
                self.number = number;
                self.frames = batch.frames.into_iter();
                self.done = Some(batch.done);
                return self.frames.next().map_or(Inbound::KeepAlive, Inbound::Text);
            }
            _ => Err(MissingBatch),
        };
        let _ = batch.done.send(result);
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
            // Not reached: the registry holds a sender while the task runs.
            None => std::future::pending().await,
        }
    }
}

/// Parses the frames of a body: each element of a JSON array, in its original text.
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
