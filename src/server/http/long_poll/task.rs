//! The task of one polling connection, from its opening to its last answer.

use super::{
    inbound::{Letter, Reader},
    registry::{Line, Polls},
    responder::{Ask, Desk},
};
use crate::server::{
    context::AppContext,
    http::connection::{Admission, Connection},
    net::{ClientAddress, PermitError},
    rooms::{OutboxReader, outbox},
};
use tokio::{sync::mpsc, time::timeout};

/// Requests that may wait for the task; the next one waits before its mailbox.
const MAILBOX: usize = 4;

/// Opens a connection; answers its secret.
///
/// # Errors
/// There are as many as there may be.
pub fn open(
    context: AppContext,
    client: ClientAddress,
    admission: Admission,
) -> Result<String, PermitError> {
    let (letters, far_letters) = mpsc::channel(MAILBOX);
    let (asks, far_asks) = mpsc::channel(MAILBOX);
    let polls: &Polls = &context.polls;
    let listed = polls.list(client, Line { letters, asks })?;
    let secret = listed.secret.clone();
    tokio::spawn(async move {
        run(context, client, far_letters, far_asks).await;
        drop((listed, admission));
    });
    Ok(secret)
}

/// Serves the connection to its end.
async fn run(
    context: AppContext,
    client: ClientAddress,
    letters: mpsc::Receiver<Letter>,
    asks: mpsc::Receiver<Ask>,
) {
    let timing = context.timing;
    let (outbox, queue): (_, OutboxReader) = outbox();
    let mut connection = Connection::new(context, outbox, client);
    let mut reader = Reader::new(letters);
    let mut desk = Desk::new(asks, queue, timing.poll_wait);
    let end = tokio::select! {
        end = connection.run(&mut reader) => end,
        never = desk.serve() => match never {},
    };
    // Who says something now is told that there is nobody any more.
    drop(reader);
    if let Some(code) = connection.leave(end).await {
        let _ = timeout(timing.close_within, desk.say_goodbye(code)).await;
    }
}
