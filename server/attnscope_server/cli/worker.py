"""Verb of whoever lends a machine: worker, which asks a service elsewhere for jobs."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from attnscope_server import logs

GIB = 2**30
"""Bytes."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""Form of a worker's name."""

COMMAND = (sys.executable, "-m", "attnscope_server.running.worker")
"""Starts the child that computes."""


def worker(
    service: Annotated[str, typer.Option(help="Address of the service: https://…, or http:// on this machine.")],
    key_file: Annotated[Path, typer.Option(help="File that holds a worker's key, readable by you alone.")],
    stores: Annotated[
        str | None,
        typer.Option(
            help="Folder or s3://BUCKET/PREFIX of the service's data, as it is reached here; none, or a bucket's keys "
            "that reach more than captures: commits are sent."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Device to lend; auto is the first GPU, else the CPU.")] = "auto",
    name: Annotated[str | None, typer.Option(help="Instead of this machine's name.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="Torch threads of a job.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of fetched checkpoints.")] = None,
    cache_gib: Annotated[float, typer.Option(min=0, help="Size of that folder, at most.")] = 20.0,
    idle_minutes: Annotated[float | None, typer.Option(min=0, help="End after so long without a job.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificate authorities, where the system's do not do.")] = None,
) -> None:
    """Run jobs of a service on another machine. SIGTERM or SIGUSR1 ends it; its job then goes back to the queue."""
    from attnscope_server.pulling.cache import CheckpointCache, default_cache  # noqa: PLC0415 - loads httpx
    from attnscope_server.pulling.connection import Connection, key_in  # noqa: PLC0415 - as above
    from attnscope_server.pulling.hardware import asked_apart  # noqa: PLC0415 - as above
    from attnscope_server.pulling.means import Means, usable_place  # noqa: PLC0415 - as above
    from attnscope_server.pulling.worker import PullWorker  # noqa: PLC0415 - as above

    called = name or socket.gethostname().partition(".")[0]
    if re.fullmatch(NAME, called) is None:
        raise typer.BadParameter(
            f"expected up to 64 letters, digits, dots, dashes and underscores, got {called[:80]!r}", param_hint="--name"
        )
    logs.configure("auto", "info")
    connection = Connection(service, key_in(key_file), authorities=ca_file)
    means = Means(
        name=called,
        hardware=asked_apart(device),
        cache=CheckpointCache(cache or default_cache(), round(cache_gib * GIB)),
        stores=None if stores is None else usable_place(stores),
        command=COMMAND,
        threads=threads,
        idle_seconds=None if idle_minutes is None else 60 * idle_minutes,
    )
    lent = PullWorker(connection, means)
    for told in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(told, lent.on_signal)
    os.umask(0o077)
    try:
        lent.serve()
    finally:
        connection.close()


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(worker)
