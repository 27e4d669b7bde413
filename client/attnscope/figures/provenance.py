"""Where a figure comes from, in words; what a foreign capture does not know is said to be unknown."""

from __future__ import annotations

from attnscope.capture import Capture
from attnscope.provenance import HELD_OUT, policy_words
from attnscope.study import Study

UNKNOWN = "unknown"


def mask_of(capture: Capture) -> str:
    """Return whether the policy is causal, who said so, and what else its user alone stands for."""
    return policy_words({"causal": capture.policy.causal, "causal_stated_by": UNKNOWN} | capture.provenance)


def source_of(capture: Capture) -> str:
    """Return checkpoint, mask, environment, tasks and seeds in one line."""
    provenance, resolved = capture.provenance, capture.resolved
    held = HELD_OUT[resolved.held_out]
    seeds = ", ".join(map(str, provenance.get("seeds", [UNKNOWN])[:6]))
    more = ", …" if len(provenance.get("seeds", ())) > 6 else ""  # noqa: PLR2004 - as above
    name = f"{resolved.checkpoint_name} ({str(provenance.get('checkpoint', UNKNOWN))[:12]})"
    return f"{name}, {mask_of(capture)}; {provenance.get('environment', UNKNOWN)}, {held}; seeds {seeds}{more}"


def progress_of(capture: Capture) -> str:
    """Return how far the capture is."""
    whole = "" if capture.complete else ", still running"
    return f"job {capture.job}; {capture.steps_committed} of {capture.resolved.steps} steps{whole}"


def caption_of_study(study: Study) -> str:
    """Return the provenance of a study's figures, with what was read and what the bands are."""
    read = len(study.row_steps)
    rows = f"rows of {read} of {study.steps} steps" if read else "no rows captured"
    if 0 < read < study.steps:
        rows += " (one from each equal stretch)"
    bands = "no interval: nothing can be resampled"
    if study.resampling.informative:
        unit = "rollouts within task" if study.resampling.scope == "these tasks" else "tasks"
        bands = f"bands: 95 %, resampling {unit}"
        bands += "" if study.resampling.reliable else ", unreliable (under 10 rollouts a task)"
    counted = f"means at contexts of {study.least}+ tokens" if study.least > 1 else "means at every context"
    envs = f"{len(study.envs)} environment{'s' if len(study.envs) > 1 else ''}"
    return f"{source_of(study.capture)}\n{progress_of(study.capture)}; {envs}; {rows}; {counted}; {bands}"


def title_of(study: Study, what: str) -> str:
    """Return a figure's title."""
    return f"{what} · {study.capture.resolved.checkpoint_name} · job {study.capture.job[:8]}"


def task_label(capture: Capture, env: int) -> str:
    """Return what an environment's task is called."""
    if "env/task" not in capture.names():
        return f"env {env}"
    task = int(capture.env.task[env])
    label = next((cell.label for cell in capture.resolved.tasks if cell.index == task), f"task {task}")
    return f"{label} (env {env})"
