"""The one door of the bucket's container: start the bucket on loopback, and pass on what comes to one port.

The bucket's own ports listen on loopback only. One of them, by which its parts tell each other about identities, asks
for no key, and it would listen wherever the door for objects does.

Run as ``python door.py PORT BEHIND -- COMMAND…``: COMMAND serves objects on the loopback port BEHIND.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

PIECE_BYTES = 256 * 1024
"""Bytes that are passed on at once."""


async def passed_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what one end says until it has said all."""
    with contextlib.suppress(ConnectionError):
        while piece := await source.read(PIECE_BYTES):
            sink.write(piece)
            await sink.drain()
        sink.write_eof()


async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: int) -> None:
    """Serve one connection."""
    try:
        there, here = await asyncio.open_connection("127.0.0.1", behind)
    except OSError:  # the bucket is not there yet, or any more
        writer.close()
        return
    try:
        await asyncio.gather(passed_on(reader, here), passed_on(there, writer))
    finally:
        here.close()
        writer.close()


async def main(port: int, behind: int, command: list[str]) -> int:
    """Serve until the bucket ends; a signal to end is its signal."""
    bucket = await asyncio.create_subprocess_exec(*command)
    for way in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(way, bucket.terminate)
    door = await asyncio.start_server(lambda reader, writer: served(reader, writer, behind), port=port)
    code = await bucket.wait()
    door.close()  # connections that clients hold open are dropped with this process
    return code


if __name__ == "__main__":
    first, second, _, *rest = sys.argv[1:]
    sys.exit(asyncio.run(main(int(first), int(second), rest)))
