"""Runs in Tiled's own environment: `serve ROWS.npy` serves an array, `ask URI VIEWS COUNT` times readings of it."""

from __future__ import annotations

import json
import sys
import time

import numpy as np


def serve(path: str) -> None:
    """Serve the array on a free port until the process is ended; print the port."""
    import socket  # noqa: PLC0415 - only here

    import uvicorn  # noqa: PLC0415 - only here
    from tiled.adapters.array import ArrayAdapter  # noqa: PLC0415 - only here
    from tiled.adapters.mapping import MapAdapter  # noqa: PLC0415 - only here
    from tiled.config import Authentication  # noqa: PLC0415 - only here
    from tiled.server.app import build_app  # noqa: PLC0415 - only here

    rows = np.load(path)
    chunks = ((64,) * (len(rows) // 64), (1,) * rows.shape[1], *((size,) for size in rows.shape[2:]))
    adapter = ArrayAdapter.from_array(rows, chunks=chunks)  # chunks as a capture's
    app = build_app(MapAdapter({"rows": adapter}), authentication=Authentication(allow_anonymous_access=True))
    place = socket.create_server(("127.0.0.1", 0))
    print(place.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[place])


def ask(uri: str, views: str, count: str) -> None:
    """Print the milliseconds of `count` readings of each view as JSON."""
    from tiled.client import from_uri  # noqa: PLC0415 - only here

    rows = from_uri(uri)["rows"]
    taken: dict[str, list[float]] = {}
    for name, view in json.loads(views).items():
        cut = tuple(slice(None) if index is None else index for index in view)
        rows[cut]
        taken[name] = []
        for _ in range(int(count)):
            begin = time.perf_counter()
            rows[cut]
            taken[name].append(1e3 * (time.perf_counter() - begin))
    print(json.dumps(taken))


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
