"""The known facts of a transition: its tokens, and the values that strategies choose by."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from attnscope_model.acting.outputs import output_of
from attnscope_model.acting.outputs.vector import number_of
from attnscope_model.forward.policy import Policy

Facts = dict[str, Tensor]
"""Facts of transitions by name; leading axes: rollout, and where there are several, entry."""

CHOSEN_BY: Final = ("reward", "episode", "state", "action", "observation", "keys")
"""Facts that are fields of a `ContextView` under the same name."""


def transition_facts(
    policy: Policy,
    observation: Num[Tensor, "env feature"],
    action: Num[Tensor, "env ..."],
    reward: Float[Tensor, " env"],
    next_observation: Num[Tensor, "env feature"],
    episode: Int[Tensor, " env"],
    transition: int | Int[Tensor, " env"],
) -> Facts:
    """Return the facts of one finished transition of every rollout; `transition` is its index.

    Keys are what the recommender compares transitions by: (observation, encoded action, reward).
    """
    seen = observation.float()
    output = output_of(policy.description)
    number = torch.zeros_like(episode) + transition
    embedded = policy.stamp(policy.embed_transition(observation, action, reward, next_observation), transition)
    return {
        "embedded": embedded.flatten(1),
        "first": number,
        "last": number,
        "reward": reward,
        "episode": episode,
        "state": state_numbers(observation),
        "action": output.number(action),
        "observation": seen,
        "keys": torch.cat([seen, output.encoded(action), reward[:, None]], dim=1),
    }


def state_numbers(observation: Num[Tensor, "env feature"]) -> Int[Tensor, " env"]:
    """Return a number for every different observation, by a hash of 64 bits."""
    return number_of(observation)


def rooms_for(facts: Facts, lanes: int, entries: int) -> Facts:
    """Return empty rooms for so many transitions of every rollout."""
    return {name: value.new_zeros((lanes, entries, *value.shape[1:])) for name, value in facts.items()}


def taken(
    facts: Facts, index: Int[Tensor, "env entry"] | Int[Tensor, " entry"], lanes: Int[Tensor, " env"] | None = None
) -> Facts:
    """Return the facts of chosen entries of every rollout, or of some; one index serves all rollouts."""
    if index.ndim == 1:
        return {name: value.index_select(1, index) for name, value in facts.items()}
    envs = torch.arange(len(index), device=index.device) if lanes is None else lanes
    return {name: value[envs[:, None], index] for name, value in facts.items()}
