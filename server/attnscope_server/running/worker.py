"""The worker: one warm process a device that runs the jobs it is told, one at a time.

It speaks JSON lines, commands on standard input and reports on standard output, and logs to standard error. It ends
with its service: by the end of its standard input, and on Linux by the kernel's parent-death signal.
"""

from __future__ import annotations

import io
import json
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import structlog
import torch

from attnscope_env import EnvironmentUnusableError, GymnasiumEntry, Listings
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CaptureInvalidError, CheckpointError
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies import StrategyError
from attnscope_server.capturing.job import CaptureOrder, committed, run_capture
from attnscope_server.capturing.precision import PrecisionUnavailableError
from attnscope_server.capturing.rollout import NotReproducibleError, RolloutStoppedError
from attnscope_server.root.paths import capture_path
from attnscope_server.running.child import become_child
from attnscope_server.trials.job import TrialOrder, run_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.errors import StorageFullError, StorageUnwritableError
from attnscope_storage.wire import (
    JOB_SPEC,
    RESOLVED,
    CaptureSpec,
    CheckpointInfo,
    Phase,
    Problem,
    ProblemCode,
    ResolvedCapture,
    ResolvedTrial,
    TrialSpec,
    problem,
)
from attnscope_storage.writer import Commit

log = structlog.get_logger("attnscope.worker")

REDUCE = (
    "fewer environments (tasks × seeds × replicas); of a capture, fewer layers, heads or envs of rows, or fewer "
    "sampled maps; of a trial, fewer timed environments"
)
"""What makes a job need less memory."""


@dataclass
class Channel:
    """The two pipes to the service: a thread reads commands, any thread may report."""

    commands: TextIO
    reports: TextIO
    orders: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)
    cancelled: set[str] = field(default_factory=set)
    """Jobs told to stop, also one that is told so before it is taken."""
    stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, kind: str, **content: object) -> None:
        """Report to the service."""
        with self._lock:
            self.reports.write(json.dumps({"type": kind, **content}) + "\n")
            self.reports.flush()

    def listen(self) -> None:
        """Read commands until the service is gone, then end the process at once."""
        for line in self.commands:
            command = json.loads(line)
            match command["type"]:
                case "run":
                    self.orders.put(command)
                case "cancel":
                    self.cancelled.add(command["job"])
                case "stop":
                    self.stopping.set()
                    self.orders.put(command)
        os._exit(0)  # whatever is not committed is dropped, as after a kill


@dataclass
class Worker:
    """Runs captures and trials; keeps the last policy that it loaded."""

    channel: Channel
    _loaded: tuple[str, str, Policy] | None = None
    _rate_from: tuple[float, int] | None = None
    _steps_each: int = 1
    """Steps of one committed entry: a capture's step, or a trial's condition."""
    _done: int = 0
    """Steps that were told."""
    _committed: Commit = field(default_factory=lambda: Commit(steps_committed=0, bytes_written=0))

    def serve(self) -> None:
        """Run orders until told to stop."""
        self.channel.tell("ready")
        while (order := self.channel.orders.get())["type"] != "stop":
            self.run(order)

    def run(self, order: dict[str, Any]) -> None:
        """Run one job and report how it ended."""
        job = order["job"]
        self._rate_from, self._done = None, 0
        self._committed = Commit(steps_committed=0, bytes_written=0)
        with structlog.contextvars.bound_contextvars(job=job):
            log.info("job taken")
            try:
                self._job(order)
            except RolloutStoppedError:
                kind = "interrupted" if self.channel.stopping.is_set() else "cancelled"
                log.info("job stopped", outcome=kind)
                self.channel.tell(kind, job=job)
            except Exception as error:
                failure = explain(error)
                log.exception("job failed", problem=failure.type, detail=failure.detail)
                self.channel.tell("failed", job=job, problem=failure.model_dump(mode="json"))
                self._loaded = None
            else:
                log.info("job succeeded")
                self.channel.tell("succeeded", job=job)

    def _job(self, order: dict[str, Any]) -> None:
        root, job = Path(order["data_root"]), order["job"]
        if order.get("threads"):
            torch.set_num_threads(order["threads"])
        device = torch.device(choose_device(order["device"]))
        spec, resolved = JOB_SPEC.validate_python(order["spec"]), RESOLVED.validate_python(order["resolved"])
        common: dict[str, Any] = {
            "job": order["name"],
            "owner": order["owner"],
            "path": capture_path(root, job),
            "durable": order.get("durable", True),
            "listings": Listings(GymnasiumEntry.model_validate(entry) for entry in order.get("environments", ())),
            "fused": order.get("fused", True),
        }
        self._steps_each = resolved.steps if isinstance(resolved, ResolvedTrial) else 1
        if (earlier := committed(common["path"])) is not None:
            so_far = earlier.steps_committed * self._steps_each
            self._committed = Commit(so_far, int(earlier.attributes.get("bytes_written", 0)))
        self._progress(job, "loading", 0)
        policy, info = self._policy(root, resolved.checkpoint_id, device)
        heard: dict[str, Any] = {
            "stopped": lambda: job in self.channel.cancelled or self.channel.stopping.is_set(),
            "tell": lambda phase, steps: self._progress(job, phase, steps),
            "on_commit": lambda commit: self._commit(job, commit),
        }
        if isinstance(spec, TrialSpec) and isinstance(resolved, ResolvedTrial):
            run_trial(TrialOrder(spec=spec, resolved=resolved, **common), policy, info, device, TrialRunner, **heard)
        elif isinstance(spec, CaptureSpec) and isinstance(resolved, ResolvedCapture):
            run_capture(CaptureOrder(spec=spec, resolved=resolved, **common), policy, info, device, **heard)

    def _policy(self, root: Path, checkpoint: str, device: torch.device) -> tuple[Policy, CheckpointInfo]:
        registry = CheckpointRegistry(root / "checkpoints")
        info = registry.get(checkpoint)
        if self._loaded is None or self._loaded[:2] != (checkpoint, str(device)):
            self._loaded = None  # frees the old one before the new one is read
            self._loaded = (checkpoint, str(device), load_policy(registry.folder(checkpoint), device))
        return self._loaded[2], info

    def _commit(self, job: str, commit: Commit) -> None:
        self._committed = Commit(commit.steps_committed * self._steps_each, commit.bytes_written)
        self._progress(job, "rolling", self._committed.steps_committed)

    def _progress(self, job: str, phase: Phase, steps: int) -> None:
        now, steps = time.monotonic(), max(steps, self._done, self._committed.steps_committed)
        self._done = steps
        if phase != "rolling":
            self._rate_from = None
        elif self._rate_from is None:
            self._rate_from = (now, steps)
        since = self._rate_from
        rate = (steps - since[1]) / (now - since[0]) if since is not None and now > since[0] else None
        self.channel.tell(
            "progress",
            job=job,
            phase=phase,
            steps_done=steps,
            steps_committed=self._committed.steps_committed,
            bytes_written=self._committed.bytes_written,
            steps_per_second=rate if rate is not None and rate > 0 else None,
        )


def choose_device(name: str) -> str:
    """Return the torch device of a settings entry; ``auto`` is the first GPU, else the CPU."""
    if name != "auto":
        return name
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def explain(error: BaseException) -> Problem:
    """Return the problem that tells a job's owner why it failed."""
    match error:
        case MemoryError() | torch.OutOfMemoryError():
            code, detail = ProblemCode.OUT_OF_MEMORY, f"memory ran out; ask for {REDUCE}"
        case RuntimeError() if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            code, detail = ProblemCode.OUT_OF_MEMORY, f"memory ran out; ask for {REDUCE}"
        case StorageFullError():
            code, detail = ProblemCode.STORAGE_FULL, str(error)
        case StorageUnwritableError():
            code, detail = ProblemCode.STORAGE_UNWRITABLE, str(error)
        case CaptureInvalidError():
            code, detail = ProblemCode.CAPTURE_INVALID, str(error)
        case CheckpointError():
            code, detail = ProblemCode.CHECKPOINT_UNREADABLE, str(error)
        case EnvironmentUnusableError() | StrategyError():
            code, detail = ProblemCode.INVALID_REQUEST, str(error)
        case PrecisionUnavailableError():
            code, detail = ProblemCode.INVALID_REQUEST, str(error)
        case NotReproducibleError():
            code, detail = ProblemCode.NOT_REPRODUCIBLE, str(error)
        case _:
            code, detail = ProblemCode.INTERNAL, f"{type(error).__name__} in the worker; the service's log has the rest"
    return problem(code, detail)


def main() -> None:
    """Serve the service that started this process."""
    reports = io.TextIOWrapper(become_child(), encoding="utf-8")
    channel = Channel(commands=sys.stdin, reports=reports)
    threading.Thread(target=channel.listen, name="commands", daemon=True).start()
    Worker(channel).serve()
    sys.stderr.flush()
    os._exit(0)  # everything is committed and told; taking torch apart would only keep the service waiting


if __name__ == "__main__":
    main()
