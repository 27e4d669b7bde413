"""A strategy in somebody's own evaluation loop: ``compress_context(transformer_input, attention_weights)``.

The loop keeps one growing batch of embedded tokens, as the AD reference's does; what is dropped here is gone. Unlike a
trial, which masks, the batch stays rectangular: see `ContextCompressor`. It knows nothing of positions: the policy
numbers what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from jaxtyping import Float, Int, Shaped

from attnscope_model.strategies.arrays import Array, namespace, newest
from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.errors import StrategyError
from attnscope_model.strategies.memory import Memory, deciding_row
from attnscope_model.strategies.plan import Plan

QUERY_FACTS: Final = frozenset({"query_observation", "query_episode"})


class ContextCompressor:
    """A strategy at a budget, applied to the batch of contexts that one loop goes through.

    Call `compress_context` once a step, after the finished transition and the next query were put into
    `transformer_input`; it follows every transition through what the loop itself cuts off at the old end. Where
    histories would keep different numbers of entries (threshold, nucleus, repeated moves), the shorter ones are filled
    up with their newest other entries to the longest, so that the batch needs no mask; the budget still holds.

    Parameters
    ----------
    budget
        Transitions that may be kept: a number, or a share of what the uncompressed window would hold.
    interval
        Select at every so many calls, the first among them; in between, new transitions join what was selected.
    window
        Transitions of a full uncompressed context, the context length − 1 for one token a transition. A share needs it.
    query_slot, tokens_per_transition
        The policy's layout.
    attention_of
        Whose `attention_weights` a call is given: those of the ``decision`` just taken, on the context that the last
        call returned, or of the ``context`` that the call is given.

    Raises
    ------
    StrategyError
        A number is out of range, or a share comes without a window.
    """

    def __init__(
        self,
        rule: Strategy,
        budget: int | float,  # noqa: PYI041 - a whole number and a share are different things
        *,
        interval: int = 1,
        window: int | None = None,
        query_slot: Literal["first", "last"] = "last",
        tokens_per_transition: int = 1,
        attention_of: Literal["decision", "context"] = "decision",
    ) -> None:
        if interval < 1 or tokens_per_transition < 1 or (window is not None and window < 1):
            raise StrategyError("interval, window and tokens_per_transition are 1 at least")
        if isinstance(budget, float) and (window is None or not 0 < budget <= 1):
            raise StrategyError(f"a budget of {budget} is a share of a window, above 0 and at most 1: name the window")
        if budget <= 0:
            raise StrategyError(f"a budget in transitions must be 1 at least, got {budget}")
        self.rule = rule
        self.budget = budget
        self.interval = interval
        self.window = window
        self.calls = 0
        """Calls so far that had any history."""
        self._query_first = query_slot == "first"
        self._per = tokens_per_transition
        self._before = attention_of != "context"
        self._memory: Memory | None = None

    @property
    def transition(self) -> Int[Array, "env entry"] | None:
        """Transition index of each entry of the context that the last call returned; a summary's newest."""
        return None if self._memory is None else self._memory.transition

    def compress_context(
        self,
        transformer_input: Float[Array, "env token width"],
        attention_weights: Shaped[Array, ...] | Sequence[Shaped[Array, ...]] | None = None,
        facts: Mapping[str, Shaped[Array, ...]] | None = None,
        *,
        appended: int = 1,
    ) -> Float[Array, "env kept width"]:
        """Return the context to decide from; the one given, where it is not time to select.

        Parameters
        ----------
        transformer_input
            Embedded tokens without positions, the query among them.
        attention_weights
            [env, key], [env, query, key], [env, head, query, key], a sequence of one of these a layer, or [layer,
            env, head, query, key]; the last query's row counts, averaged over heads and layers. None: nobody looked.
        facts
            What the strategy looks at besides, under the names of a view's fields: of the appended transition
            (``reward``, ``episode``, ``state``, ``action``: [env]; ``observation``: [env, feature]; with an axis for
            the transitions after env where several were appended) and of the query (``query_observation``,
            ``query_episode``).
        appended
            Transitions that joined since the last call; at the first call all that there are.

        Raises
        ------
        StrategyError
            The shapes do not go together, or histories pool into different numbers of tokens.
        ViewIncompleteError
            The strategy looks at something that is not given.
        """
        xp = namespace(transformer_input)
        envs, tokens, width = transformer_input.shape
        cut = 1 if self._query_first else tokens - 1
        query = transformer_input[:, :1] if self._query_first else transformer_input[:, cut:]
        history = transformer_input[:, 1:] if self._query_first else transformer_input[:, :cut]
        if (tokens - 1) % self._per:
            raise StrategyError(f"expected {self._per} tokens a transition and one query, got {tokens} tokens")
        entries = (tokens - 1) // self._per
        embedded = xp.reshape(history, (envs, entries, self._per * width))
        row = None if attention_weights is None else deciding_row(attention_weights, self._per, self._query_first)
        if self._memory is None:
            self._memory, appended = Memory(self.rule, embedded, self._per), entries
        given = dict(facts or {})
        of_query = {name: given.pop(name) for name in QUERY_FACTS & given.keys()}
        if self._before:
            self._memory.judge(row)
        self._memory.append(entries, appended, given)
        if not self._before:
            self._memory.judge(row)
        if entries == 0:
            return transformer_input
        due = self.calls % self.interval == 0
        self.calls += 1
        if not due:
            return transformer_input
        plan = self._rectangular(self.rule.plan(self._memory.view(embedded, of_query), self._limit(entries)))
        if plan.pure and bool(xp.all(plan.used)):
            return transformer_input
        self._memory.keep(plan)
        built = xp.reshape(plan.build(embedded), (envs, -1, width))
        return xp.concat([query, built] if self._query_first else [built, query], axis=1)

    def _limit(self, entries: int) -> int:
        """Return the entries that may be kept."""
        if not isinstance(self.budget, float) or self.window is None or self._memory is None:
            return min(int(self.budget), entries)
        return max(1, min(int(min(self._memory.seen, self.window) * self.budget + 1e-9), entries))

    def _rectangular(self, plan: Plan) -> Plan:
        """Return the plan with every history filled up to the longest."""
        xp = namespace(plan.leader)
        tokens = plan.tokens
        most = xp.max(tokens)
        if bool(xp.all(tokens == most)):
            return plan
        if not plan.pure:
            raise StrategyError(
                f"{self.rule.name} makes {int(xp.min(tokens))} to {int(most)} tokens of these histories: give it one "
                "environment, or use a trial, which masks"
            )
        return Plan.of(plan.used | newest(~plan.used, most - tokens))
