"""Keys and values of the tokens that a causal policy has seen: what makes a step of a growing window cheap.

Exact as long as every token keeps its slot, that is while the window grows: a finished token's keys and values depend
on earlier tokens only. Once the window slides, absolute positions (and rotary policies that were trained on truncated
windows) give every token another slot, so `attnscope_model.acting.deciding` then recomputes. A cache that slides with
its window would be another function; it is not offered here.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import Layer, StackedPolicy


def cacheable(policy: Policy) -> bool:
    """Return whether a growing window of this policy can be cached: causal, the query last, a stack of layers."""
    description = policy.description
    return isinstance(policy, StackedPolicy) and description.causal and description.query_slot == "last"


class GrowingCache:
    """Keys and values of a batch of growing contexts, in buffers as long as the longest context.

    Parameters
    ----------
    policy
        A `cacheable` policy.
    capacity
        Tokens of the longest context, the query among them.
    """

    def __init__(self, policy: StackedPolicy, capacity: int) -> None:
        if not cacheable(policy):
            raise ValueError("expected a causal policy with its query last: elsewhere a new token changes old ones")
        self._policy = policy
        self._capacity = capacity
        self._memory: list[tuple[Tensor, Tensor]] = []
        self.held = 0
        """Finished tokens whose keys and values are kept."""

    def decide(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the last of `tokens`, the query, which is forgotten again; the others are kept.

        Parameters
        ----------
        tokens
            What the context has beyond the `held` tokens: those finished since the last call, and the query.
        """
        first = self.held
        x = self._policy.place(tokens, first)
        *early, last = self._policy.layers()
        if last.whole is not None:
            return self._computed(x)
        for number, layer in enumerate(early):
            queries, keys, values = layer.project(x, first)
            x = layer.finish(x, self._attended(number, layer, queries, keys, values))
        keys, values = last.memory(x, first)
        query = last.query(x[:, -1:], first + tokens.shape[1] - 1)
        x = last.finish(x[:, -1:], self._attended(len(early), last, query, keys, values))
        self.held = first + tokens.shape[1] - 1
        return self._policy.read(x[:, 0])

    def _computed(self, x: Float[Tensor, "env new width"]) -> Float[Tensor, "env action"]:
        """Return the logits by compiled layers."""
        layers, first, new = self._policy.layers(), self.held, x.shape[1]
        for number, layer in enumerate(layers):
            if layer.whole is None:
                raise ValueError("expected every layer to be compiled, or none")
            if number == len(self._memory):
                self._memory.append(layer.whole.memory(len(x), self._capacity))
            tape = layer.attention.tape
            place = None if tape is None else tape.place()
            x, row = layer.whole.new(x, first, self._memory[number], place, last=number == len(layers) - 1)
            if tape is not None:
                tape.record(row, None)
        self.held = first + new - 1
        return self._policy.read(x[:, 0])

    def _attended(self, number: int, layer: Layer, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Keep a layer's new keys and values, and attend to all of them."""
        if number == len(self._memory):
            envs, heads, _, size = keys.shape
            room = (envs, heads, size, self._capacity)
            self._memory.append((keys.new_empty(room), values.new_empty(room)))
        kept_keys, kept_values = self._memory[number]
        end = self.held + keys.shape[2]
        kept_keys[..., self.held : end] = keys.transpose(-2, -1)
        kept_values[..., self.held : end] = values.transpose(-2, -1)
        return layer.attention.extend(queries, kept_keys[..., :end], kept_values[..., :end])
