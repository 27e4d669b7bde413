"""The worker: one warm process a placement slot that runs the jobs it is told, one at a time.

It reads orders from standard input, writes reports to standard output, and logs to standard error. It ends
with its service: by the end of its standard input, and on Linux by the kernel's parent-death signal.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
import torch

from attnscope_env import Listings
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.devices import choose_device
from attnscope_server.acting.errors import RolloutStoppedError, SlotGivenBackError
from attnscope_server.attempts.opening import committed
from attnscope_server.attempts.order import Callbacks, Order
from attnscope_server.failures import problem_of
from attnscope_server.kinds import kind_of
from attnscope_server.root.paths import capture_path
from attnscope_server.running.channel import AttemptKey, Channel, Pipes
from attnscope_server.running.child import become_child
from attnscope_server.running.messages import (
    Advanced,
    Cancelled,
    Failed,
    GivenBack,
    Interrupted,
    Misplaced,
    Placement,
    Ready,
    Run,
    Succeeded,
    Taken,
)
from attnscope_storage.errors import CaptureLockedError, FencedError, LeaseLostError
from attnscope_storage.layout.places import place_of
from attnscope_storage.wire import CheckpointInfo, Phase
from attnscope_storage.wire.contract import imported
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.writer import Commit

log = structlog.get_logger("attnscope.worker")

TAKEN_OVER: Final = (FencedError, LeaseLostError, CaptureLockedError)
"""Errors of an attempt that has not, or not yet, the right to write: the job goes on as another one."""

REDUCE = (
    "memory ran out; ask for fewer environments (tasks × seeds × replicas); of a capture, fewer layers, heads or envs "
    "of rows, or fewer sampled maps; of a trial, fewer timed environments"
)
"""Detail of a job that ran out of memory."""


class _MisplacedError(Exception):
    """The job must go on on another kind of device."""

    def __init__(self, placed_on: Placement) -> None:
        super().__init__(placed_on.device)
        self.placed_on = placed_on


@dataclass
class Worker:
    """Runs jobs of any kind by their runners; keeps the last policy that it loaded."""

    channel: Channel
    _loaded: tuple[str, str, Policy] | None = None
    _rate_from: tuple[float, int] | None = None
    _steps_each: int = 1
    """Steps of one committed entry of the store."""
    _done: int = 0
    """Steps that were told."""
    _committed: Commit = field(default_factory=lambda: Commit(steps_committed=0, bytes_written=0))

    def serve(self) -> None:
        """Run orders until told to stop."""
        self.channel.report(Ready())
        while isinstance(order := self.channel.orders.get(), Run):
            if self.channel.stopping.is_set():  # told to stop before the job was taken
                self.channel.report(Interrupted(job=order.job, attempt=order.attempt))
            else:
                self.run(order)

    def run(self, order: Run) -> None:
        """Run one job and report how it ended."""
        about = {"job": order.job, "attempt": order.attempt}
        self._rate_from, self._done = None, 0
        self._committed = Commit(steps_committed=0, bytes_written=0)
        key = self.channel.running = (order.job, order.attempt)
        with structlog.contextvars.bound_contextvars(job=str(order.job)):
            log.info("job taken")
            try:
                self._job(order)
            except (RolloutStoppedError, *TAKEN_OVER) as error:
                cancelled = isinstance(error, RolloutStoppedError) and self.channel.may_write(key)
                stopped = self.channel.stopping.is_set() or not cancelled
                report = Interrupted(**about) if stopped else Cancelled(**about)
                log.info("job stopped", outcome=report.type)
                self.channel.report(report)
            except _MisplacedError as error:
                log.info("job not begun", wants=order.resume_on or order.device_kind, device=error.placed_on.device)
                self.channel.report(Misplaced(**about, placed_on=error.placed_on))
            except SlotGivenBackError:
                log.info("slot given back")
                self.channel.report(GivenBack(**about))
            except Exception as error:
                failure = problem_of(error, where="in the worker", reduce=REDUCE)
                log.exception("job failed", problem=failure.type, detail=failure.detail)
                self.channel.report(Failed(**about, problem=failure))
                self._loaded = None
            else:
                log.info("job succeeded")
                self.channel.report(Succeeded(**about))
            finally:
                self.channel.running = None
                self.channel.leases.pop(key, None)

    def _job(self, order: Run) -> None:
        if order.threads:
            torch.set_num_threads(order.threads)
        device = torch.device(choose_device(order.device))
        spec, resolved = order.spec, order.resolved
        placed_on = placement(device, getattr(spec, "dtype", "float32"))  # a kind without a choice computes so
        about = {"job": order.job, "attempt": order.attempt}
        if order.resume_on not in {None, placed_on.device} or order.device_kind not in {None, device.type}:
            raise _MisplacedError(placed_on)
        self.channel.report(Taken(**about, placed_on=placed_on))
        job = Order(
            job=str(order.name),
            owner=order.owner,
            spec=spec,
            resolved=resolved,
            path=capture_path(place_of(order.stores), str(order.job)),
            durable=order.durable,
            listings=Listings(order.environments),
            fused=order.fused,
            load=lambda identity: self._another(order.data_root, identity, device),
            tenure=self._tenure(order, placed_on),
            earlier=order.earlier,
        )
        self._steps_each = resolved.steps_each
        if (earlier := committed(job.path)) is not None:
            so_far = earlier.steps_committed * self._steps_each
            self._committed = Commit(so_far, int(earlier.attributes.get("bytes_written", 0)))
        self._progress(order, "loading", 0)
        policy, info = self._policy(order.data_root, resolved.checkpoint_id, device)
        callbacks: Callbacks = {
            "stopped": lambda: self._must_stop((order.job, order.attempt)),
            "on_progress": lambda phase, steps: self._progress(order, phase, steps),
            "on_commit": lambda commit: self._commit(order, commit),
        }
        imported(kind_of(spec.kind).runner)(job, policy, info, device, **callbacks)

    def _tenure(self, order: Run, placed_on: Placement) -> Tenure:
        key = (order.job, order.attempt)
        return Tenure(order.attempt, lambda: self.channel.may_write(key), placed_on.model_dump(mode="json"))

    def _must_stop(self, key: AttemptKey) -> bool:
        channel = self.channel
        return key in channel.cancelled or channel.stopping.is_set() or not channel.may_write(key)

    def _policy(self, root: Path, checkpoint: str, device: torch.device) -> tuple[Policy, CheckpointInfo]:
        registry = CheckpointRegistry(root / "checkpoints")
        info = registry.get(checkpoint)
        if self._loaded is None or self._loaded[:2] != (checkpoint, str(device)):
            self._loaded = None  # frees the old one before the new one is read
            self._loaded = (checkpoint, str(device), load_policy(registry.folder(checkpoint), device))
        return self._loaded[2], info

    def _another(self, root: Path, checkpoint: str, device: torch.device) -> tuple[Policy, CheckpointInfo]:
        """Return a further policy of a job, which is not kept beyond it."""
        registry = CheckpointRegistry(root / "checkpoints")
        return load_policy(registry.folder(checkpoint), device), registry.get(checkpoint)

    def _commit(self, order: Run, commit: Commit) -> None:
        self._committed = Commit(commit.steps_committed * self._steps_each, commit.bytes_written)
        self._progress(order, "rolling", self._committed.steps_committed)

    def _progress(self, order: Run, phase: Phase, steps: int) -> None:
        now, steps = time.monotonic(), max(steps, self._done, self._committed.steps_committed)
        self._done = steps
        if phase != "rolling":
            self._rate_from = None
        elif self._rate_from is None:
            self._rate_from = (now, steps)
        since = self._rate_from
        rate = (steps - since[1]) / (now - since[0]) if since is not None and now > since[0] else None
        report = Advanced(
            job=order.job,
            attempt=order.attempt,
            phase=phase,
            steps_done=steps,
            steps_committed=self._committed.steps_committed,
            bytes_written=self._committed.bytes_written,
            steps_per_second=rate if rate is not None and rate > 0 else None,
        )
        self.channel.report(report)


def placement(device: torch.device, dtype: str) -> Placement:
    """Return what a job is computed on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Placement(device=name, dtype=dtype, threads=torch.get_num_threads(), torch=torch.__version__)


def main() -> None:
    """Serve the service that started this process."""
    channel = Pipes(commands=sys.stdin.buffer, reports=become_child())
    for target in (channel.listen, channel.live):
        threading.Thread(target=target, name=target.__name__, daemon=True).start()
    Worker(channel).serve()
    sys.stderr.flush()
    os._exit(0)  # everything is committed and told; taking torch apart would only keep the service waiting


if __name__ == "__main__":
    main()
