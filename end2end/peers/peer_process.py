"""What the peers have in common: they are processes of a test.

A peer prints its events as JSON, one object per line, and ends with its standard input, so that it
never outlives the test that started it.
"""

import argparse
import asyncio
import json
import sys


def print_event(event, **more):
    """Prints one event for the parent process."""
    print(json.dumps({"event": event, **more}), flush=True)


def argument_parser(description):
    """A parser of the arguments of every peer: the room socket, the room and the nickname."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("url", help="the room socket, ws://HOST/ws")
    parser.add_argument("room")
    parser.add_argument("nickname")
    return parser


async def run_peer(peer, *coroutines):
    """Runs these until one returns or the standard input ends, then lets the peer leave."""
    tasks = [asyncio.create_task(task) for task in (*coroutines, input_over())]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await peer.leave()
    for task in done:
        task.result()


async def input_over():
    """Returns when the standard input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
