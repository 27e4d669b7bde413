"""A page server from its first link to its end; a second ``open`` finds the first and asks it for a link."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attnscope.job import JobHandle
from attnscope.page.running import Link, Running, ask_again, forget, note, noted, state_file
from attnscope.page.server import PageServer
from attnscope.page.subjects import Subject


def running_already(where: str | None, subject: str, port: int = 0, folder: Path | None = None) -> Link | None:
    """Return a link of the page server that runs for this service; None where none proves itself.

    Parameters
    ----------
    where
        Address of the service; None for downloaded folders.
    subject
        Id of a job, or the resolved path of a folder.
    port
        The port that it must have, because a tunnel leads there; 0 takes any.
    folder
        Of the state files; the user's own where None.
    """
    running = noted(state_file(where, folder))
    if running is None or port not in {0, running.port}:
        return None
    return ask_again(running, subject)


@contextmanager
def served(
    where: str | None,
    open_subject: Callable[[str], Subject],
    port: int = 0,
    folder: Path | None = None,
    list_jobs: Callable[[], Iterable[JobHandle]] | None = None,
) -> Iterator[PageServer]:
    """Run a page server beside the calling thread, with a state file that leads a second ``open`` to it.

    Parameters
    ----------
    where
        Address of the service; None for downloaded folders.
    open_subject
        Returns what a second ``open`` names.
    port
        0 takes a free one.
    folder
        Of the state files; the user's own where None.
    list_jobs
        Returns the jobs of the service; None where downloaded folders are shown.
    """
    path = state_file(where, folder)
    server = PageServer(port, open_subject, path.parent, list_jobs)
    running = Running(server.port, os.getpid(), server.secret)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    note(path, running)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.links.delete()
        forget(path, running)
