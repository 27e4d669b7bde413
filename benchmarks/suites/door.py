"""The service as the only door to a bucket: every chunk of a capture through it, and straight from the bucket."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import obstore
import psutil

import attnscope
from attnscope_server.root.paths import capture_path
from attnscope_storage.layout.bucket import BucketPath
from attnscope_storage.reading.reader import CaptureReader
from benchmarks.service import KEY, process_of
from benchmarks.timing import Cost, ratios, rounds, shown, spread

servers: Any = importlib.import_module("tests.support.bucket_server")
"""The tests' bucket."""

PLACE: Final = "s3://attnscope/door"
JOB: Final = {"checkpoint": "AD-darkroom-seed42", "tasks": {"split": "test", "indices": [2, 7]}, "maps": {"count": 0}}


def timed(process: psutil.Process, fetch: Callable[[str], bytes], keys: list[str]) -> Cost:
    """Fetch each chunk, one after the other; return the time, and the processor time of a process."""
    began, before = time.perf_counter(), process.cpu_times()
    for key in keys:
        fetch(key)
    after = process.cpu_times()
    return Cost(time.perf_counter() - began, after.user + after.system - before.user - before.system)


def run(*, quick: bool) -> dict[str, Any]:
    """Print the time of a chunk both ways, and what the service takes for one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = stack.enter_context(servers.seaweed(folder))
        os.environ.update(bucket.environment)  # the connection below reads them
        surroundings = os.environ | {"ATTNSCOPE_SERVER_BUCKET": PLACE}
        url, number = stack.enter_context(process_of(folder, surroundings))
        client = stack.enter_context(attnscope.connect(url, KEY))
        job = client.submit(**JOB, steps=300 if quick else 2000).wait().id
        place = capture_path(BucketPath(PLACE), str(job))
        keys = list(CaptureReader.open(place).root.chunk_keys())
        size = sum(count for key, count in place.objects() if key in set(keys))
        header = {"Authorization": f"Bearer {KEY}"}
        http = stack.enter_context(httpx.Client(base_url=f"{url}/v1/captures/{job}/zarr/", headers=header))
        store, service = place.connection, psutil.Process(number)
        ways: dict[str, Callable[[str], bytes]] = {
            "through the service": lambda key: http.get(key).raise_for_status().content,
            "from the bucket": lambda key: bytes(obstore.get(store, key).bytes()),
        }
        assert all(ways["through the service"](key) == ways["from the bucket"](key) for key in keys[:5])
        runs = {name: lambda fetch=fetch: timed(service, fetch, keys) for name, fetch in ways.items()}
        taken = rounds(runs, 2 if quick else 7)
    door, straight = taken.values()
    results = {
        "chunks": len(keys),
        "bytes_a_chunk": size / len(keys),
        "through_over_straight": ratios(door, straight),
        "milliseconds_a_chunk": {
            name: spread([1e3 * c.wall / len(keys) for c in costs]) for name, costs in taken.items()
        },
        "service_processor_milliseconds_a_chunk": spread([1e3 * cost.cpu / len(keys) for cost in door]),
    }
    print(
        f"   {len(keys)} chunks of {size / len(keys) / 1000:.0f} kB, one after the other: through the service ÷ "
        f"straight {shown(results['through_over_straight'])}; the service takes "
        f"{shown(results['service_processor_milliseconds_a_chunk'])} ms of processor a chunk"
    )
    return results
