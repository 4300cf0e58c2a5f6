//! A chat server on socketioxide and axum, in memory, with the events of `peers/socketio.mjs`.

use axum::{Router, routing::get};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, Extension, SocketRef},
};

/// Nickname of a socket.
#[derive(Clone)]
struct Nickname(String);

/// Joins the room that is the first argument, with the nickname that is the second.
async fn enter(
    socket: SocketRef,
    Data((room, nickname)): Data<(String, String)>,
    done: AckSender,
    io: SocketIo,
) {
    socket.extensions.insert(Nickname(nickname.clone()));
    socket.join(room.clone());
    let count = io.to(room.clone()).sockets().len();
    let _ = done.send(&count);
    let _ = socket.to(room).emit("welcome", &(nickname, count)).await;
}

/// Forwards a message to the others in the room.
async fn forward(
    socket: SocketRef,
    Data((message, room)): Data<(String, String)>,
    Extension(Nickname(nickname)): Extension<Nickname>,
    done: AckSender,
) {
    let text = format!("{nickname}: {message}");
    let _ = socket.to(room).emit("new_message", &text).await;
    let _ = done.send(&());
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("enter_room", enter);
        socket.on("new_message", forward);
    });
    let app = Router::new()
        .route("/healthz", get(async || "ok"))
        .layer(layer);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
