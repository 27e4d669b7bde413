"""What each transition of a context is worth by the attention that it got: TOVA, H2O and SnapKV, head by head.

The rules themselves are in `attnscope_model.strategies`; these are their scores, for every head and beside uniform
attention, followed by transition index because the window slides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from attnscope.measures.layout import QUERY_LAST, ContextLayout, checked_length, slot_transitions, weights
from attnscope.measures.refusals import RowsInvalidError
from attnscope_model.strategies import ContextView
from attnscope_model.strategies.rules.snapkv import RecentRows


class AccumulatedAttention:
    """Attention that every transition has received since the rollout began (H2O: Zhang et al., 2023), and its lift.

    Sums favour transitions that many rows have seen, also under uniform attention; `lift` divides by what uniform
    attention would have given over the same rows, so that 1 is flat. Takes rows in any pieces; memory is that of the
    transitions, not of the rows.
    """

    def __init__(self, transitions: int, layout: ContextLayout = QUERY_LAST) -> None:
        self._transitions = transitions
        self._layout = layout
        self._mass: Float64[np.ndarray, "env transition layer head"] | None = None
        self._expected: Float64[np.ndarray, "env transition"] | None = None

    def add(
        self,
        rows: Float[np.ndarray, "step env layer head slot"],
        start: Int[np.ndarray, "step env"],
        length: Int[np.ndarray, "step env"],
    ) -> None:
        """Take in decision rows.

        Raises
        ------
        RowsInvalidError
            A row attends to a transition past `transitions`.
        """
        share = weights(rows, length)
        index = slot_transitions(start, length, share.shape[-1], self._layout)
        if index.max(initial=-1) >= self._transitions:
            raise RowsInvalidError(f"expected transitions below {self._transitions}, got {index.max()}")
        envs, layers, heads = share.shape[1:4]
        if self._mass is None or self._expected is None:
            self._mass = np.zeros((envs, self._transitions, layers, heads))
            self._expected = np.zeros((envs, self._transitions))
        step, env, slot = np.nonzero(index >= 0)
        place = index[step, env, slot]
        np.add.at(self._mass, (env, place), share[step, env, :, :, slot])
        np.add.at(self._expected, (env, place), 1 / checked_length(length, share.shape[-1])[step, env])

    @property
    def mass(self) -> Float64[np.ndarray, "env layer head transition"]:
        """Sum over rows; NaN for transitions that no row has seen."""
        mass, expected = self._held
        return np.moveaxis(np.where((expected > 0)[..., None, None], mass, np.nan), 1, -1)

    @property
    def expected(self) -> Float64[np.ndarray, "env transition"]:
        """The same sum of uniform attention."""
        return self._held[1]

    @property
    def lift(self) -> Float64[np.ndarray, "env layer head transition"]:
        """Mass ÷ expected: 1 is what uniform attention gives."""
        expected = self.expected[:, None, None]
        return np.asarray(np.divide(self.mass, expected, out=np.full(self.mass.shape, np.nan), where=expected > 0))

    @property
    def _held(self) -> tuple[Float64[np.ndarray, "env transition layer head"], Float64[np.ndarray, "env transition"]]:
        if self._mass is None or self._expected is None:
            raise RowsInvalidError("no row was added, so nothing has accumulated")
        return self._mass, self._expected


@dataclass(frozen=True, eq=False)
class TransitionScores:
    """Scores of the transitions in the context of the last of some rows."""

    transition: Int64[np.ndarray, "env entry"]
    """Index of each; -1 where the context is shorter."""
    score: Float64[np.ndarray, "env layer head entry"]
    """NaN where no row has seen the transition."""
    lift: Float64[np.ndarray, "env layer head entry"]
    """Score ÷ what uniform attention over the same contexts gives."""


def recent_scores(
    rows: Float[np.ndarray, "step env layer head slot"],
    start: Int[np.ndarray, "step env"],
    length: Int[np.ndarray, "step env"],
    layout: ContextLayout = QUERY_LAST,
    *,
    window: int = 16,
    kernel: int = 5,
) -> TransitionScores:
    """Return the mean attention of the last `window` adjacent rows, smoothed over `kernel` neighbours (SnapKV).

    With a window and a kernel of 1 it is the score of the last row alone (TOVA: Oren et al., 2024). A transition that a
    row did not see does not count in its mean.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [step, env, layer, head, slot]; NaN
        past the context.
    start
        Transition index of the first slot, int [step, env].
    length
        Tokens of the context, the query among them, int [step, env].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    window
        Newest queries whose attention is averaged.
    kernel
        Width of the pooling over slots; odd.
    """
    share = weights(rows, length)
    slots = share.shape[-1]
    index = slot_transitions(start, length, slots, layout)
    per = layout.tokens_per_transition
    entries = -(-(slots - 1) // per)
    last = index[-1]
    first = np.where(last >= 0, last, np.iinfo(np.int64).max).min(axis=1)
    count = (length[-1] - 1 + per - 1) // per
    transition = np.where(np.arange(entries) < count[:, None], first[:, None] + np.arange(entries), -1)
    steps, envs, layers, heads = share.shape[:4]
    aligned = np.zeros((envs, layers, heads, steps, entries))
    even = np.zeros((envs, steps, entries))
    seen = np.zeros((envs, steps, entries), dtype=bool)
    step, env, slot = np.nonzero((index >= first[None, :, None]) & (index >= 0))
    place = index[step, env, slot] - first[env]
    np.add.at(aligned.transpose(0, 3, 4, 1, 2), (env, step, place), share[step, env, :, :, slot])
    np.add.at(even, (env, step, place), 1 / np.asarray(length, np.float64)[step, env])
    seen[env, step, place] = True
    shown = np.where(seen[:, None, None], aligned, np.nan)
    rule = RecentRows(rows=window, kernel=kernel)
    held = np.broadcast_to(transition[:, None, None] >= 0, (*shown.shape[:3], entries))
    wide = np.broadcast_to(transition[:, None, None], held.shape)
    score = rule.score(ContextView(transition=wide, held=held, attention=shown))
    flat = np.where(seen, even, np.nan)
    baseline = rule.score(ContextView(transition=transition, held=transition >= 0, attention=flat))
    return TransitionScores(transition, score, np.asarray(score / baseline[:, None, None]))
