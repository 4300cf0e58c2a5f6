// A chat as tutorials build it: Express and Socket.IO, rooms and nicknames, everything in memory.
//
// One thing is omitted in its favour: sending the list of rooms to every socket at
// every join, which takes minutes with ten thousand people.
import { createServer } from "node:http";
import express from "express";
import { Server } from "socket.io";

const app = express();
app.get("/healthz", (_request, response) => response.send("ok"));
const server = createServer(app);
const io = new Server(server, { transports: ["websocket"] });

const count = (room) => io.sockets.adapter.rooms.get(room)?.size ?? 0;

io.on("connection", (socket) => {
  socket.nickname = "Anon";
  socket.on("enter_room", (room, nickname, done) => {
    socket.nickname = nickname;
    socket.join(room);
    done(count(room));
    socket.to(room).emit("welcome", nickname, count(room));
  });
  socket.on("disconnecting", () => {
    for (const room of socket.rooms) {
      socket.to(room).emit("bye", socket.nickname, count(room) - 1);
    }
  });
  socket.on("new_message", (message, room, done) => {
    socket.to(room).emit("new_message", `${socket.nickname}: ${message}`);
    done();
  });
});

server.listen(Number(process.env.PORT), "127.0.0.1");
