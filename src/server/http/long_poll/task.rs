//! The task of one polling connection, from its start to its last response.

use super::{
    inbound::{BatchReader, ClientInput},
    registry::PollHandle,
    responder::{LongPollResponder, PollRequest},
};
use crate::server::{
    context::AppContext,
    http::connection::{Connection, ConnectionPermit},
    net::ClientAddress,
    rooms::{OutboxReader, outbox},
};
use tokio::{sync::mpsc, time::timeout};

/// Capacity of each mailbox of the task; further requests wait.
const MAILBOX: usize = 4;

/// Opens a connection and returns its secret.
pub fn open(context: AppContext, client: ClientAddress, permit: ConnectionPermit) -> String {
    let (inputs, input_queue) = mpsc::channel(MAILBOX);
    let (requests, request_queue) = mpsc::channel(MAILBOX);
    let registration = context.polls.register(PollHandle { inputs, requests });
    let secret = registration.secret.clone();
    tokio::spawn(async move {
        run(context, client, input_queue, request_queue).await;
        drop((registration, permit));
    });
    secret
}

/// Serves a connection until it ends.
async fn run(
    context: AppContext,
    client: ClientAddress,
    inputs: mpsc::Receiver<ClientInput>,
    requests: mpsc::Receiver<PollRequest>,
) {
    let timing = context.timing;
    let (outbox, queue): (_, OutboxReader) = outbox(context.rooms.metrics().clone());
    let mut connection = Connection::new(context, outbox, client);
    let mut reader = BatchReader::new(inputs);
    let mut responder = LongPollResponder::new(requests, queue, timing.poll_timeout);
    let end = tokio::select! {
        end = connection.run(&mut reader) => end,
        never = responder.serve() => match never {},
    };
    // Batches that arrive from now on are answered 404.
    drop(reader);
    if let Some(code) = connection.leave(end).await {
        let _ = timeout(timing.close_timeout, responder.close(code)).await;
    }
}
