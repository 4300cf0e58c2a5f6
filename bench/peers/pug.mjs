// Pages on Express and Pug with the content of Noom's pages: a form and the list of open rooms, a
// room with its people and last messages.
import { fileURLToPath } from "node:url";
import express from "express";

const app = express();
app.set("view engine", "pug");
app.set("views", fileURLToPath(new URL("views", import.meta.url)));

const MESSAGES = 40;
const at = new Date("2026-01-01T12:00:00Z");
const messages = Array.from({ length: MESSAGES }, (_, number) => ({
  nickname: "person 0",
  text: `Message ${number} of a conversation about where to meet, with a link to https://example.org/`,
  at: at.toISOString(),
}));
const rooms = [{ name: "bench", people: 1 }];

app.get("/healthz", (_request, response) => response.send("ok"));
app.get("/", (_request, response) => response.render("welcome", { rooms }));
app.get("/room/:name", (request, response) =>
  response.render("room", { name: request.params.name, people: ["person 0"], messages }),
);

app.listen(Number(process.env.PORT), "127.0.0.1");
