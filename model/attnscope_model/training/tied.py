"""Tables that are tied while they are trained: entries are what two parts add up to, projected so after every step.

*The query of the reference's and of CAD's layout.* Its transitions are linear in raw coordinates, its query is one free
embedding a cell. Trained freely, that table learns the train goals by heart (docs/policies.md has the numbers). Here
the query begins as the same map of coordinates that transitions have, and stays a row's part plus a column's.

*Positions where windows begin with episodes.* A slot's is its episode's part plus its step's, so that "in this episode"
need not be learned slot by slot.

Files and inference know nothing of it: a projected table is a table.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.families.ad import ADPolicy
from attnscope_model.families.tokens import WholeTransitions

COORDINATE_SCALE = 0.15
"""Standard deviation of a coordinate's initial weights; coordinates count from the room's centre."""

FLAG_SCALE = 0.5
"""The same of the action's and the reward's, which are 0 or 1."""


EPISODE_SCALE = 0.3
"""The same of an episode's part and of a step's part of a position."""


@torch.no_grad()
def initialise_coordinates(policy: WholeTransitions, generator: torch.Generator) -> None:
    """Draw the embeddings: coordinates from the centre, on one scale with the flags, the query mapped as s is."""
    weight, bias = policy.embed_context.weight, policy.embed_context.bias
    weight.normal_(std=FLAG_SCALE, generator=generator)
    coordinates = torch.tensor([0, 1, -2, -1])
    weight[:, coordinates] *= COORDINATE_SCALE / FLAG_SCALE
    size = policy.grid_size
    centre = (size - 1) / 2
    bias.copy_(-centre * weight[:, coordinates].sum(dim=1))
    cells = torch.cartesian_prod(torch.arange(size), torch.arange(size)) - centre
    policy.embed_query_state.weight.copy_(cells @ weight[:, :2].T)


@torch.no_grad()
def add_up_rows_and_columns(policy: WholeTransitions) -> None:
    """Project the query's table on the sums of something of the row and something of the column."""
    size = policy.grid_size
    table = policy.embed_query_state.weight
    table.copy_(additive(table.view(size, size, -1)).flatten(0, 1))


@torch.no_grad()
def initialise_episodes(policy: ADPolicy, episode_steps: int, generator: torch.Generator) -> None:
    """Draw positions as the sum of an episode's and a step's part."""
    by_episode = _by_episode(policy, episode_steps)
    episodes, steps, width = by_episode.shape
    by_episode.copy_(
        EPISODE_SCALE * torch.randn(episodes, 1, width, generator=generator)
        + EPISODE_SCALE * torch.randn(1, steps, width, generator=generator)
    )


@torch.no_grad()
def add_up_episodes_and_steps(policy: ADPolicy, episode_steps: int) -> None:
    """Project the positions on the sums of something of the episode and something of the step in it."""
    by_episode = _by_episode(policy, episode_steps)
    by_episode.copy_(additive(by_episode))


def _by_episode(policy: ADPolicy, episode_steps: int) -> Float[Tensor, "episode step width"]:
    """Return the positions, as a view; the context is whole episodes long."""
    if policy.position is None:
        raise ValueError("expected learned absolute positions: rotary ones have no table")
    return policy.position.view(-1, episode_steps, policy.position.shape[-1])


def additive(table: Float[Tensor, "row column width"]) -> Float[Tensor, "row column width"]:
    """Return the nearest table, by squares, whose entries are a row's part plus a column's."""
    rows, columns = table.mean(dim=1, keepdim=True), table.mean(dim=0, keepdim=True)
    return rows + columns - table.mean(dim=(0, 1), keepdim=True)
