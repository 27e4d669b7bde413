"""The page's server: the standard library's, on loopback; what it may show, its links, its connections and its end."""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attnscope.errors import ConfigurationError
from attnscope.job import JobHandle
from attnscope.page import answers, jobs
from attnscope.page.entry import Entry
from attnscope.page.handler import Handler, Shows
from attnscope.page.links import LinkFiles
from attnscope.page.running import Link, Prover
from attnscope.page.subjects import Subject
from attnscope_storage.errors import CaptureNotFoundError

JOB_ID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Names of jobs."""

MOST_SUBJECTS: Final = 64
"""Captures that are open at a time; the oldest is closed when another is opened from the list."""

CONNECTIONS: Final = 64
"""Connections at a time; further ones are closed at once."""


class PageServer(Shows):
    """One page server, listening on loopback.

    Parameters
    ----------
    port
        0 takes a free one.
    open_subject
        Returns the subject that a second ``attnscope open`` names, for a proven client alone, or a job of the list.
    folder
        Of the files that lead a browser to a link.
    list_jobs
        Returns the jobs of the service; None where downloaded folders are shown.
    """

    daemon_threads = True
    block_on_close = False  # a held answer about news must not delay Ctrl-C
    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that somebody else listens on

    def __init__(
        self,
        port: int,
        open_subject: Callable[[str], Subject],
        folder: Path,
        list_jobs: Callable[[], Iterable[JobHandle]] | None = None,
    ) -> None:
        self.entry = Entry()
        self.secret = secrets.token_hex(32)
        self.prover = Prover(self.secret)
        self.links = LinkFiles(folder)
        self.subjects: dict[str, Subject] = {}
        self._open_subject, self._jobs = open_subject, list_jobs
        self._opening = threading.Lock()
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._connected: set[socket.socket] = set()
        self._ended = False
        try:
            super().__init__(("127.0.0.1", port), Handler)
        except OSError as error:
            raise ConfigurationError(f"port {port} cannot be used ({error.strerror}); leave --port out") from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def show(self, subject: Subject) -> Link:
        """Take a subject among those that may be asked about, and return a link that shows it once."""
        self.subjects[subject.name] = subject
        address = f"http://127.0.0.1:{self.port}/#code={self.entry.new_code()}&at={subject.name}"
        return Link(address, self.links.write(address))

    def show_named(self, name: str) -> Link:
        """Open what a second ``attnscope open`` names, and return a link to it."""
        return self.show(self._open_subject(name))

    def subject(self, name: str) -> Subject:
        """Return a subject that was opened, or a job of the service by its whole id.

        Raises
        ------
        CaptureNotFoundError
            It was not opened, and is no job; a path is never opened so.
        """
        if name not in self.subjects and self._jobs is not None and JOB_ID.fullmatch(name):
            opened = self._open_subject(name)  # may take long, and other subjects are asked about meanwhile
            with self._opening:
                if len(self.subjects) >= MOST_SUBJECTS:
                    self.subjects.pop(next(iter(self.subjects)))
                self.subjects.setdefault(name, opened)
        found = self.subjects.get(name)
        if found is None:
            raise CaptureNotFoundError("this page server has not opened that capture: run `attnscope open` again")
        return found

    def list_jobs(self, seen: str) -> dict[str, Any]:
        """Return the jobs of the service, or the folders that were opened, once they differ from those seen."""
        ask = self._jobs
        look = (lambda: jobs.opened(list(self.subjects.values()))) if ask is None else (lambda: jobs.listed(ask()))
        return jobs.wait(look, seen, answers.WAIT_SECONDS if seen else 0.0)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """Give a connection a thread, if there is room."""
        if self._room.acquire(blocking=False):
            self._connected.add(request)
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Serve a connection, and give its room back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connected.discard(request)
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Say nothing of a browser that went away, nor after the end; any other error is told as usual."""
        if not self._ended and not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """End, and end every connection: browsers learn at once that nobody answers any more."""
        self._ended = True
        super().server_close()
        for connection in list(self._connected):
            with suppress(OSError):  # it ended by itself
                connection.shutdown(socket.SHUT_RDWR)
