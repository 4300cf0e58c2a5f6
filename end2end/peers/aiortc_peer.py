"""A person in a Noom call by aiortc instead of a browser.

It implements docs/protocol.md ("The call", "Through the server") independently. It sends
video of one colour and a tone, subscribes to every camera, and prints what it decodes as
JSON, one object per line:

    {"event":"joined","id":"p_…"}
    {"event":"state","state":"connected"}
    {"event":"slots","slots":[…]}
    {"event":"video","id":"p_…","frames":31,"colour":[218,41,40],"width":640,"height":360}
    {"event":"audio","id":"p_…","frames":50,"energy":1234.5}

`frames` counts the frames of a slot since it carries this person. The program ends with its
standard input, so that it never outlives the test that started it.
"""

import asyncio
import fractions
import json
import math
import random
import struct
import time
from array import array

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCBundlePolicy
from av.video.reformatter import Interpolation
from peer_process import argument_parser, print_event, run_peer
from websockets.asyncio.client import connect

# Number of audio and video slots.
AUDIO_SLOTS, VIDEO_SLOTS = 3, 2
# Requested height of a video, in pixels.
HEIGHT = 360
# Interval of reports, in seconds.
REPORT_INTERVAL = 0.5
# The camera: small and slow, so that a small machine encodes it easily.
WIDTH, LINES, FRAME_RATE = 640, 480, 15
# The microphone: sample rate, samples per packet, and the tone in Hz.
RATE, SAMPLES, TONE = 48_000, 960, 440


class PacedTrack(MediaStreamTrack):
    """A track with a fixed frame interval."""

    def __init__(self, interval):
        super().__init__()
        self.interval = interval
        self.started = None
        self.frames_sent = 0

    async def next_frame(self):
        """Waits for the time of the next frame; returns its number."""
        if self.started is None:
            self.started = time.monotonic()
        number = self.frames_sent
        self.frames_sent += 1
        await asyncio.sleep(max(0, self.started + number * self.interval - time.monotonic()))
        return number


class ColourTrack(PacedTrack):
    """A camera of one colour."""

    kind = "video"

    def __init__(self, colour):
        super().__init__(1 / FRAME_RATE)
        frame = av.VideoFrame(WIDTH, LINES, "rgb24")
        plane = frame.planes[0]
        row = bytes(colour) * WIDTH
        plane.update(row.ljust(plane.line_size, b"\0") * LINES)
        self.frame = frame.reformat(format="yuv420p")

    async def recv(self):
        number = await self.next_frame()
        frame = self.frame
        frame.pts = number * 90_000 // FRAME_RATE
        frame.time_base = fractions.Fraction(1, 90_000)
        return frame


class ToneTrack(PacedTrack):
    """A microphone with one tone."""

    kind = "audio"

    def __init__(self):
        super().__init__(SAMPLES / RATE)

    async def recv(self):
        number = await self.next_frame()
        start = number * SAMPLES
        wave = (math.sin(2 * math.pi * TONE * (start + i) / RATE) for i in range(SAMPLES))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(struct.pack(f"<{SAMPLES}h", *(int(8000 * value) for value in wave)))
        frame.pts = start
        frame.sample_rate = RATE
        frame.time_base = fractions.Fraction(1, RATE)
        return frame


def mean_colour(frame):
    """The mean red, green and blue of a frame, each 0 to 255."""
    small = frame.reformat(16, 16, "rgb24", interpolation=Interpolation.AREA)
    plane = small.planes[0]
    data = bytes(plane)
    pixels = b"".join(data[y * plane.line_size :][: 16 * 3] for y in range(16))
    return [round(sum(pixels[channel::3]) / 256) for channel in range(3)]


def mean_energy(frame):
    """The mean square of every eighth sample, which distinguishes audio from silence."""
    samples = array("h", bytes(frame.planes[0]))[::8]
    return sum(sample * sample for sample in samples) / max(1, len(samples))


class Slot:
    """A receiving media description: its assignment by the server, and what it has decoded."""

    def __init__(self, kind):
        self.kind = kind
        self.carries = (None, None)
        self.frames = 0
        self.latest = None

    def bind(self, assignment):
        """Assigns a person and a source to the slot."""
        now = (assignment.get("id"), assignment.get("source"))
        if now != self.carries:
            self.carries, self.frames, self.latest = now, 0, None

    async def follow(self, track):
        """Receives decoded frames until the track ends."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.frames += 1
            # Only the latest frame is analysed, when it is reported.
            self.latest = frame

    def report(self):
        """Reports the latest frame since the last report."""
        frame, self.latest = self.latest, None
        person, source = self.carries
        if frame is None or person is None:
            return
        if self.kind == "audio":
            print_event("audio", id=person, frames=self.frames, energy=mean_energy(frame))
            return
        more = {"colour": mean_colour(frame), "width": frame.width, "height": frame.height}
        print_event("video", id=person, source=source, frames=self.frames, **more)


class Peer:
    """One person in one call."""

    def __init__(self, socket, colour):
        self.socket = socket
        # Not max-bundle: aiortc 1.16 then takes the candidates of the last description of
        # the answer alone, and the server names its candidates in the first (RFC 9143).
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT)
        self.pc = RTCPeerConnection(configuration)
        self.colour = colour
        self.own_id = None
        self.cameras = set()
        # By mid. They exist before the server assigns them.
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
                self.own_id = message["self"]
                print_event("joined", id=self.own_id)
                await self.send("enter_call", leg=random.getrandbits(32), devices=devices)
            else:
                await self.handle(message)

    async def handle(self, message):
        """Handles a message of the server; ignores unknown types."""
        handler = getattr(self, f"on_{message['type']}", None)
        if handler:
            await handler(message)

    async def on_error(self, message):
        print_event("error", code=message["code"], message=message["message"])

    async def on_call(self, message):
        if message["mode"] != "sfu":
            raise SystemExit("this call does not go through the server")
        self.cameras = {one["id"] for one in message["people"] if one["id"] != self.own_id}
        await self.offer()

    async def on_call_entered(self, message):
        self.cameras.add(message["person"]["id"])
        await self.subscribe()

    async def on_call_left(self, message):
        self.cameras.discard(message["id"])
        await self.subscribe()

    async def on_answer(self, message):
        print_event("answer", sdp=message["sdp"])
        await self.pc.setRemoteDescription(RTCSessionDescription(message["sdp"], "answer"))
        for transceiver in self.pc.getTransceivers():
            slot = self.slots.get(transceiver.mid)
            if slot:
                follow = slot.follow(transceiver.receiver.track)
                self.tasks.append(asyncio.create_task(follow))

    async def on_slots(self, message):
        print_event("slots", slots=message["slots"])
        for assignment in message["slots"]:
            if assignment["mid"] in self.slots:
                self.slots[assignment["mid"]].bind(assignment)

    async def on_media_closed(self, message):
        print_event("media_closed", connection=message["connection"])

    async def subscribe(self):
        """Subscribes to every camera."""
        tiles = [{"id": one, "source": "camera", "height": HEIGHT} for one in sorted(self.cameras)]
        await self.send("subscribe", tiles=tiles)

    async def offer(self):
        microphone = self.pc.addTransceiver(ToneTrack(), direction="sendonly")
        camera = self.pc.addTransceiver(ColourTrack(self.colour), direction="sendonly")
        kinds = ["audio"] * AUDIO_SLOTS + ["video"] * VIDEO_SLOTS
        slots = [self.pc.addTransceiver(kind, direction="recvonly") for kind in kinds]
        wanted = ("video/vp8", "video/rtx")
        vp8 = RTCRtpReceiver.getCapabilities("video").codecs
        vp8 = [codec for codec in vp8 if codec.mimeType.lower() in wanted]
        for transceiver in [camera, *slots[AUDIO_SLOTS:]]:
            transceiver.setCodecPreferences(vp8)
        self.pc.on("connectionstatechange", lambda: print_event("state", state=self.pc.connectionState))
        await self.pc.setLocalDescription(await self.pc.createOffer())
        for transceiver in slots:
            self.slots[transceiver.mid] = Slot(transceiver.kind)
        sdp = self.pc.localDescription.sdp
        print_event("offer", sdp=sdp)
        tracks = [
            {"mid": microphone.mid, "source": "microphone"},
            {"mid": camera.mid, "source": "camera"},
        ]
        await self.send("offer", connection=1, offer_id=1, sdp=sdp, tracks=tracks)
        await self.subscribe()

    async def report(self):
        """Reports all slots periodically."""
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            for slot in self.slots.values():
                slot.report()

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        await self.pc.close()


async def main():
    parser = argument_parser("A person in a Noom call, by aiortc.")
    parser.add_argument("--colour", default="40,200,40", help="red,green,blue of its camera")
    arguments = parser.parse_args()
    colour = [int(part) for part in arguments.colour.split(",")]
    async with connect(arguments.url) as socket:
        peer = Peer(socket, colour)
        await run_peer(peer, peer.join(arguments.room, arguments.nickname), peer.report())


if __name__ == "__main__":
    asyncio.run(main())
