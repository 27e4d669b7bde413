"""The memory of a loop's compressor: the entries of its contexts, and the attention that they got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import array_api_compat
from jaxtyping import Float, Shaped

from attnscope_model.strategies.arrays import Array, as_float, namespace
from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.errors import StrategyError
from attnscope_model.strategies.plan import Plan
from attnscope_model.strategies.view import ContextView


class Memory:
    """The entries of a batch of contexts of equal length.

    Parameters
    ----------
    like
        The first history, for its library, device and number of environments.
    per
        Tokens of a transition.
    """

    def __init__(self, rule: Strategy, like: Float[Array, "env entry width"], per: int) -> None:
        self._per = per
        self._xp = namespace(like)
        self._device = array_api_compat.device(like)
        self._envs = int(like.shape[0])
        self._rows = rule.decision_rows
        self.seen = 0
        """Transitions so far."""
        self.transition = self._full(0, self._xp.int64, 0.0)
        self._facts: dict[str, Any] = {}
        self._attention = [self._full(0, self._xp.float32, 0.0)][:0]
        self._accumulated = self._full(0, self._xp.float64, 0.0)
        self._expected = self._full(0, self._xp.float64, 0.0)

    def judge(self, row: Float[Array, "env entry"] | None) -> None:
        """Take down what a decision attended to, over the entries that there are.

        Raises
        ------
        StrategyError
            It is of another number of entries.
        """
        if row is None:
            return
        entries = self.transition.shape[1]
        if entries == 0:  # whatever it saw joins as not judged yet
            self._attention = [row[:, :0]]
            return
        if tuple(row.shape) != (self._envs, entries):
            raise StrategyError(
                f"expected attention of {self._envs} environments to {entries} transitions and the query, got "
                f"{row.shape[0]} and {row.shape[1]}: attention_of says whose it is"
            )
        self._attention = [*self._attention, row][-self._rows :]
        self._accumulated = self._accumulated + as_float(row)
        self._expected = self._expected + self._per / (self._per * entries + 1)

    def append(self, entries: int, appended: int, facts: Mapping[str, Shaped[Array, ...]]) -> None:
        """Add transitions, and forget the oldest entries that the loop has cut off since.

        Raises
        ------
        StrategyError
            There are more entries than those known and appended, or facts of another shape.
        """
        xp = self._xp
        gone = self.transition.shape[1] + appended - entries
        if appended < 0 or gone < 0 or gone > self.transition.shape[1]:
            raise StrategyError(
                f"expected {self.transition.shape[1]} transitions, the oldest of which may be gone, and {appended} "
                f"appended, got {entries}: call it once a step, or say how many were appended"
            )
        new = xp.broadcast_to(
            xp.arange(self.seen, self.seen + appended, dtype=xp.int64, device=self._device), (self._envs, appended)
        )
        self.transition = xp.concat([self.transition[:, gone:], new], axis=1)
        unseen = self._full(appended, xp.float32, float("nan"))
        self._attention = [xp.concat([row[:, gone:], unseen], axis=1) for row in self._attention]
        nothing = self._full(appended, xp.float64, 0.0)
        self._accumulated = xp.concat([self._accumulated[:, gone:], nothing], axis=1)
        self._expected = xp.concat([self._expected[:, gone:], nothing], axis=1)
        self._facts = {
            name: self._joined(name, values, gone, appended)
            for name, values in facts.items()
            if self.seen == 0 or name in self._facts
        }
        self.seen += appended

    def view(self, embedded: Float[Array, "env entry width"], of_query: Mapping[str, Any]) -> ContextView:
        """Return the entries as a strategy sees them; their keys are their embeddings."""
        xp = self._xp
        absent = xp.full_like(self._accumulated, float("nan"))
        return ContextView(
            transition=self.transition,
            held=xp.ones_like(self.transition, dtype=xp.bool),
            attention=xp.stack(self._attention, axis=1) if self._attention else None,
            accumulated=xp.where(self._expected > 0, self._accumulated, absent),
            expected=self._expected,
            keys=embedded,
            lane=xp.arange(self._envs, device=self._device),
            **self._facts,
            **of_query,
        )

    def keep(self, plan: Plan) -> None:
        """Forget all but the leaders of a plan of equally many tokens."""
        place, _ = plan.places()
        xp = self._xp

        def kept(values: Shaped[Array, "env entry ..."]) -> Shaped[Array, "env token ..."]:
            index = xp.reshape(place, (*place.shape, *(1 for _ in values.shape[2:])))
            return xp.take_along_axis(values, xp.broadcast_to(index, (*place.shape, *values.shape[2:])), axis=1)

        self.transition = kept(self.transition)
        self._facts = {name: kept(values) for name, values in self._facts.items()}
        self._attention = [kept(row) for row in self._attention]
        self._accumulated, self._expected = kept(self._accumulated), kept(self._expected)

    def _joined(self, name: str, values: Shaped[Array, ...], gone: int, appended: int) -> Shaped[Array, ...]:
        xp = self._xp
        old = self._facts.get(name)
        axes = 2 + (name == "observation")
        if values.ndim == axes - 1 and appended == 1:
            values = values[:, None]
        if values.ndim != axes or tuple(values.shape[:2]) != (self._envs, appended):
            raise StrategyError(
                f"expected {name} of {self._envs} environments and {appended} appended transitions, got shape "
                f"{tuple(values.shape)}"
            )
        return values if old is None else xp.concat([old[:, gone:], xp.astype(values, old.dtype)], axis=1)

    def _full(self, entries: int, dtype: Any, value: float) -> Shaped[Array, "env entry"]:  # noqa: ANN401 - a library's
        return self._xp.full((self._envs, entries), value, dtype=dtype, device=self._device)


def deciding_row(
    weights: Shaped[Array, ...] | Sequence[Shaped[Array, ...]], per: int, query_first: bool
) -> Float[Array, "env entry"]:
    """Return what the deciding token gave each transition, averaged over heads and layers in float32.

    Raises
    ------
    StrategyError
        The weights are of no shape that says what they are.
    """
    if isinstance(weights, list | tuple):
        if not weights:
            raise StrategyError("expected attention weights of one layer at least, got none")
        rows = [deciding_row(layer, per, query_first) for layer in weights]
        return sum(rows[1:], rows[0]) / len(rows)
    row: Any = weights
    xp = namespace(row)
    row = xp.astype(row, xp.float32)
    if row.ndim == _ALL_LAYERS:
        row = xp.mean(row, axis=0)
    if row.ndim == _HEADS:
        row = xp.mean(row, axis=1)
    if row.ndim == _QUERIES:
        row = row[:, -1]
    if row.ndim != _ROW or (row.shape[1] - 1) % per:
        raise StrategyError(
            "expected attention weights of shape [env, key], [env, query, key], [env, head, query, key] or [layer, "
            f"env, head, query, key] with {per} keys a transition and one of the query, got "
            f"{tuple(row.shape)} after averaging"
        )
    row = row[:, 1:] if query_first else row[:, :-1]
    return xp.sum(xp.reshape(row, (row.shape[0], -1, per)), axis=-1) if per > 1 else row


_ROW, _QUERIES, _HEADS, _ALL_LAYERS = 2, 3, 4, 5
"""Axes of what attention weights may be given as."""
