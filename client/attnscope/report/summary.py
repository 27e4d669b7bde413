"""A capture in a few lines of text: returns, context, and recency against uniform attention."""

from __future__ import annotations

from textwrap import fill
from typing import Final

import numpy as np

from attnscope.capture import Capture
from attnscope.provenance import HELD_OUT, policy_words
from attnscope.study import Study, study

WIDTH: Final = 110
"""Columns of a sentence."""

EPISODES_SHOWN = 12
"""Episodes of the table, evenly spaced, the first and the last among them."""


def summarise(capture: Capture) -> str:
    """Return the summary of a capture, also of a running one."""
    resolved, provenance = capture.resolved, capture.provenance
    read, held = study(capture), HELD_OUT[resolved.held_out]
    tasks = len(resolved.tasks) or "unknown"
    length = capture.context.length[:]
    lines = [
        f"For this checkpoint: {provenance['checkpoint_name']} ({provenance['checkpoint'][:12]})",
        f"  {provenance['family']}, {policy_words(provenance)}",
        f"  {provenance['environment']}, {tasks} tasks, {resolved.envs} environments, {held}",
        f"  job {capture.job}, {capture.steps_committed} of {resolved.steps} steps",
        "",
        *_returns(read),
        "",
        (
            f"Context length: {int(length.min())} to {int(length.max())} tokens, mean {length.mean():.1f}"
            f" (full: {capture.policy.context_length}, the query among them)"
        ),
        *_packed(read),
        "",
        *_recency(read),
        *_unsaid(capture),
    ]
    return "\n".join(lines) + "\n"


def _packed(read: Study) -> list[str]:
    """Return how the policy packs its history, and what its latents hold, where it does."""
    found = read.quantity("summary")
    if found is None:
        return []
    capture, last = read.capture, read.capture.steps_committed - 1
    words = capture.summary(last)
    held = f"  hold {found.estimate.value:.3f} of the attention (uniform {found.estimate.baseline:.3f})"
    newest = "none: the query stands alone" if words is None else f"{words.latents} latents, {words}"
    return [f"Packed history: at the last step {newest}; its latents", held]


def _unsaid(capture: Capture) -> list[str]:
    """Return what an imported file leaves unknown, in words."""
    unknown = capture.unsaid()
    return ["", fill(f"The imported file does not say {', '.join(unknown)}.", WIDTH)] if unknown else []


def _returns(read: Study) -> list[str]:
    returns, capture = read.returns, read.capture
    if returns is None:
        return [f"Return by episode: {capture.lacks('returns')}"]
    cells = capture.resolved.tasks
    optimal = [cell.optimal_return for cell in cells if cell.optimal_return is not None]
    random = [cell.random_return for cell in cells if cell.random_return is not None]
    count = returns.shape[1]
    if count == 0:
        return ["Return by episode: no episode ended within these steps"]
    shown = np.unique(np.linspace(0, count - 1, min(EPISODES_SHOWN, count)).astype(int))
    lines = [f"Return by episode (mean over {returns.shape[0]} environments; lowest and highest)"]
    lines += [
        f"  episode {episode + 1:>4}: {returns[:, episode].mean():6.2f}   {returns[:, episode].min():.0f} to"
        f" {returns[:, episode].max():.0f}"
        for episode in shown
    ]
    if optimal and random:
        lines.append(f"  optimum {np.mean(optimal):.2f}, uniform actions {np.mean(random):.2f} (means over tasks)")
    return lines


def _recency(read: Study) -> list[str]:
    """Return the table of recency, of the quantities that reports and advice name."""
    windows = read.reading.windows
    if not windows:
        return ["Recency: its statistic was not captured"]
    lines = [
        f"Recency: attention on the newest tokens before the query, at contexts of {read.least}+ tokens",
        "  newest   attention   uniform   lift   lowest and highest head",
    ]
    heads = read.mean(read.statistics["recency"])
    for index, window in enumerate(windows):
        found = read.quantity(f"recency.{window}")
        assert found is not None  # noqa: S101 - its statistic is stored
        one, lift = found.estimate, found.lift
        ratio = "     –" if lift is None else f"{lift.value:6.2f}"
        lines.append(
            f"  {window:>6}   {one.value:9.3f}   {one.baseline:7.3f} {ratio}   {heads[..., index].min():.3f} to"
            f" {heads[..., index].max():.3f}"
        )
    return lines
