"""Verbs that list what a service offers."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Column, Table

import attnscope
from attnscope.cli.app import Json, app, out, say


@app.command()
def checkpoints(as_json: Json = False) -> None:
    """List the service's checkpoints."""
    with attnscope.connect() as service:
        found = service.checkpoints()
    if as_json:
        say([info.model_dump(mode="json") for info in found])
        return
    columns = [
        Column(name, overflow="fold")
        for name in ("id", "name", "family", "mask", "also stated", "context", "train tasks")
    ]
    table = Table(*columns, box=None, pad_edge=False)
    for info in found:
        mask = f"{'causal' if info.policy.causal else 'non-causal'} (stated by {info.causal_stated_by})"
        tasks = "unknown" if info.train_tasks is None else str(len(info.train_tasks))
        stated = ", ".join(f"{name} {answer}" for name, answer in info.stated.items() if name != "causal") or "nothing"
        row = (info.id[:12], info.name, info.policy.family, mask, stated, str(info.policy.context_length), tasks)
        table.add_row(*map(escape, row))
    out.print(table)


@app.command()
def environments(as_json: Json = False) -> None:
    """List the service's environments, presets and splits."""
    with attnscope.connect() as service:
        found = service.environments()
    if as_json:
        say([info.model_dump(mode="json") for info in found])
        return
    for info in found:
        out.print(f"{escape(info.id)}  {escape(info.description)}")
        for preset in info.presets:
            counts = preset.task_counts or {name: len(tasks) for name, tasks in preset.splits.items()}
            splits = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
            out.print(f"  {escape(preset.name)}: horizon {preset.horizon}, tasks {splits}")
