"""Labels that figures of one capture have in common: its source, its progress and its tasks, in words."""

from __future__ import annotations

from attnscope.capture import Capture


def source_of(capture: Capture) -> str:
    """Return checkpoint, mask, environment, tasks and seeds in one line."""
    return capture.origin.source


def progress_of(capture: Capture) -> str:
    """Return the steps that can be read, and the state of the job where it is not complete."""
    return capture.origin.progress


def task_label(capture: Capture, env: int) -> str:
    """Return the label of an environment's task."""
    if "env/task" not in capture.names():
        return f"env {env}"
    task = int(capture.env.task[env])
    label = next((cell.label for cell in capture.resolved.tasks if cell.index == task), f"task {task}")
    return f"{label} (env {env})"
