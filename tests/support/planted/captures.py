"""Large captures without a large policy: random attention with a planted pattern, stored by the real writer.

The rollout is real: uniform actions in real Darkrooms. Decision rows are random, from `seed` and the step alone. Head
0 of layer 0 puts half of its attention on the transition `back` steps before the query; all other heads lean towards
recent slots, each by its own measure. Attributes, schema and statistics are made by the code that a capture job uses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_env import environment_seeds, preset, terminal_observations
from attnscope_model.forward.statistics import row_statistics
from attnscope_server.attempts.attributes import attributes_of
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.resolving import Subject
from attnscope_server.capturing.sizing import env_axis, growing_window, static_arrays
from attnscope_storage.kinds.capture.contract import capture_schema
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, CheckpointInfo, PolicyDescription, ResolvedCapture
from attnscope_storage.writing.writer import CaptureWriter

PLANTED_SHARE = 0.5
"""Attention that the planted head puts on its transition."""


def large_checkpoint(layers: int = 12, heads: int = 12, slots: int = 1024) -> CheckpointInfo:
    """Return the entry of a policy of this shape, which exists nowhere."""
    width = 64 * heads
    policy = PolicyDescription(
        family="ad-native",
        layers=layers,
        heads=heads,
        width=width,
        context_length=slots,
        actions=5,
        causal=True,
        positions="learned-absolute",
        query_slot="last",
        tokens_per_transition=1,
        observation="cell",
        parameters=12 * layers * width**2,
    )
    return CheckpointInfo(
        id="0" * 64,
        name="planted-large@0",
        policy=policy,
        preset="darkroom-reference",
        causal_stated_by="family",
        train_tasks=None,
        validation_tasks=None,
        held_out_tasks=None,
        train_step=0,
        source_sha256="0" * 64,
        source_name="planted-large",
        added_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def write_large_capture(
    path: Path,
    *,
    layers: int = 12,
    heads: int = 12,
    slots: int = 1024,
    envs: int = 4,
    row_envs: int | None = None,
    steps: int = 300,
    back: int = 7,
    seed: int = 0,
    distinct: int | None = None,
) -> CaptureReader:
    """Write a finished capture and return its reader.

    At the default sizes it holds 12 layers, 12 heads, 1024 slots, 4 environments and 300 steps, which takes about
    70 MB on the disk and some seconds.

    Parameters
    ----------
    path
        Folder of the capture, not there yet.
    layers, heads, slots
        Shape of the policy; `slots` are the tokens of a full context.
    envs
        Environments, a task each.
    row_envs
        The first so many have rows, all of them statistics; None gives rows to all.
    steps
        Steps of each environment.
    back
        Transitions before the query that the planted head attends to.
    seed
        Of rows, logits and actions.
    distinct
        Full contexts after which attention repeats, so that a long capture is soon written; None never repeats.
    """
    checkpoint, room = large_checkpoint(layers, heads, slots), preset("darkroom-reference")
    tasks = tuple(room.tasks("all")[:envs])
    held = range(envs if row_envs is None else row_envs)
    spec = CaptureSpec(
        checkpoint=checkpoint.name,
        tasks={"split": "all", "indices": list(range(envs))},
        steps=steps,
        maps={"count": 0},
        rows={"envs": list(held)},
    )
    resolved = ResolvedCapture(
        **dict(Subject(checkpoint, room, tasks).resolved(spec)),
        envs=envs,
        steps=steps,
        map_steps=(),
        row_envs=tuple(held),
        row_layers=tuple(range(layers)),
        row_heads=tuple(range(heads)),
    )
    schema = capture_schema(spec, resolved, checkpoint.policy)
    axis = env_axis(spec, resolved)
    own = {"seeds": sorted(spec.seeds), "growing_window": growing_window(checkpoint.policy)}
    order = Order(path.stem, "local", spec, resolved, path)
    attributes = attributes_of(order, checkpoint, torch.device("cpu"), "planted", own)
    environment = room.make_vector(tasks)
    observation, _ = environment.reset(seed=environment_seeds(axis.seed, axis.task, axis.replica))
    random = np.random.default_rng([seed, 1])
    static = static_arrays(schema, axis, checkpoint.policy)
    known: dict[int, dict[str, np.ndarray]] = {}
    with CaptureWriter.create(path, schema, attributes, static, durable=False) as writer:
        for first in range(0, steps, schema.flush_steps):
            block = writer.acquire()
            block.steps = min(schema.flush_steps, steps - first)
            for row in range(block.steps):
                at = first + row
                if distinct is not None and at >= slots:
                    at = slots + (at - slots) % distinct
                if at not in known:
                    known[at] = _attention(schema, at, back, seed)
                _attend(block.arrays, row, first + row, known[at] if distinct else known.pop(at))
                observation = _act(environment, observation, block.arrays, row, first + row, random)
            writer.submit(block)
        writer.close(complete=True)
    return CaptureReader.open(path)


def _rows(schema: CaptureSchema, step: int, back: int, seed: int) -> Float[Tensor, "env layer head slot"]:
    """Return the decision rows of a step, which sum to 1."""
    dims = schema.dims
    length = min(step + 1, dims.slots)
    random = torch.Generator().manual_seed(1_000_003 * seed + step)
    scores = torch.randn(dims.envs, dims.layers, dims.heads, length, generator=random)
    lean = torch.linspace(0, 0.1, dims.layers * dims.heads).view(dims.layers, dims.heads, 1)
    rows = torch.softmax(scores - lean * torch.arange(length - 1, -1, -1), dim=-1)
    if length > back:
        rows[:, 0, 0] *= 1 - PLANTED_SHARE
        rows[:, 0, 0, length - 1 - back] += PLANTED_SHARE
    return rows


def _attention(schema: CaptureSchema, step: int, back: int, seed: int) -> dict[str, np.ndarray]:
    """Return the decision rows and the statistics of a step, by array."""
    weights = _rows(schema, step, back, seed)
    found = {f"stats/{name}": values.numpy() for name, values in row_statistics(weights, "last").items()}
    held = schema.arrays["attention/rows"].shape[1]
    return {"attention/rows": weights[:held].numpy().astype(np.float16), **found}


def _attend(stored: dict[str, Any], row: int, step: int, found: dict[str, np.ndarray]) -> None:
    rows = found["attention/rows"]
    length = rows.shape[-1]
    stored["attention/rows"][row, ..., :length] = rows
    for name, values in found.items():
        if name != "attention/rows":
            stored[name][row] = values
    stored["context/length"][row] = length
    stored["context/start"][row] = step + 1 - length


def _act(
    environment: Any, before: np.ndarray, stored: dict[str, Any], row: int, step: int, random: np.random.Generator
) -> np.ndarray:
    """Step the rooms by uniform actions, store the transition and return what is observed next."""
    actions = random.integers(0, 5, len(before))
    after, reward, terminated, truncated, infos = environment.step(actions)
    values = {
        "observation": before,
        "next_observation": terminal_observations(after, infos),
        "action": actions,
        "reward": reward,
        "episode": step // environment.horizon,
        "terminated": terminated,
        "truncated": truncated,
    }
    for name, value in values.items():
        stored[f"rollout/{name}"][row] = value
    stored["policy/logits"][row] = random.normal(size=(len(before), 5))
    return after
