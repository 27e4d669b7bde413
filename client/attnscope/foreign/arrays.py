"""The import of attention from arrays in memory, for users; `own.py` checks and writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from attnscope.capture import Capture
from attnscope.foreign.own import Described, write_arrays
from attnscope_storage.reading.reader import CaptureReader


def import_arrays(
    rows: Any,  # noqa: ANN401 - any array: numpy, torch, a list
    lengths: Any = None,  # noqa: ANN401 - as above
    *,
    out: str | Path,
    rewards: Any = None,  # noqa: ANN401 - as above
    returns: Any = None,  # noqa: ANN401 - as above
    episodes: Any = None,  # noqa: ANN401 - as above
    actions: Any = None,  # noqa: ANN401 - as above
    tasks: Any = None,  # noqa: ANN401 - as above
    causal: bool | None = None,
    query_slot: Literal["first", "last"] = "last",
    tokens_per_transition: int = 1,
    width: int | None = None,
    name: str | None = None,
    environment: str | None = None,
) -> Capture:
    """Make a capture out of attention that was recorded elsewhere; what is left out stays unknown, in words.

    The env axis may be left out of every array where there is one environment.

    Parameters
    ----------
    rows
        Decision rows, float [step, env, layer, head, slot], from the first step of a rollout on: the attention of the
        query that decides, which sums to 1 over the slots of its context. Past the context NaN or 0.
    lengths
        Tokens of each context, the query among them, integer [step, env]. None: a context ends where NaN begins.
    out
        New folder of the capture.
    rewards
        Float [step, env].
    returns
        Return of every finished episode, float [env, episode]. None: from rewards and episodes, where both are given,
        without the last episode, which may go on.
    episodes
        Number of each step's episode, integer [step, env].
    actions
        Integer [step, env].
    tasks
        Index of each environment's task, integer [env]; environments of one task are rollouts of it.
    causal
        Mask of the policy.
    query_slot
        Where in the context the query is.
    tokens_per_transition
        Tokens that one transition takes.
    width
        Embedding width of the policy; operations are counted where it is known.
    name
        Name of the policy.
    environment
        Name of the environment.

    Returns
    -------
    Capture
        The capture in the new folder, opened.

    Raises
    ------
    ForeignFileError
        An array has another shape than wanted, a weight inside a context is NaN, or a row does not sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.full((40, 2, 4, 8), np.nan)  # [step, layer, head, slot]
    >>> for step in range(40):
    ...     rows[step, ..., : min(step + 1, 8)] = 1 / min(step + 1, 8)
    >>> capture = attnscope.import_arrays(rows, out="mine.zarr")  # doctest: +SKIP
    """
    arrays = {"rows": rows, "lengths": lengths, "rewards": rewards, "returns": returns, "episodes": episodes}
    described = Described(causal, query_slot, tokens_per_transition, width, name, environment)
    written = write_arrays(Path(out), arrays | {"actions": actions, "tasks": tasks}, described)
    return Capture(CaptureReader.open(written))
