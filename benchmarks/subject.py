"""The subjects of the suites: the reference's checkpoint in a registry, and captures of it that are timed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from attnscope_model.checkpoints.native import load_policy, load_tensors
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.forward.policy import Policy
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.wire import CaptureSpec, CheckpointInfo
from benchmarks.reference_way import EncoderPolicy
from benchmarks.timing import Cost

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
CHECKPOINT = GOLDEN / "ckpt-noncausal.pt"
"""The reference's shape (d 32, L 4, H 4, T 160); its file does not say whether it is causal, so both can be stated."""

CPU = torch.device("cpu")
GOAL = (5, 4)


@dataclass(frozen=True)
class Subject:
    """The reference's policy, causal or not, ours and the baseline."""

    registry: CheckpointRegistry
    info: CheckpointInfo
    policy: Policy
    baseline: EncoderPolicy
    folder: Path

    @property
    def window(self) -> int:
        """Tokens of a full context."""
        return self.info.policy.context_length

    def spec(self, envs: int, steps: int, **options: Any) -> CaptureSpec:  # noqa: ANN401 - fields of the specification
        """Return a capture of so many environments of one task, without maps unless `options` say so."""
        common: dict[str, Any] = {"tasks": {"goals": [GOAL]}, "replicas": envs, "steps": steps, "maps": {"count": 0}}
        return CaptureSpec(checkpoint=self.info.id, **(common | options))

    def capture(self, spec: CaptureSpec, after: int = 0, *, durable: bool = False) -> Cost:
        """Capture to disk; return the cost from step `after` to the last commit."""
        path = self.folder / "captures" / f"{time.perf_counter_ns()}.zarr"
        order = CaptureOrder(path.stem, "bench", spec, resolve(spec, self.registry), path, durable=durable)
        asked, begun = iter(range(10**9)), Cost(time.perf_counter(), time.process_time())

        def at_step() -> bool:
            if next(asked) == after:
                begun.wall, begun.cpu = time.perf_counter(), time.process_time()
            return False

        run_capture(order, self.policy, self.info, CPU, stopped=at_step)
        return Cost(time.perf_counter() - begun.wall, time.process_time() - begun.cpu)


def subject(folder: Path, *, causal: bool) -> Subject:
    """Return the reference's policy on one thread."""
    torch.set_num_threads(1)
    registry = CheckpointRegistry(folder / ("causal" if causal else "noncausal"))
    info = registry.add(CHECKPOINT, causal=causal)
    where = registry.folder(info.id)
    baseline = EncoderPolicy(load_tensors(where), heads=info.policy.heads, causal=causal)
    return Subject(registry, info, load_policy(where, CPU), baseline, folder)
