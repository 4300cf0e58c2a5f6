"""A person in a Noom call, by aiortc instead of a browser.

It knows docs/protocol.md ("The call", "Through the server") and nothing else of Noom. It
sends a picture of one colour and a tone, asks for everybody's camera, and prints what it
decodes as JSON, one object a line:

    {"event":"joined","id":"p_…"}
    {"event":"state","state":"connected"}
    {"event":"slots","slots":[…]}
    {"event":"video","id":"p_…","frames":31,"colour":[218,41,40],"width":640,"height":360}
    {"event":"audio","id":"p_…","frames":50,"energy":1234.5}

`frames` counts what a slot has brought since it carries this person. It leaves when its
standard input ends, so that it never outlives the test that started it.
"""

import argparse
import asyncio
import fractions
import json
import math
import random
import struct
import sys
import time
from array import array

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCBundlePolicy
from av.video.reformatter import Interpolation
from websockets.asyncio.client import connect

# Slots: voices and pictures at once.
VOICES, PICTURES = 3, 2
# How tall a picture it asks for, in pixels.
HEIGHT = 360
# How often it says what it decodes, in seconds.
REPORT_EVERY = 0.5
# Its camera: small and slow, so that a small machine encodes it easily.
WIDTH, LINES, FRAMES_A_SECOND = 640, 480, 15
# Its microphone: samples a second, samples a packet, and the tone in Hz.
RATE, SAMPLES, TONE = 48_000, 960, 440


def say(event, **more):
    """Prints one line for whoever started this."""
    print(json.dumps({"event": event, **more}), flush=True)


class Paced(MediaStreamTrack):
    """A track that gives a frame every so often."""

    def __init__(self, every):
        super().__init__()
        self.every = every
        self.began = None
        self.given = 0

    async def turn(self):
        """Waits for the next frame's time; returns its number."""
        if self.began is None:
            self.began = time.monotonic()
        number = self.given
        self.given += 1
        await asyncio.sleep(max(0, self.began + number * self.every - time.monotonic()))
        return number


class Colour(Paced):
    """A camera that sees one colour."""

    kind = "video"

    def __init__(self, colour):
        super().__init__(1 / FRAMES_A_SECOND)
        frame = av.VideoFrame(WIDTH, LINES, "rgb24")
        plane = frame.planes[0]
        row = bytes(colour) * WIDTH
        plane.update(row.ljust(plane.line_size, b"\0") * LINES)
        self.picture = frame.reformat(format="yuv420p")

    async def recv(self):
        number = await self.turn()
        frame = self.picture
        frame.pts = number * 90_000 // FRAMES_A_SECOND
        frame.time_base = fractions.Fraction(1, 90_000)
        return frame


class Tone(Paced):
    """A microphone that hears one tone."""

    kind = "audio"

    def __init__(self):
        super().__init__(SAMPLES / RATE)

    async def recv(self):
        number = await self.turn()
        start = number * SAMPLES
        wave = (math.sin(2 * math.pi * TONE * (start + i) / RATE) for i in range(SAMPLES))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(struct.pack(f"<{SAMPLES}h", *(int(8000 * value) for value in wave)))
        frame.pts = start
        frame.sample_rate = RATE
        frame.time_base = fractions.Fraction(1, RATE)
        return frame


def mean_colour(frame):
    """The mean red, green and blue of a picture, each 0 to 255."""
    small = frame.reformat(16, 16, "rgb24", interpolation=Interpolation.AREA)
    plane = small.planes[0]
    data = bytes(plane)
    pixels = b"".join(data[y * plane.line_size :][: 16 * 3] for y in range(16))
    return [round(sum(pixels[channel::3]) / 256) for channel in range(3)]


def mean_energy(frame):
    """The mean square of the samples, of every eighth: enough to tell sound from silence."""
    samples = array("h", bytes(frame.planes[0]))[::8]
    return sum(sample * sample for sample in samples) / max(1, len(samples))


class Slot:
    """A receiving media description: what the server says it carries, and what has come."""

    def __init__(self, kind):
        self.kind = kind
        self.carries = (None, None)
        self.frames = 0
        self.news = None

    def bind(self, told):
        """From now on it carries this."""
        now = (told.get("id"), told.get("source"))
        if now != self.carries:
            self.carries, self.frames, self.news = now, 0, None

    async def follow(self, track):
        """Takes what is decoded, until the track ends."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.frames += 1
            # Looked at when it is reported, not each of them.
            self.news = frame

    def report(self):
        """Says what has come since the last time."""
        frame, self.news = self.news, None
        person, source = self.carries
        if frame is None or person is None:
            return
        if self.kind == "audio":
            say("audio", id=person, frames=self.frames, energy=mean_energy(frame))
            return
        more = {"colour": mean_colour(frame), "width": frame.width, "height": frame.height}
        say("video", id=person, source=source, frames=self.frames, **more)


class Peer:
    """One person in one call."""

    def __init__(self, socket, colour):
        self.socket = socket
        # Not max-bundle: aiortc 1.16 then takes the candidates of the last description of
        # the answer alone, and the server names its candidates in the first (RFC 9143).
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT)
        self.pc = RTCPeerConnection(configuration)
        self.colour = colour
        self.me = None
        self.cameras = set()
        # By the name of their description. They are there before the server can tell of them.
        self.slots = {}
        self.tasks = []

    async def send(self, kind, **more):
        await self.socket.send(json.dumps({"type": kind, **more}))

    async def join(self, room, nickname):
        await self.send("join", room=room, nickname=nickname)
        devices = {"microphone": True, "camera": True}
        async for text in self.socket:
            message = json.loads(text)
            if message["type"] == "joined":
                self.me = message["self"]
                say("joined", id=self.me)
                await self.send("enter_call", leg=random.getrandbits(32), devices=devices)
            else:
                await self.hear(message)

    async def hear(self, message):
        """Does what a message of the server asks for; what it does not know it leaves alone."""
        does = getattr(self, f"on_{message['type']}", None)
        if does:
            await does(message)

    async def on_error(self, message):
        say("error", code=message["code"], message=message["message"])

    async def on_call(self, message):
        if message["mode"] != "sfu":
            raise SystemExit("this call does not go through the server")
        self.cameras = {one["id"] for one in message["people"] if one["id"] != self.me}
        await self.offer()

    async def on_call_entered(self, message):
        self.cameras.add(message["person"]["id"])
        await self.look()

    async def on_call_left(self, message):
        self.cameras.discard(message["id"])
        await self.look()

    async def on_answer(self, message):
        say("answer", sdp=message["sdp"])
        await self.pc.setRemoteDescription(RTCSessionDescription(message["sdp"], "answer"))
        for transceiver in self.pc.getTransceivers():
            slot = self.slots.get(transceiver.mid)
            if slot:
                follow = slot.follow(transceiver.receiver.track)
                self.tasks.append(asyncio.create_task(follow))

    async def on_slots(self, message):
        say("slots", slots=message["slots"])
        for told in message["slots"]:
            if told["mid"] in self.slots:
                self.slots[told["mid"]].bind(told)

    async def on_media_closed(self, message):
        say("media_closed", connection=message["connection"])

    async def look(self):
        """Everybody's camera is on the screen."""
        tiles = [{"id": one, "source": "camera", "height": HEIGHT} for one in sorted(self.cameras)]
        await self.send("subscribe", tiles=tiles)

    async def offer(self):
        microphone = self.pc.addTransceiver(Tone(), direction="sendonly")
        camera = self.pc.addTransceiver(Colour(self.colour), direction="sendonly")
        kinds = ["audio"] * VOICES + ["video"] * PICTURES
        slots = [self.pc.addTransceiver(kind, direction="recvonly") for kind in kinds]
        wanted = ("video/vp8", "video/rtx")
        vp8 = RTCRtpReceiver.getCapabilities("video").codecs
        vp8 = [codec for codec in vp8 if codec.mimeType.lower() in wanted]
        for transceiver in [camera, *slots[VOICES:]]:
            transceiver.setCodecPreferences(vp8)
        self.pc.on("connectionstatechange", lambda: say("state", state=self.pc.connectionState))
        await self.pc.setLocalDescription(await self.pc.createOffer())
        for transceiver in slots:
            self.slots[transceiver.mid] = Slot(transceiver.kind)
        sdp = self.pc.localDescription.sdp
        say("offer", sdp=sdp)
        tracks = [
            {"mid": microphone.mid, "source": "microphone"},
            {"mid": camera.mid, "source": "camera"},
        ]
        await self.send("offer", connection=1, offer_id=1, sdp=sdp, tracks=tracks)
        await self.look()

    async def report(self):
        """Says what comes, now and then."""
        while True:
            await asyncio.sleep(REPORT_EVERY)
            for slot in self.slots.values():
                slot.report()

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        await self.pc.close()


async def input_over():
    """Returns when nobody is at the other end of the standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def main():
    parser = argparse.ArgumentParser(description="A person in a Noom call, by aiortc.")
    parser.add_argument("url", help="the room socket, ws://HOST/ws")
    parser.add_argument("room")
    parser.add_argument("nickname")
    parser.add_argument("--colour", default="40,200,40", help="red,green,blue of its camera")
    asked = parser.parse_args()
    colour = [int(part) for part in asked.colour.split(",")]
    async with connect(asked.url) as socket:
        peer = Peer(socket, colour)
        works = [peer.join(asked.room, asked.nickname), peer.report(), input_over()]
        works = [asyncio.create_task(work) for work in works]
        done, rest = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        for work in rest:
            work.cancel()
        await peer.leave()
        for work in done:
            work.result()


if __name__ == "__main__":
    asyncio.run(main())
