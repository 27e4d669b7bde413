"""Model cards: what a shipped policy is, how it was made, what it reached, and what it cannot do; figures beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attnscope_server.training.plan import SEARCHING, TrainingPlan
from attnscope_server.training.reporting import interval
from attnscope_storage.wire import CheckpointInfo
from benchmarks.shipping.recipes import Shipment

COLOURS = {"train": "#0072b2", "held-out": "#d55e00"}
"""Of a split's curve (Okabe and Ito's palette)."""


def draw_curves(report: dict[str, Any], title: str, path: Path) -> None:
    """Draw the mean return of every episode, train against held-out, with 95 % bands and the two lines."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(figsize=(6.4, 3.8), dpi=110, layout="constrained")
    for split, colour in COLOURS.items():
        measured = report["splits"][split]
        returns = np.array(measured["returns"])
        episodes = np.arange(1, returns.shape[-1] + 1)
        low, high = zip(*(interval(returns[..., i], 0) for i in range(returns.shape[-1])), strict=True)
        axes.fill_between(episodes, low, high, color=colour, alpha=0.2, linewidth=0)
        seeds, tasks = returns.shape[:2]
        label = f"{split} ({tasks} tasks, {seeds} training seed{'s' * (seeds > 1)})"
        axes.plot(episodes, returns.mean(axis=(0, 1, 2)), color=colour, label=label)
        axes.axhline(np.mean(measured["optimal"]), color=colour, linestyle="--", linewidth=1)
    held_out = report["splits"]["held-out"]
    axes.axhline(np.mean(held_out["random"]), color="0.4", linestyle=":", linewidth=1)
    axes.plot([], [], color="0.4", linestyle="--", linewidth=1, label="optimal")
    axes.annotate(
        "uniform actions", (episodes[-1], np.mean(held_out["random"])), (0, 3), textcoords="offset points", ha="right"
    )
    axes.set_xlim(1, episodes[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("episode in context")
    axes.set_ylabel("mean return")
    axes.set_title(title, loc="left", fontsize=10)
    axes.fill_between([], [], [], color="0.4", alpha=0.2, linewidth=0, label="95 % interval")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)  # wherever the curves go, it hides none
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def card(info: CheckpointInfo, plan: TrainingPlan, shipment: Shipment, measured: str, *, final: bool) -> str:
    """Return the README of a shipped checkpoint.

    Parameters
    ----------
    measured
        What `attnscope-server evaluate` printed.
    final
        Whether it is the end of its run, or an earlier point.
    """
    policy, recipe, room, histories = info.policy, plan.recipe, plan.environment(), plan.histories
    tasks = plan.task_lists()
    point = f"""
An earlier point of its run, step {info.train_step:,} of {recipe.steps:,}, for comparing policies before, during and
after in-context learning appears.
""" * (not final)
    return f"""# {info.name}

{shipment.title}: an Algorithm Distillation policy, {LAYOUTS[plan.layout]}, one token a
transition, {policy.positions} positions, d {policy.width}, {policy.layers} layers, {policy.heads} heads, context of
{policy.context_length} tokens, {policy.parameters:,} parameters.
{point}
## Recipe

- **Environment**: preset `{plan.preset}`, horizon {room.horizon}; {len(tasks.train):,} train,
  {len(tasks.validation):,} validation and {len(tasks.test):,} held-out tasks, disjoint, listed in `entry.json`.
  {_chosen(shipment)}
- **Histories**: {SOURCES[histories.source]};
  {histories.per_task} of each train task, {histories.episodes} episodes each{_left_out(plan)},
  seed {histories.seed}{_noise(plan)}.
- **Training**: loss at every step; AdamW, peak rate {recipe.learning_rate:g}, warm-up over {recipe.warmup} steps, then
  a cosine; {_windows(plan)}; {recipe.steps:,} steps; bfloat16 products; training seed {recipe.seed}.
  `make train-shipped` does it again: by this recipe, not to these bits. {shipment.remark}
- **Window**: a history longer than the context is cut to its newest transitions and computed afresh, slots
  counted from 0.

## Measured

Printed by `attnscope-server evaluate`: sampled actions; 95 % bootstrap intervals over rollouts within task and, where
several seeds are named, over training seeds. Aim: {shipment.aim}.

```
{measured}
```

![Learning curves](curves.png)

## What it cannot do

For this checkpoint: {shipment.limits[0].lower()}{shipment.limits[1:]}
For this checkpoint: it imitates its source, and was trained on this room's size, start and horizon
alone; nothing is known of others. Greedy (argmax) actions were not evaluated.
"""


LAYOUTS = {
    "native": "causal pre-norm decoder over factorised coordinates (a float16 file, computed in float32)",
    "reference": "causal post-norm encoder over raw coordinates, in the AD reference's layout (float32)",
}
"""A description of each layout, for a reader of a card."""

SOURCES = {
    "explorer": "exploration-first, which searches every cell and then walks to what it found, and knows no goal",
    "sweeper": "exploration-first along one spiral from the centre, then straight to what was found; knows no goal",
    "annealed": "a noise-annealed expert, which knows its goal and acts at random less and less",
    "q-learning": "tabular Q-learning with replay",
    "ppo": "PPO by stable-baselines3, one policy a task, each of its streams a history",
}
"""A description of each source, for a reader of a card."""


def _chosen(shipment: Shipment) -> str:
    if shipment.shipped_seed is None:
        return "Choices were made on validation tasks."
    return (
        "Choices were made on validation tasks, but for the seed: "
        f"{shipment.shipped_seed} is shipped whatever they say, as other results name it."
    )


def _left_out(plan: TrainingPlan) -> str:
    every = plan.histories.every
    return f" (the last of every {every} that it played)" * (every > 1)


def _noise(plan: TrainingPlan) -> str:
    histories = plan.histories
    if histories.source not in SEARCHING:
        return ""
    learned = "what it meant to do" if histories.targets == "intended" else "what it did"
    return f"; up to {histories.noise:.0%} random actions, falling to none; {learned} is learned"


def _windows(plan: TrainingPlan) -> str:
    recipe = plan.recipe
    full = f"{recipe.batch} windows of {plan.context_length} steps"
    if recipe.episode_steps is not None:
        full += " that begin with episodes, positions tied to an episode's part plus a step's"
    if plan.layout == "reference":
        full += ", the query's table tied to a row's part plus a column's"
    if recipe.discovery_weight != 1:
        full += f", decisions right after a discovery with {recipe.discovery_weight:g} times the weight"
    if recipe.short_length is None:
        return full
    return f"{full}, after {recipe.short_share:.0%} of the training on windows of {recipe.short_length}"
