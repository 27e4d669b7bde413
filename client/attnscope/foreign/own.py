"""Attention that somebody recorded in a program of their own, as arrays, made a capture that every verb takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from attnscope.foreign.facts import Facts
from attnscope.foreign.refusals import WANTED, ForeignFileError
from attnscope.foreign.writing import Moment, write

LABELS: Final = {"rewards": "rollout/reward", "episodes": "rollout/episode", "actions": "rollout/action"}
"""Optional arrays [step, env] and their names in a capture."""

WHOLE: Final = {"lengths", "episodes", "actions", "tasks"}
"""Arrays of integers."""


@dataclass(frozen=True)
class Described:
    """The facts about a policy that its arrays do not hold; None is unknown."""

    causal: bool | None = None
    """Mask of the policy."""
    query_slot: Literal["first", "last"] = "last"
    """Place of the query in the context."""
    tokens_per_transition: int = 1
    width: int | None = None
    """Embedding width of the policy."""
    name: str | None = None
    """Name of the policy; None takes the source's."""
    environment: str | None = None
    """Name of the environment."""


def write_arrays(out: Path, arrays: Mapping[str, Any], described: Described, *, source: str = "arrays") -> Path:
    """Write a capture from named arrays.

    Parameters
    ----------
    out
        New folder.
    arrays
        By the names and in the shapes of `import_arrays`; None is unknown.
    described
        Facts that the arrays do not hold.
    source
        Name of the file that the arrays come from.

    Returns
    -------
    Path
        The new folder.

    Raises
    ------
    ForeignFileError
        An array has another shape or kind than wanted, or a value that it cannot have.
    """
    held = {key: _plain(key, value) for key, value in arrays.items() if value is not None}
    rows = _rows(held)
    steps, envs = rows.shape[:2]
    lengths = _lengths(held, rows)
    labels = {array: _label(key, held[key], (steps, envs)) for key, array in LABELS.items() if key in held}
    if "rollout/episode" in labels:
        labels["rollout/episode"] = _episodes(labels["rollout/episode"])
    _refuse_late(lengths, described.tokens_per_transition)
    tasks = None if "tasks" not in held else _of_shape("tasks", held["tasks"], (envs,), "[env]")
    facts = Facts(
        source=source,
        digest=_digest(held),
        name=described.name or source,
        steps=steps,
        envs=envs,
        layers=rows.shape[2],
        heads=rows.shape[3],
        slots=int(lengths.max()),
        causal=described.causal,
        causal_by="user" if described.causal is not None else "nobody",
        query_slot=described.query_slot,
        tokens_per_transition=described.tokens_per_transition,
        width=described.width,
        actions=int(labels["rollout/action"].max()) + 1 if "rollout/action" in labels else None,
        environment=described.environment,
        returns=_returns(held.get("returns"), labels, envs),
        known=frozenset(labels) | ({"env/task"} if tasks is not None else frozenset()),
    )
    return write(out, facts, _moments(rows, lengths, labels, facts.slots), {} if tasks is None else {"env/task": tasks})


def _moments(
    rows: Shaped[np.ndarray, "step env layer head slot"],
    lengths: Int64[np.ndarray, "step env"],
    labels: Mapping[str, Shaped[np.ndarray, "step env"]],
    slots: int,
) -> Iterator[Moment]:
    for step, length in enumerate(lengths):
        past = np.asarray(rows[step, ..., slots:])
        if (np.nan_to_num(past) != 0).any():
            raise ForeignFileError(f"step {step}: rows hold weights past slot {slots}, the longest of the lengths")
        at = {name: values[step] for name, values in labels.items()}
        yield Moment(np.asarray(rows[step, ..., :slots]), length, at)


def _plain(key: str, value: Any) -> Shaped[np.ndarray, ...]:  # noqa: ANN401 - any array
    """Return an array of numbers; a torch tensor comes through NumPy."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float().numpy() if value.is_floating_point() else value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in ("iub" if key in WHOLE else "fiu"):
        kind = "integers" if key in WHOLE else "numbers"
        raise ForeignFileError(f"{key}: expected {kind}, got {array.dtype} {list(array.shape)}; {WANTED}")
    return array


def _rows(held: Mapping[str, Shaped[np.ndarray, ...]]) -> Shaped[np.ndarray, "step env layer head slot"]:
    if "rows" not in held:
        raise ForeignFileError(f"there is no array 'rows', only {', '.join(sorted(held)) or 'nothing'}; {WANTED}")
    rows = held["rows"]
    if rows.ndim == 4:  # noqa: PLR2004 - one environment, whose axis is left out
        rows = rows[:, None]
    if rows.ndim != 5 or 0 in rows.shape:  # noqa: PLR2004 - step, env, layer, head, slot
        raise ForeignFileError(f"rows have the shape {list(held['rows'].shape)}; {WANTED}")
    return rows


def _lengths(
    held: Mapping[str, Shaped[np.ndarray, ...]], rows: Shaped[np.ndarray, "step env layer head slot"]
) -> Int64[np.ndarray, "step env"]:
    """Return the context lengths; where none are given, a context ends with the last slot that is not NaN."""
    if "lengths" in held:
        lengths = _label("lengths", held["lengths"], rows.shape[:2]).astype(np.int64)
    else:
        lengths = np.stack([_reach(row) for row in rows])
    if lengths.min() < 1 or lengths.max() > rows.shape[-1]:
        step, env = np.argwhere((lengths < 1) | (lengths > rows.shape[-1]))[0]
        raise ForeignFileError(
            f"step {step}, environment {env}: the context has {lengths[step, env]} tokens, expected 1 to "
            f"{rows.shape[-1]}, the slots of the rows; {WANTED}"
        )
    return lengths


def _reach(row: Shaped[np.ndarray, "env layer head slot"]) -> Int64[np.ndarray, " env"]:
    there = np.asarray(~np.isnan(np.asarray(row, np.float64)).all(axis=(1, 2)))
    return np.where(there.any(axis=1), there.shape[1] - there[:, ::-1].argmax(axis=1), 0)


def _label(key: str, values: Shaped[np.ndarray, ...], shape: tuple[int, int]) -> Shaped[np.ndarray, "step env"]:
    if values.shape == shape[:1] and shape[1] == 1:
        values = values[:, None]
    labels: Shaped[np.ndarray, "step env"] = _of_shape(key, values, shape, "[step, env]")
    return labels


def _of_shape(key: str, values: Shaped[np.ndarray, ...], shape: tuple[int, ...], axes: str) -> Shaped[np.ndarray, ...]:
    if values.shape != shape:
        raise ForeignFileError(f"{key}: expected {axes} = {list(shape)}, as in rows, got {list(values.shape)}")
    if values.dtype.kind == "f" and np.isnan(values).any():
        step, env = np.argwhere(np.isnan(values))[0]
        raise ForeignFileError(f"{key}: step {step}, environment {env} is NaN; leave the array out where it is unknown")
    return values


def _episodes(values: Shaped[np.ndarray, "step env"]) -> Int64[np.ndarray, "step env"]:
    """Return episodes counted from 0 in each environment."""
    episodes = values.astype(np.int64) - values[:1].astype(np.int64)
    wrong = np.argwhere((np.diff(episodes, axis=0) != 0) & (np.diff(episodes, axis=0) != 1))
    if len(wrong):
        step, env = wrong[0]
        raise ForeignFileError(
            f"episodes: environment {env} goes from {values[step, env]} to {values[step + 1, env]} at step {step + 1}; "
            "expected the number of each step's episode, which stays or grows by 1"
        )
    return episodes


def _refuse_late(lengths: Int64[np.ndarray, "step env"], per: int) -> None:
    """Refuse contexts with more transitions than there have been: every transition is known by its step."""
    held = (lengths - 1) // per
    late = np.argwhere(held > np.arange(len(lengths))[:, None])
    if len(late):
        step, env = late[0]
        raise ForeignFileError(
            f"step {step}, environment {env}: a context of {lengths[step, env]} tokens holds {held[step, env]} "
            f"transitions before the query, but only {step} steps came before; give the rows from the rollout's first "
            "step on, where the context begins to grow, or say tokens_per_transition"
        )


def _returns(
    given: Shaped[np.ndarray, ...] | None, labels: Mapping[str, Shaped[np.ndarray, "step env"]], envs: int
) -> Float64[np.ndarray, "env episode"] | None:
    """Return the returns as given, else those of the episodes that rewards and episodes show to have ended."""
    if given is not None:
        given = given[None] if given.ndim == 1 and envs == 1 else given
        if given.ndim != 2 or len(given) != envs or not np.isfinite(given).all():  # noqa: PLR2004 - env, episode
            raise ForeignFileError(f"returns: expected numbers [env, episode], {envs} × any, got {list(given.shape)}")
        return np.asarray(given, np.float64)
    if not {"rollout/reward", "rollout/episode"} <= labels.keys():
        return None
    episode, reward = labels["rollout/episode"], np.asarray(labels["rollout/reward"], np.float64)
    sums = np.zeros((envs, int(episode[-1].min())))  # the last episode may go on past the last step
    for number in range(sums.shape[1]):
        sums[:, number] = np.where(episode == number, reward, 0).sum(axis=0)
    return sums


def _digest(held: Mapping[str, Shaped[np.ndarray, ...]]) -> str:
    digest = hashlib.sha256()
    for key in sorted(held):
        digest.update(f"{key} {held[key].dtype.str} {held[key].shape}\n".encode())
        for part in held[key]:  # part by part: an array on disk is never in memory as a whole
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
