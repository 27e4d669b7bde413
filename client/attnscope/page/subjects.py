"""A capture that the page shows: of a job, queued to ended, or of a folder; it grows, and its service may be away."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from attnscope.capture import Capture
from attnscope.errors import BusyError, ConnectionFailedError, NotFoundError, UnavailableError
from attnscope.job import JobHandle
from attnscope.page import views
from attnscope.page.evidence import Answers, Nothing
from attnscope.page.rollouts import Rollout
from attnscope.progress import describe
from attnscope.provenance import state_words
from attnscope.reading.opening import read
from attnscope.reading.reading import Reading
from attnscope.study.latents import LatentStudy
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.reading.reader import CaptureReader

LOOK_SECONDS: Final = 1.0
"""Seconds between two looks at a job that may commit more."""

REST_SECONDS: Final = 5.0
"""Seconds between two looks at a job that ended before its last step: it may be queued again."""

MOST_LISTED: Final = 2000
"""Environments that the page lists, at most."""


MOST_KEPT: Final = 8
"""Rollouts that are kept: environments that are looked at in turn."""


class NothingCommittedError(CaptureNotFoundError):
    """Nothing is committed yet; the page shows the view as soon as something is."""


class Subject:
    """A capture and what its job says; may be used from several threads."""

    def __init__(self, name: str, python: str, capture: Capture | None, handle: JobHandle | None) -> None:
        self.name = name
        """Names it in addresses: the id of the job, or a digest of the folder's path."""
        self._python = python
        self._capture = capture
        self._handle = handle
        self._lost: str | None = None
        self._folder: Path | None = None
        self._looked = float("-inf")
        self._rollouts: dict[int, Rollout] = {}
        self._latents: tuple[tuple[int, int], LatentStudy] | None = None
        self._envs: list[str] | None = None
        self._read: Reading | None = None
        self._reading, self._looking = threading.RLock(), threading.Lock()
        self.answers = Answers(Nothing(), self.captured)
        """The decision and the screen beside the capture."""

    @classmethod
    def of_job(cls, handle: JobHandle) -> Self:
        """Return the capture of a job, also of one that waits for its first commit."""
        found = cls(str(handle.id), f"attnscope.connect().job({str(handle.id)!r}).capture()", None, handle)
        found.look()
        return found

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """Return a downloaded capture."""
        path = str(folder.resolve())
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        found = cls(name, f"attnscope.open({path!a})", Capture(CaptureReader.open(folder)), None)
        found._folder = folder.resolve()
        return found

    def captured(self) -> Capture | None:
        """Return the capture; None where its job has committed nothing yet."""
        return self._capture

    @contextmanager
    def reading(self) -> Iterator[Capture]:
        """Give the capture to one thread at a time.

        Raises
        ------
        NothingCommittedError
            Its job has committed nothing yet.
        """
        with self._reading:
            if self._capture is None:
                raise NothingCommittedError
            yield self._capture

    def look(self) -> None:
        """Take note of what the job did since, if the last look is long enough ago."""
        with self._looking:
            if self._folder is not None and not self._folder.is_dir():
                self._lost = f"The folder {self._folder.name} is not there any more."
                return
            ended = self._handle is not None and self._handle.state.final
            if self._capture is not None and self._capture.complete and self.answers.beside.still:
                self._lost = None
                return
            ended = ended and self.answers.beside.still
            if time.monotonic() - self._looked < (REST_SECONDS if ended else LOOK_SECONDS):
                return
            try:
                self._look_now()
                self._lost = None
            except (ConnectionFailedError, UnavailableError, BusyError) as error:
                self._lost = f"The service does not answer; what was fetched stays. {error.message}"
            self._looked = time.monotonic()

    def _look_now(self) -> None:
        self.answers.beside.look()
        if self._handle is not None:
            self._handle.refresh()
        with self._reading:
            if self._capture is not None:
                self._capture.refresh()
            elif self._handle is not None:
                try:
                    self._capture = self._handle.capture()
                except (CaptureNotFoundError, NotFoundError):
                    self._capture = None

    def news(self) -> dict[str, Any]:
        """Return how far the capture is by the last look, and how its job and its service are."""
        capture, handle = self._capture, self._handle
        committed = 0 if capture is None else capture.steps_committed
        whole = capture is not None and capture.complete
        state = "complete" if whole else None if handle is None else handle.state.value
        ended = handle is None or whole or handle.state.final
        words = state_words(state, committed) if ended or handle is None else describe(handle.info)
        if handle is not None and handle.info.failure is not None:
            words = f"{words}: {handle.info.failure.detail}"
        total = handle.info.progress.steps_total if capture is None and handle is not None else 0
        title = "" if handle is None else handle.info.resolved.checkpoint_name
        title = title if capture is None else capture.resolved.checkpoint_name
        return {
            "committed": committed,
            "total": total if capture is None else capture.resolved.steps,
            "title": title,
            "state": state or "unfinished",
            "words": in_a_line(words),
            "ended": ended,
            "lost": self._lost,
            "answer": self.answers.beside.mark,
        }

    def wait(self, seen: str, seconds: float, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
        """Return the news once they differ from what was seen, at the latest after so many seconds.

        Parameters
        ----------
        seen
            What `mark` said of the news that were seen.
        """
        until = time.monotonic() + seconds
        while True:
            self.look()
            news = self.news()
            news["mark"] = mark(news)
            if news["mark"] != seen or time.monotonic() >= until:
                return news
            sleep(LOOK_SECONDS / 4)

    def about(self) -> dict[str, Any]:
        """Return what does not change while the capture grows: names, sizes, environments."""
        with self.reading() as capture:
            policy = capture.policy
            return {
                "name": self.name,
                "title": capture.resolved.checkpoint_name,
                "source": capture.origin.source,
                "python": self._python,
                "unsaid": capture.unsaid(),
                "horizon": getattr(capture.resolved, "horizon", None),
                "envs": self.environments(),
                "layers": views.stored(capture, "layer"),
                "heads": views.stored(capture, "head"),
                "axes": list(capture.rows.dims[2:4]) if capture.row_form != "none" else [],
                "entries": [capture.row_env(place) for place in range(len(self.environments()))],
                "tokens": policy.tokens_per_transition,
                "queryFirst": policy.query_slot == "first",
                "causal": policy.causal,
                "rows": capture.row_form != "none",
                "rowForm": capture.row_form,
                "noRows": capture.lacks("attention/rows"),
                "mapSteps": capture.map_steps(),
                "replays": self._handle is not None,
                "latents": policy.latents,
            }

    def listed(self) -> dict[str, Any]:
        """Return the subject as the list of the page has it."""
        news, capture = self.news(), self._capture
        return {
            "id": self.name,
            "kind": Capture.kind,
            "owner": "",
            "label": "",
            "checkpoint": "" if capture is None else capture.resolved.checkpoint_name,
            "state": "succeeded" if news["state"] == "complete" else news["state"],
            "done": news["committed"],
            "total": news["total"],
            "eta": None,
            "place": None,
            "stalled": False,
            "made": "",
            "failure": None,
            "opens": True,
        }

    def environments(self) -> list[str]:
        """Return a label for each stored environment, read once."""
        with self.reading() as capture:
            if self._envs is None:
                self._envs = environments(capture)
            return self._envs

    def read(self) -> Reading:
        """Return the reading of all committed steps, made once for each commit; it keeps the means that it takes."""
        with self.reading() as capture:
            if self._read is None or self._read.steps != capture.steps_committed:
                self._read = read(capture)
            return self._read

    def rollout(self, place: int) -> Rollout:
        """Return the rollout at a place among the stored environments; a commit adds its steps to it."""
        with self.reading() as capture:
            known = self._rollouts.get(place)
            if known is None or len(known.length) != capture.steps_committed:
                if known is None and len(self._rollouts) >= MOST_KEPT:
                    self._rollouts.clear()
                self._rollouts[place] = Rollout(capture, place, known)
            return self._rollouts[place]

    def latents(self, place: int) -> LatentStudy:
        """Return the study of the latents of one environment, made once for each commit."""
        with self.reading() as capture:
            key = (place, capture.steps_committed)
            if self._latents is None or self._latents[0] != key:
                self._latents = key, LatentStudy(capture, place)
            return self._latents[1]


def in_a_line(words: str) -> str:
    """Return a job's words, which a terminal parts by wide gaps, as a browser shows gaps."""
    return words.replace("  ", " · ")


def mark(news: dict[str, Any]) -> str:
    """Return a short text that differs where the news differ, progress within a commit left out."""
    return f"{news['committed']}.{news['state']}.{'lost' if news['lost'] else 'there'}.{news['answer']}"


def environments(capture: Capture) -> list[str]:
    """Return a label for each stored environment: its task, and its rollout where a task has several."""
    names = capture.names()
    held = capture.row_envs()
    entries = range(capture.resolved.envs) if held is None else held
    if "env/task" not in names:
        return [f"environment {env}" for env in entries[:MOST_LISTED]]
    tasks = capture["env/task"][:].tolist()
    told = {cell.index: cell.label for cell in capture.resolved.tasks}
    several = len(set(tasks)) < len(tasks)
    rollouts = [tasks[:env].count(tasks[env]) for env in entries[:MOST_LISTED]]
    return [
        told.get(tasks[env], f"task {tasks[env]}") + (f" · rollout {rollout}" if several else "")
        for env, rollout in zip(entries, rollouts, strict=False)
    ]
