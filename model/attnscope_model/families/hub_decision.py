"""The Decision Transformer of the Transformers library, acting: return-to-go, state and action are a step's tokens.

A token says the step of its episode by itself; its place in the context says nothing, so a window that slides computes
the same tokens anew. The action is read from the state's token. The context is emptied at an episode's end, where the
return to come is the target's again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from attnscope_model.acting.outputs import output_of
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.families.hub_gpt2 import Gpt2Layer
from attnscope_model.families.observed import refuse_other
from attnscope_model.forward.attention import TapedAttention, attention_row
from attnscope_model.forward.description import parameters_of
from attnscope_model.forward.remembering import Memory, Recalled, RememberingPolicy
from attnscope_storage.wire import OutputDescription, PolicyDescription
from attnscope_storage.wire.outputs import ONE_CHOICE

FAMILY = "hub-decision-transformer"
"""Name of the family in entries and captures."""

TOKENS = 3
"""Tokens of a step: the return to come, the state, the action."""


@dataclass(frozen=True)
class HubDecisionConfig:
    """Sizes from the tensors' shapes, and facts of the folder's two files."""

    width: int
    layers: int
    heads: int
    feedforward: int
    context_length: int
    features: int
    """Numbers of a state."""
    actions: int
    """Actions, each a one-hot vector; or the numbers of an action vector."""
    positions: int
    """Rows of the position table, of which the first one is added to every token."""
    episode_steps: int
    """Steps of an episode that have an embedding."""
    activation: str
    epsilon: float
    bounded: bool
    """Logits pass through tanh."""
    target_return: float
    return_scale: float
    """Returns are divided by it."""
    state_mean: tuple[float, ...]
    state_std: tuple[float, ...]
    """States are centred and divided; empty where they are taken as they are."""
    continuous: bool = False
    """An action is the vector that the head gives, not one of `actions`."""
    action_scale: tuple[float, ...] = ()
    """Numbers by which differences of action vectors are divided; empty: by 1."""


class HubDecisionPolicy(RememberingPolicy):
    """A Decision Transformer over vectors, whose actions are one-hot, or vectors of real numbers."""

    def __init__(self, config: HubDecisionConfig) -> None:
        super().__init__()
        self.config = config
        d = config.width
        self._stack = tuple(Gpt2Layer(config, config.activation, config.epsilon) for _ in range(config.layers))
        self.blocks = nn.ModuleList(self._stack)
        self.embed_return, self.embed_state = nn.Linear(1, d), nn.Linear(config.features, d)
        self.embed_action = nn.Linear(config.actions, d)
        self.embed_timestep = nn.Embedding(config.episode_steps, d)
        self.embed_ln = nn.LayerNorm(d)  # of torch's own epsilon, whatever the blocks' is
        self.positions = nn.Parameter(torch.zeros(config.positions, d))
        self.final_norm = nn.LayerNorm(d, eps=config.epsilon)
        self.head = nn.Linear(d, config.actions)
        self.description = PolicyDescription(
            family=FAMILY,
            layers=config.layers,
            heads=config.heads,
            width=d,
            context_length=config.context_length,
            actions=config.actions,
            causal=True,
            positions="none",
            query_slot="last",
            tokens_per_transition=TOKENS,
            query_tokens=2,
            token_kinds=("return", "state", "action"),
            cleared="episode",
            observation="vector",
            output=OutputDescription(kind="vector", scale=config.action_scale) if config.continuous else ONE_CHOICE,
            parameters=parameters_of(self),
        )

    def attentions(self) -> list[TapedAttention]:
        """Return the attention of every layer."""
        return [layer.attention for layer in self._stack]

    def memory(self, envs: int, device: torch.device) -> ReturnMemory:
        """Return the memory of a batch at the beginning of its episodes."""
        return ReturnMemory(self, envs, device)

    def placed(
        self, embedded: Float[Tensor, "env token width"], at: Int[Tensor, " env"]
    ) -> Float[Tensor, "env token width"]:
        """Return embeddings of one step as the first layer takes them.

        Raises
        ------
        CaptureInvalidError
            The step is beyond those that have an embedding.
        """
        if bool((at >= self.config.episode_steps).any()):
            raise CaptureInvalidError(
                f"an episode has more than the {self.config.episode_steps} steps that the policy has embeddings for"
            )
        placed: Tensor = self.embed_ln(embedded + self.embed_timestep(at)[:, None]) + self.positions[0]
        return placed

    def present(
        self, left: Float[Tensor, " env"], observation: Num[Tensor, "env feature"]
    ) -> Float[Tensor, "env 2 width"]:
        """Return the embeddings of a return to come and of a state."""
        config, state = self.config, observation.float()
        refuse_other(observation, config.features)
        if config.state_mean:
            state = (state - state.new_tensor(config.state_mean)) / state.new_tensor(config.state_std)
        return torch.stack([self.embed_return(left[:, None] / config.return_scale), self.embed_state(state)], dim=1)

    def decided(
        self, tokens: Float[Tensor, "env token width"]
    ) -> tuple[Float[Tensor, "env action"], Float[Tensor, "env layer head token"]]:
        """Return the logits of contexts that end with a state, and that token's attention."""
        rows = []
        for layer in self._stack:
            queries, keys, values = layer.project(tokens)
            rows.append(attention_row(queries[:, :, -1:], keys)[:, :, 0])
            tokens = layer.finish(tokens, layer.attention.attend(queries, keys, values))
        logits: Tensor = self.head(self.final_norm(tokens[:, -1]))
        return torch.tanh(logits) if self.config.bounded else logits, torch.stack(rows, dim=1)


class ReturnMemory(Memory):
    """The tokens of the newest steps of each episode, and the return that is still to come.

    Parameters
    ----------
    policy
        Embeds the tokens.
    envs
        Environments in the batch.
    device
        Where the tokens are.
    """

    def __init__(self, policy: HubDecisionPolicy, envs: int, device: torch.device) -> None:
        self._policy = policy
        description = policy.description
        self._steps = description.transitions
        self._past = torch.zeros(envs, self._steps, TOKENS, description.width, device=device)
        self._target = policy.config.target_return
        self.left = torch.full((envs,), self._target, device=device)
        """Return that is still to come, unscaled."""
        self.at = torch.zeros(envs, dtype=torch.int64, device=device)
        self._present: Tensor | None = None

    def held(self) -> Int[Tensor, " env"]:
        """Return how many past steps each context shows."""
        return self.at.clamp(max=self._steps)

    def decide(self, observation: Num[Tensor, "env feature"]) -> Recalled:
        """Return the decision at an observation; contexts of one length are computed together."""
        policy, held = self._policy, self.held()
        self._present = present = policy.placed(policy.present(self.left, observation), self.at)
        envs, longest = len(held), int(held.max()) * TOKENS + 2
        logits = present.new_empty(envs, policy.description.actions)
        rows = present.new_zeros(envs, policy.description.layers, policy.description.heads, longest)
        for count in sorted(set(held.tolist())):
            group = torch.nonzero(held == count)[:, 0]
            tokens = torch.cat([self._past[group, :count].flatten(1, 2), present[group]], dim=1)
            found, seen = policy.decided(tokens)
            logits[group] = found
            rows[group, ..., : tokens.shape[1]] = seen
        return Recalled(logits, rows)

    def append(
        self, action: Num[Tensor, "env ..."], reward: Float[Tensor, " env"], ended: Bool[Tensor, " env"]
    ) -> None:
        """Keep the step's three tokens; the oldest step goes where there is no more room."""
        if self._present is None:
            raise RuntimeError("expected a decision before its step is taken")
        policy, held = self._policy, self.held()
        vector = output_of(policy.description).encoded(action)
        acted = policy.placed(policy.embed_action(vector)[:, None], self.at)
        if self._steps:
            full = held == self._steps
            self._past[full] = self._past[full].roll(-1, dims=1)
            place = torch.where(full, held - 1, held)
            self._past[torch.arange(len(place), device=place.device), place] = torch.cat([self._present, acted], dim=1)
        self.left = torch.where(ended, torch.full_like(self.left, self._target), self.left - reward)
        self.at = torch.where(ended, 0, self.at + 1)
        self._present = None
