"""The floor and the JSON route: `python -m benchmarks.plain_server CAPTURE` sends bytes or nested lists."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

from attnscope_storage.reading.reader import CaptureReader


def body(rows: np.ndarray, target: str) -> bytes:
    """Return what a path asks for: ``/bytes?count=``, or ``/json?`` with a slice for each axis."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    if target.startswith("/bytes"):
        return bytes(int(asked["count"]))
    cut = tuple(int(asked[axis]) if axis in asked else slice(None) for axis in ("step", "env", "layer", "head", "slot"))
    return json.dumps(rows[cut].tolist()).encode()


async def serve(path: Path) -> None:
    """Answer GET requests on a free port until the process is ended; print the port."""
    rows = CaptureReader.open(path).array("attention/rows")[:]

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            content = body(rows, head.split(b" ", 2)[1].decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            await writer.drain()

    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await connected(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
