"""The tokens that the last few decisions attended to, with their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float

from attnscope_model.strategies.arrays import Array, as_float, in_order, namespace, packed, put_back
from attnscope_model.strategies.base import Form, Scored
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class RecentRows(Scored):
    """Keep the tokens with the most attention in the last decision rows, smoothed (SnapKV: Li et al., 2024).

    In a recomputed context the "last queries" are the decisions of the last steps. A row counts in an entry's mean only
    where it saw the entry.
    """

    name: ClassVar[str] = "snapkv"
    order: ClassVar[int] = 90
    forms: ClassVar[tuple[Form, ...]] = (Form({"rows": 16}, {"rows": 4, "kernel": 1}, {"rows": 16, "kernel": 1}),)
    needs: ClassVar[frozenset[str]] = frozenset({"attention"})
    simplicity: ClassVar[int] = 5

    rows: int = parameter(16, "Decision rows that are averaged, at most.", low=1, high=1024)
    kernel: int = parameter(
        5,
        "Neighbouring entries that are averaged; the query's neighbourhood tends to matter as a whole.",
        low=1,
        high=255,
        odd=True,
    )

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return the smoothed mean of the last rows; NaN where no row has seen the entry."""
        assert view.attention is not None  # noqa: S101 - `plan` refused the view otherwise
        xp = namespace(view.held)
        recent = as_float(view.attention[..., -self.rows :, :])
        total, seen = xp.zeros_like(recent[..., 0, :]), xp.zeros_like(recent[..., 0, :])
        for row in range(recent.shape[-2]):  # one by one: every library adds in the same order
            known = xp.logical_not(xp.isnan(recent[..., row, :]))
            total = total + xp.where(known, recent[..., row, :], xp.zeros_like(total))
            seen = seen + as_float(known)
        judged = view.held & (seen > 0)
        mean = xp.where(judged, total / xp.where(judged, seen, xp.ones_like(seen)), xp.zeros_like(total))
        return xp.where(judged, _smooth(mean, judged, view.held, self.kernel), xp.full_like(mean, float("nan")))


def _smooth(
    mean: Float[Array, "*batch entry"],
    judged: Bool[Array, "*batch entry"],
    held: Bool[Array, "*batch entry"],
    kernel: int,
) -> Float[Array, "*batch entry"]:
    """Return the mean over `kernel` held neighbours, of those that were judged; at an edge there are fewer."""
    xp = namespace(mean)
    half = kernel // 2
    if half == 0:
        return mean
    # Padding stands aside, so that it never comes between neighbours.
    order = packed(held)
    mean, judged = in_order(mean, order), in_order(judged, order)
    pad = xp.zeros_like(xp.concat([mean[..., :1]] * half, axis=-1))
    wide, there = xp.concat([pad, mean, pad], axis=-1), xp.concat([pad, as_float(judged), pad], axis=-1)
    width = mean.shape[-1]
    total, count = xp.zeros_like(mean), xp.zeros_like(mean)
    for shift in range(2 * half + 1):
        total = total + wide[..., shift : shift + width]
        count = count + there[..., shift : shift + width]
    smooth = total / xp.where(count > 0, count, xp.ones_like(count))
    return put_back(smooth, order)
