"""Receives direct files by aiortc instead of a browser.

It implements docs/protocol.md ("Direct files") independently: joins a room, answers whoever
offers a connection, accepts every file, and prints what it received as JSON, one object per line:

    {"event":"joined","id":"p_…"}
    {"event":"offered","name":"a.bin","size":3}
    {"event":"received","name":"a.bin","size":3,"sha256":"ba7816bf…"}

The program ends with its standard input, so that it never outlives the test that started it.
"""

import asyncio
import hashlib
import json
import struct

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from peer_process import argument_parser, print_event, run_peer
from websockets.asyncio.client import connect

VERSION = 1
OFFER, ACCEPT, DATA, ACK, CANCEL, DONE = 1, 2, 4, 5, 6, 8
HEADER = struct.Struct(">BBQ")
NUMBER = struct.Struct(">Q")


class File:
    """A file that arrives."""

    def __init__(self, name, size):
        self.name, self.size = name, size
        self.received = 0
        self.hash = hashlib.sha256()


class Connection:
    """The connection to one participant."""

    def __init__(self, peer, other, number):
        self.peer, self.other, self.number = peer, other, number
        self.files = {}
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.pc.createDataChannel("files", negotiated=True, id=0)
        self.channel.on("message", self.on_frame)

    async def answer(self, sdp):
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        signal = {"kind": "answer", "connection": self.number, "sdp": self.pc.localDescription.sdp}
        await self.peer.send("signal", to=self.other, signal=signal)

    async def add(self, signal):
        found = candidate_from_sdp(signal["candidate"].removeprefix("candidate:"))
        found.sdpMid, found.sdpMLineIndex = signal.get("mid"), signal.get("mline_index")
        await self.pc.addIceCandidate(found)

    def say(self, kind, transfer, rest=b""):
        self.channel.send(HEADER.pack(VERSION, kind, transfer) + rest)

    def on_frame(self, frame):
        version, kind, transfer = HEADER.unpack_from(frame)
        rest = frame[HEADER.size :]
        if version != VERSION:
            return
        if kind == OFFER and transfer not in self.files:
            (size,) = NUMBER.unpack_from(rest)
            name = rest[NUMBER.size :].decode()
            self.files[transfer] = File(name, size)
            print_event("offered", name=name, size=size)
            self.say(ACCEPT, transfer)
        elif kind == DATA:
            file = self.files[transfer]
            (offset,) = NUMBER.unpack_from(rest)
            if offset != file.received:
                raise SystemExit(f"byte {offset} after {file.received}")
            content = rest[NUMBER.size :]
            file.hash.update(content)
            file.received += len(content)
            self.say(ACK, transfer, NUMBER.pack(file.received))
        elif kind == DONE:
            file = self.files.pop(transfer)
            if rest != file.hash.digest() or file.received != file.size:
                raise SystemExit("the file is not the one that was sent")
            self.say(DONE, transfer, rest)
            sha256 = file.hash.hexdigest()
            print_event("received", name=file.name, size=file.size, sha256=sha256)
        elif kind == CANCEL:
            self.files.pop(transfer, None)


class Peer:
    """One participant in one room."""

    def __init__(self, socket):
        self.socket = socket
        self.connections = {}

    async def send(self, kind, **more):
        await self.socket.send(json.dumps({"type": kind, **more}))

    async def join(self, room, nickname):
        await self.send("join", room=room, nickname=nickname)
        async for text in self.socket:
            message = json.loads(text)
            if message["type"] == "joined":
                print_event("joined", id=message["self"])
            elif message["type"] == "signal" and "leg" not in message:
                await self.on_signal(message["from"], message["signal"])

    async def on_signal(self, other, signal):
        known = self.connections.get(other)
        if signal["kind"] == "offer":
            if known is None or known.number != signal["connection"]:
                known = self.connections[other] = Connection(self, other, signal["connection"])
            await known.answer(signal["sdp"])
        elif signal["kind"] == "candidate" and known and known.number == signal["connection"]:
            await known.add(signal)

    async def leave(self):
        for connection in self.connections.values():
            await connection.pc.close()


async def main():
    arguments = argument_parser("Receives direct files, by aiortc.").parse_args()
    async with connect(arguments.url) as socket:
        peer = Peer(socket)
        await run_peer(peer, peer.join(arguments.room, arguments.nickname))


if __name__ == "__main__":
    asyncio.run(main())
