"""The one replay process: started when first asked, asked by one thread, ended when idle, killed when too slow.

The thread that starts the process lives as long as the service, since the kernel ties a child's life to its thread
(decision 0003). Knows nothing of owners, captures or maps: orders go out, bytes of the stated size come back.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import queue
import selectors
import subprocess
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from jaxtyping import Float32

from attnscope_server.errors import ProblemError, refusal
from attnscope_server.replaying.messages import REPLAY_REPORT, Ask, Refused, ReplayReport
from attnscope_server.running.environment import computing
from attnscope_server.running.messages import Ready
from attnscope_server.settings import Settings
from attnscope_storage.wire import ProblemCode

log = structlog.get_logger("attnscope.replays")

LINE_BYTES: Final = 64 * 1024
"""Bytes of a report's line, at most."""

READ_BYTES: Final = 1024 * 1024
"""Bytes that are read from the pipe at once."""

STOP_SECONDS: Final = 0.2
"""Time for which a wait for the process may take no notice of the service stopping."""

STALLED_SHARE: Final = 0.25
"""Share of its time that a replay computes at least; one that computes less hangs, whatever was asked."""

GONE: Final = "the replay process ended; the next request starts another"

Replayed = Float32[np.ndarray, "..."]


class _GoneError(Exception):
    """The process ended, or said something that is no report."""


@dataclass
class _Waiting:
    order: Ask
    shape: tuple[int, ...]
    future: Future[Any]


class ReplayProcess:
    """Runs orders one after another in a child of low priority.

    Parameters
    ----------
    settings
        The command, the data root, how long an order may take, how long an idle child lives.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._orders: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._buffer = bytearray()
        self._thread = threading.Thread(target=self._loop, name="replays", daemon=True)

    @property
    def pid(self) -> int | None:
        """Id of the process, None where there is none."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Be ready for orders; no process is started yet."""
        self._thread.start()

    def submit(self, order: Ask, shape: tuple[int, ...]) -> Future[Any]:
        """Queue an order whose answer has this shape, float32.

        The future raises `ProblemError`: the worker's own, or that it ended (retryable) or took too long.
        """
        waiting = _Waiting(order.model_copy(update={"id": next(self._numbers)}), shape, Future())
        self._orders.put(waiting)
        return waiting.future

    def stop(self) -> None:
        """End the process and refuse what waits."""
        self._stopping = True
        self._orders.put(None)
        process = self._process
        if process is not None:
            process.kill()
        self._thread.join()

    def unwell(self) -> str | None:
        """Say what keeps replays from being answered; None where nothing does."""
        return None if self._thread.is_alive() else "the thread of replays has ended"

    def _loop(self) -> None:
        while True:
            try:
                waiting = self._orders.get(timeout=self._settings.replay_idle_seconds)
                if waiting is None:
                    break
                if waiting.future.set_running_or_notify_cancel():
                    self._run(waiting)
            except queue.Empty:
                self._end_quietly()
        self._end_quietly()

    def _run(self, waiting: _Waiting) -> None:
        try:
            waiting.future.set_result(self._ask(waiting))
        except ProblemError as error:
            waiting.future.set_exception(error)
        except Exception as error:
            # Whatever it was, this thread must outlive it; and a pipe that lost its place is of no more use.
            if isinstance(error, _GoneError | OSError):
                log.warning("the replay process is gone", detail=str(error))
            else:
                log.exception("the replay process was not understood")
            self._end_quietly()
            waiting.future.set_exception(refusal(ProblemCode.UNAVAILABLE, GONE))

    def _ask(self, waiting: _Waiting) -> Replayed:
        if self._stopping:
            raise refusal(ProblemCode.UNAVAILABLE, "the service is stopping")
        process = self._running()
        assert process.stdin is not None  # noqa: S101 - it was asked for
        process.stdin.write(waiting.order.line)
        process.stdin.flush()
        allowed = self._settings.limits.replay_seconds
        deadline, worked = time.monotonic() + allowed, _cpu_seconds(process.pid)
        try:
            report = self._line(deadline)
            if isinstance(report, Ready) or report.id != waiting.order.id:
                raise _GoneError("an answer to another order")
            if isinstance(report, Refused):
                raise ProblemError(report.problem)
            if report.shape != waiting.shape or report.bytes != 4 * math.prod(waiting.shape):
                raise _GoneError(f"expected a map {waiting.shape}, got {report}")
            content = self._exactly(report.bytes, deadline)
        except TimeoutError:
            now = _cpu_seconds(process.pid)
            self._end()
            if worked is not None and now is not None and now - worked < STALLED_SHARE * allowed:
                raise _GoneError(f"it computed nothing for most of {allowed} s") from None
            detail = f"this took longer than the {allowed} s that a replay may: ask for less at once"
            raise refusal(ProblemCode.TOO_LARGE, detail, limit=allowed, requested=allowed) from None
        return np.frombuffer(content, np.float32).reshape(waiting.shape)

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process, started where there is none and ready."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._process = subprocess.Popen(  # noqa: S603 - the operator's own command
            (*self._settings.replay_command, str(self._settings.data_root.resolve()), self._settings.stores_address),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=READ_BYTES,  # fewer hand-overs of a map between the two processes
            env=computing(os.environ),
            start_new_session=True,  # a terminal's Ctrl-C reaches the service, which ends its children in order
        )
        log.info("replay process started", process=self._process.pid)
        try:
            if not isinstance(self._line(time.monotonic() + self._settings.worker_start_seconds), Ready):
                raise _GoneError("it did not say that it is ready")
        except TimeoutError:
            raise _GoneError("it was not ready in time") from None
        return self._process

    def _line(self, deadline: float) -> ReplayReport:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LINE_BYTES:
                raise _GoneError("a report without an end")
            self._read(deadline)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return REPLAY_REPORT.validate_json(line)

    def _exactly(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            self._read(deadline)
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        return content

    def _read(self, deadline: float) -> None:
        """Take what the process has written; wait for it until the deadline."""
        process = self._process
        assert process is not None  # noqa: S101 - only called while there is one
        assert process.stdout is not None  # noqa: S101 - it was asked for
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not selector.select(min(STOP_SECONDS, max(0.0, deadline - time.monotonic()))):
                if self._stopping:
                    raise _GoneError("the service is stopping")
                if time.monotonic() >= deadline:
                    raise TimeoutError
        content = os.read(process.stdout.fileno(), READ_BYTES)
        if not content:
            raise _GoneError("its pipe closed")
        self._buffer += content

    def _end_quietly(self) -> None:
        """End the process; this thread outlives whatever is wrong with that."""
        try:
            self._end()
        except Exception:
            log.exception("the replay process could not be ended")

    def _end(self) -> None:
        """Kill the process, if there is one: it holds nothing that is not stored elsewhere."""
        process, self._process = self._process, None
        self._buffer.clear()
        if process is None:
            return
        process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        log.info("replay process ended", process=process.pid, code=code)


def _cpu_seconds(process: int) -> float | None:
    """Return the processor time of a process in seconds; None where the system does not say."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
