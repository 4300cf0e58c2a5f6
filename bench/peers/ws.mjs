// The lower bound in Node: bare `ws`, a set of sockets per room and a loop over it. No
// acknowledgement, no store, no heartbeat.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer((_request, response) => response.end("ok"));
const wss = new WebSocketServer({ server });
const rooms = new Map();

/** Sends a text to everybody in a room except one. */
function broadcast(room, text, except) {
  for (const other of rooms.get(room) ?? []) {
    if (other !== except && other.readyState === other.OPEN) other.send(text);
  }
}

wss.on("connection", (socket) => {
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.type === "join") {
      socket.room = message.room;
      socket.nickname = message.nickname;
      const members = rooms.get(message.room) ?? new Set();
      rooms.set(message.room, members.add(socket));
      socket.send(JSON.stringify({ type: "joined", count: members.size }));
      broadcast(socket.room, JSON.stringify({ type: "entered", nickname: socket.nickname }), socket);
    } else {
      const { nickname, room } = socket;
      broadcast(room, JSON.stringify({ type: "chat", nickname, text: message.text }), socket);
    }
  });
  socket.on("close", () => rooms.get(socket.room)?.delete(socket));
});

server.listen(Number(process.env.PORT), "127.0.0.1");
