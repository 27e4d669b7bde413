"""A capture in a few lines of text: returns, context, and recency against uniform attention."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from attnscope.capture import Capture
from attnscope.provenance import HELD_OUT, policy_words

EPISODES_SHOWN = 12
"""Episodes of the table, evenly spaced, the first and the last among them."""


def uniform_recency(length: Int[np.ndarray, ...], window: int) -> Float[np.ndarray, ...]:
    """Return the recency mass of attention that is uniform over the same context, the query's own slot included.

    The newest `window` tokens before the query hold min(window, length - 1) of `length` equal weights.
    """
    tokens = np.asarray(length, dtype=np.float64)
    share: Float[np.ndarray, ...] = np.minimum(window, tokens - 1) / tokens
    return share


def summarise(capture: Capture) -> str:
    """Return the summary of a capture, also of a running one."""
    resolved, provenance = capture.resolved, capture.provenance
    held = HELD_OUT[resolved.held_out]
    length = capture.context.length[:]
    lines = [
        f"For this checkpoint: {provenance['checkpoint_name']} ({provenance['checkpoint'][:12]})",
        f"  {provenance['family']}, {policy_words(provenance)}",
        f"  {provenance['environment']}, {len(resolved.tasks)} tasks, {resolved.envs} environments, {held}",
        f"  job {capture.job}, {capture.steps_committed} of {resolved.steps} steps",
        "",
        *_returns(capture),
        "",
        (
            f"Context length: {int(length.min())} to {int(length.max())} tokens, mean {length.mean():.1f}"
            f" (full: {capture.policy.context_length}, the query among them)"
        ),
        "",
        *_recency(capture, length),
    ]
    return "\n".join(lines) + "\n"


def _returns(capture: Capture) -> list[str]:
    returns = capture.returns()
    cells = capture.resolved.tasks
    optimal = [cell.optimal_return for cell in cells if cell.optimal_return is not None]
    random = [cell.random_return for cell in cells if cell.random_return is not None]
    count = returns.shape[1]
    if count == 0:
        return ["Return by episode: no episode has ended yet"]
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


def _recency(capture: Capture, length: Int[np.ndarray, "step env"]) -> list[str]:
    windows = [int(window) for window in capture.stats.window[:]]
    recency = capture.stats.recency[:]
    full = length == length.max()
    lines = [
        f"Recency: attention on the newest tokens before the query, at the full context of {int(length.max())} tokens",
        "  newest   attention   uniform   lift   lowest and highest head",
    ]
    for place, window in enumerate(windows):
        mass = recency[..., place][full]
        heads = mass.mean(axis=0)
        even = float(uniform_recency(length[full], window).mean())
        lift = "     –" if even == 0 else f"{mass.mean() / even:6.2f}"
        lines.append(
            f"  {window:>6}   {mass.mean():9.3f}   {even:7.3f} {lift}   {heads.min():.3f} to {heads.max():.3f}"
        )
    return lines
