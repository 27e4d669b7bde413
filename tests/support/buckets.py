"""Fixtures: a bucket on this machine, and places in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from attnscope_storage.layout.bucket import BucketPath, connect
from bucket_server import BucketServer, seaweed

_NUMBERS = count()


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory) -> Iterator[BucketServer]:
    """Run a server for as long as the tests do."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture
def place(bucket_server, monkeypatch) -> Iterator[Callable[[], BucketPath]]:
    """Return a function that gives places in the bucket that nobody has used."""
    for name, value in bucket_server.environment.items():
        monkeypatch.setenv(name, value)
    connect.cache_clear()
    yield lambda: BucketPath(f"s3://attnscope/place-{next(_NUMBERS)}/c.zarr")
    connect.cache_clear()
