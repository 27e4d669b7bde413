"""The reference's own capture, `attention_history.pkl` and `attention_data.npz`, as a capture of ours.

What the files do not say is absent from the capture, not zero: actions, observations, per-step rewards, logits, tasks.
Whether the policy is causal is seen in the maps: a causal one has exactly nothing above the diagonal.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from attnscope.foreign.checks import check_map
from attnscope.foreign.facts import Facts
from attnscope.foreign.refusals import ForeignFileError
from attnscope.foreign.stream import inner_lists
from attnscope.foreign.writing import Moment, write

MAX_REWARDS_BYTES = 64 * 2**20
"""Size of the returns beside the maps, at most."""


@dataclass(frozen=True)
class Shape:
    """The result of a first look through the file."""

    steps: int
    layers: int
    heads: int
    slots: int


def look(path: Path) -> Shape:
    """Return the sizes in a file without reading a weight."""
    steps = layers = heads = slots = 0
    for arrays in inner_lists(path, contents=False):
        shapes = {array.shape for array in arrays}
        (shape,) = shapes if len(shapes) == 1 else ((),)
        if len(shape) != 4 or shape[0] != 1 or shape[2] != shape[3]:  # noqa: PLR2004 - one env, heads, queries, keys
            raise ForeignFileError(f"step {steps}: expected maps (1, heads, n, n) of one size, got {sorted(shapes)}")
        if steps and (len(arrays), shape[1]) != (layers, heads):
            raise ForeignFileError(f"step {steps} has {len(arrays)} layers × {shape[1]} heads, not {layers} × {heads}")
        layers, heads, slots, steps = len(arrays), shape[1], max(slots, shape[2]), steps + 1
    if steps == 0:
        raise ForeignFileError(f"{path.name} holds no step")
    return Shape(steps, layers, heads, slots)


def import_reference(
    history: Path,
    out: Path,
    rewards: Path | None = None,
    *,
    maps: int = 5,
    name: str | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Path:
    """Write a capture from the reference's files; memory holds one step of it at a time.

    Parameters
    ----------
    history
        `attention_history.pkl`: a list over steps of lists over layers of (1, heads, n, n) floats.
    out
        New folder.
    rewards
        `attention_data.npz`; None takes the one beside the history, if there is one.
    maps
        Whole maps to keep, evenly spaced; rows and statistics are kept of every step.
    name
        What to call the policy.
    tell
        Called with steps done and in all.

    Returns
    -------
    Path
        The folder of the capture.

    Raises
    ------
    ForeignFileError
        A file is not there, or not what it should be; nothing of it was executed.
    """
    for file in filter(None, (history, rewards)):
        if not file.is_file():
            raise ForeignFileError(f"there is no file at {file}")
    size = look(history)
    beside = rewards or history.with_name("attention_data.npz")
    returns = read_returns(beside) if beside.exists() or rewards else None
    every = np.unique(np.linspace(size.steps - 1, 0, maps).round().astype(int)) if maps else np.empty(0, int)
    horizon, left = divmod(size.steps, len(returns)) if returns is not None and len(returns) else (0, 1)
    causal = _is_causal(history)
    with history.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    facts = Facts(
        source=history.name,
        digest=digest,
        name=name or history.resolve().parent.name,
        steps=size.steps,
        envs=1,
        layers=size.layers,
        heads=size.heads,
        slots=size.slots,
        causal=causal,
        causal_by="the maps: " + ("nothing above any diagonal" if causal else "weights above a diagonal"),
        horizon=horizon if left == 0 else None,
        returns=None if returns is None else returns[None],
        map_steps=tuple(every.tolist()),
        known=frozenset({"rollout/episode"} if left == 0 else ()),
    )
    return write(out, facts, _moments(history, facts), tell=tell)


def _moments(history: Path, facts: Facts) -> Iterator[Moment]:
    """Yield the steps of a file; every weight of every map is looked at, kept or not."""
    for step, arrays in enumerate(inner_lists(history)):
        whole = np.stack([np.asarray(array.value, np.float64)[0] for array in arrays])
        check_map(step, whole)
        labels = {"rollout/episode": np.array([step // facts.horizon])} if facts.horizon else {}
        kept = whole[None] if step in facts.map_steps else None
        yield Moment(whole[None, :, :, -1], np.array([whole.shape[-1]]), labels, kept)


def read_returns(path: Path) -> Float64[np.ndarray, " episode"]:
    """Return the returns by episode of `attention_data.npz`; objects in it are not read.

    Raises
    ------
    ForeignFileError
        There are none in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("rewards.npy").file_size
        if size > MAX_REWARDS_BYTES:
            raise ForeignFileError(f"{path.name}: returns of {size} bytes")
        with np.load(path, allow_pickle=False) as data:
            returns = np.asarray(data["rewards"])
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ForeignFileError(f"{path.name} has no plain array 'rewards': {error}") from error
    if returns.ndim != 2 or len(returns) != 1 or returns.dtype.kind not in "fiu":  # noqa: PLR2004 - env, episode
        raise ForeignFileError(f"{path.name}: expected rewards (1, episodes), got {returns.dtype}{returns.shape}")
    return np.asarray(returns[0], np.float64)


def _is_causal(history: Path) -> bool:
    """Return whether no map of the last steps looked at has anything above its diagonal."""
    causal = True
    for step, arrays in enumerate(inner_lists(history)):
        above = [np.triu(np.asarray(array.value)[0], 1).any() for array in arrays]
        causal = causal and not any(above)
        if not causal or step >= CAUSAL_STEPS:
            break
    return causal


CAUSAL_STEPS = 8
"""Steps whose maps are looked at for weights above the diagonal; the first step has none to have."""
