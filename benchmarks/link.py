"""A slow link on loopback: `python -m benchmarks.link PORT` forwards to a port, with delay and limited bandwidth.

Each direction delays every byte by half the round trip and lets so many pass a second, as a wire of that rate does.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ROUND_TRIP: Final = 0.030
"""Seconds."""

BYTES_PER_SECOND: Final = 100e6 / 8

SLICE: Final = 16 * 1024
"""Bytes taken at once."""


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one direction of a connection."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, content = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not content:
                break
            writer.write(content)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    delivering = asyncio.create_task(deliver())
    free = 0.0
    while True:
        try:
            content = await reader.read(SLICE)
        except ConnectionError:
            content = b""
        free = max(free, loop.time()) + len(content) / BYTES_PER_SECOND
        waiting.put_nowait((free + ROUND_TRIP / 2, content))
        if not content:
            break
    await delivering


async def forward(port: int) -> None:
    """Forward connections to a port until the process is ended; print the port that listens."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)
        for end in (back, writer):
            end.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def child(*arguments: str) -> Iterator[int]:
    """Run a module that prints the port it listens on; give that port."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        yield int(process.stdout.readline() if process.stdout else "")
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def slow_link(port: int) -> Iterator[int]:
    """Give a port that reaches another over the slow link."""
    with child("benchmarks.link", str(port)) as through:
        yield through


if __name__ == "__main__":
    asyncio.run(forward(int(sys.argv[1])))
