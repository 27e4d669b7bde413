"""The start of a reading: the choice is resolved and the plan is made, from context lengths alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError
from attnscope.measures.layout import ContextLayout
from attnscope.reading.choosing import Choice, least_length, select_envs
from attnscope.reading.plan import Size, plan
from attnscope.reading.reading import Reading


def read(capture: Capture, choice: Choice | None = None) -> Reading:
    """Return the reading of a capture; nothing but context lengths is fetched before it is asked for.

    Raises
    ------
    NotCapturedError
        Nothing is committed yet, or an environment is asked for that the capture does not have.
    """
    asked = choice or Choice()
    steps = min(capture.steps_committed, asked.steps or capture.steps_committed)
    if steps == 0:
        raise NotCapturedError(capture.none_of("step"))
    places, envs = select_envs(capture, asked.envs)
    length = np.asarray(capture.context.length[:steps], np.int64)[:, envs]
    names, policy, least = capture.names(), capture.policy, least_length(length)
    task = np.asarray(capture.env.task[:])[envs] if "env/task" in names else np.zeros(len(envs), np.int64)
    row_step = _row_steps(capture, steps)
    cells = int(np.prod(capture.rows.shape[2:4])) if len(row_step) else 1
    longest = int(length[row_step].max()) if len(row_step) else 1
    size = Size(len(row_step), len(envs), cells, longest)
    counts = (length[row_step] >= least).any(axis=1)
    made = None
    if len(row_step):
        counted = int(counts.argmax()) if counts.any() else 0
        made = plan(size, task, counted=counted, full=asked.full, context=policy.context_length)
        if "context/summaries" in names:
            made = replace(made, heads=None)  # a service reduces rows by age, and latents have none
    return Reading(
        capture=capture,
        choice=asked,
        layout=ContextLayout(policy.query_slot, policy.tokens_per_transition),
        places=places,
        envs=envs,
        task=task,
        length=length,
        least=least,
        row_step=row_step,
        plan=made,
        size=size,
    )


def _row_steps(capture: Capture, steps: int) -> Int64[np.ndarray, " row"]:
    """Return the environment step of every stored row within so many steps; none where rows were not captured."""
    names = capture.names()
    if capture.row_form == "none":
        return np.zeros(0, np.int64)
    if "attention/row_step" in names:
        step = np.asarray(capture["attention/row_step"][:], np.int64)
        return step[step < steps]
    return np.arange(min(capture.rows.shape[0], steps), dtype=np.int64)
