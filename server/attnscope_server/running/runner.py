"""Handing jobs to workers: one small interface, and the local one that keeps a warm process a device.

Ray or another machine can stand behind `Runner` later; the supervisor knows no more than this.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import structlog

from attnscope_server.records.job import StoredJob
from attnscope_server.settings import Settings

log = structlog.get_logger("attnscope.workers")

Report = Callable[[dict[str, Any]], None]
"""Takes a worker's message; ``{"type": "died"}`` when it is gone."""


class Runner(ABC):
    """Runs one job at a time on one device."""

    device: str

    @abstractmethod
    def run(self, job: StoredJob) -> None:
        """Start a job; what becomes of it is reported."""

    @abstractmethod
    def cancel(self, job: StoredJob) -> None:
        """Stop a job, the harder the longer it takes; its end is reported, at the latest as a death."""

    @abstractmethod
    def release(self) -> None:
        """Free the device while nothing runs."""

    @abstractmethod
    def stop(self) -> None:
        """Stop whatever runs in an orderly way, and wait for it."""


class ProcessRunner(Runner):
    """A worker process that speaks JSON lines, started when first needed and kept warm."""

    def __init__(self, device: str, settings: Settings, report: Report) -> None:
        self.device = device
        self._settings = settings
        self._report = report
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(self, job: StoredJob) -> None:
        """Send the job to the worker, starting one where there is none."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
        order = {
            "type": "run",
            "job": str(job.id),
            "name": str(job.name),
            "owner": job.owner,
            "spec": job.spec.model_dump(mode="json"),
            "resolved": job.resolved.model_dump(mode="json"),
            "data_root": str(self._settings.data_root.resolve()),
            "device": self.device,
            "threads": self._settings.threads,
            "durable": self._settings.durable,
            "environments": [entry.model_dump(mode="json") for entry in self._settings.environments],
            "fused": self._settings.fused_attention,
        }
        self._send(order)

    def cancel(self, job: StoredJob) -> None:
        """Set the worker's flag; end the process if that does not help in time."""
        process = self._process
        if process is None:
            return
        self._send({"type": "cancel", "job": str(job.id)})
        first = self._settings.cancel_grace_seconds
        for delay, end in ((first, process.terminate), (first + self._settings.kill_grace_seconds, process.kill)):
            timer = threading.Timer(delay, self._end_if_still_on, (job, process, end))
            timer.daemon = True
            timer.start()

    def release(self) -> None:
        """End the idle worker, and with it what it holds on its device."""
        self._send({"type": "stop"})

    def stop(self) -> None:
        """Ask the worker to stop, and end it when it does not."""
        process = self._process
        if process is None:
            return
        self._send({"type": "stop"})
        try:
            process.wait(self._settings.stop_grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ATTNSCOPE_SERVER_API_KEY")}
        self._process = subprocess.Popen(  # noqa: S603 - the operator's own command
            self._settings.worker_command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C reaches the service, which stops its workers in order
        )
        with contextlib.suppress(OSError):
            nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + self._settings.worker_nice)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
        log.info("worker started", device=self.device, process=self._process.pid)
        threading.Thread(target=self._listen, args=(self._process,), name=f"worker-{self.device}", daemon=True).start()

    def _send(self, message: dict[str, Any]) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            # A worker that is gone is noticed by the thread that reads from it.
            with self._lock, contextlib.suppress(OSError, ValueError):
                process.stdin.write(json.dumps(message) + "\n")
                process.stdin.flush()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for line in process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                log.warning("worker said something that is no message", device=self.device)
                continue
            self._report(message)
        code = process.wait()
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        process.stdout.close()
        log.info("worker ended", device=self.device, process=process.pid, code=code)
        with self._lock:
            if self._process is process:
                self._process = None
        self._report({"type": "died", "code": code})

    def _end_if_still_on(self, job: StoredJob, process: subprocess.Popen[str], end: Callable[[], None]) -> None:
        if process.poll() is None and self._still_on(job):
            end()

    def _still_on(self, job: StoredJob) -> bool:
        return self.busy_with is not None and self.busy_with == str(job.id)

    busy_with: str | None = None
    """Job that the supervisor believes is running here."""
