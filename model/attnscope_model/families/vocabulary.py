"""Tokens of a language model that acts: states, actions and rewards are entries of its vocabulary.

A declaration says where each kind begins; the logits of an action are those of its entry. Nothing is generated: the
policy is asked for one action at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.families.observed import refuse_other
from attnscope_model.families.tokens import cell_index
from attnscope_model.forward.stack import Layer, StackedPolicy
from attnscope_storage.wire import TokenKind


@dataclass(frozen=True)
class Vocabulary:
    """The place of states, actions and rewards among a vocabulary's entries."""

    tokens: tuple[TokenKind, ...]
    """Kinds of a transition's tokens, the state first."""
    grid_size: int
    """Rows and columns of the room whose cells are the states; 0 where a state is one number."""
    states: int
    first_state: int
    actions: int
    first_action: int
    rewards: int
    """Rewards 0, 1, … that have an entry each; 0 where rewards are no tokens."""
    first_reward: int


class VocabularyPolicy(StackedPolicy):
    """A stack whose tokens are entries of one vocabulary, and whose state token decides.

    A family makes `embedding`, `final_norm` and its layers; `head` is None where the embedding's own weights read the
    output.
    """

    words: Vocabulary
    embedding: nn.Embedding
    final_norm: nn.Module
    head: nn.Linear | None
    _stack: tuple[Layer, ...]

    def embed_transition(
        self,
        observation: Num[Tensor, "env feature"],
        action: Int[Tensor, " env"],
        reward: Float[Tensor, " env"],
        next_observation: Num[Tensor, "env feature"],  # noqa: ARG002 - the next state's token says it
    ) -> Float[Tensor, "env token width"]:
        """Return a token each for state and action, and for the reward where rewards are tokens.

        Raises
        ------
        CaptureInvalidError
            A state or a reward has no entry in the vocabulary.
        """
        words = self.words
        entries = [self._state(observation), words.first_action + action]
        if "reward" in words.tokens:
            whole = reward.long()
            if not torch.equal(whole.to(reward.dtype), reward):
                raise CaptureInvalidError("a reward is no whole number, and the vocabulary has entries for such alone")
            entries.append(words.first_reward + _within(whole, words.rewards, "reward"))
        embedded: Tensor = self.embedding(torch.stack(entries, dim=1))
        return embedded

    def embed_query(self, observation: Num[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return one token: the state's, as in a transition."""
        embedded: Tensor = self.embedding(self._state(observation)[:, None])
        return embedded

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the actions' entries."""
        rows = self.embedding.weight if self.head is None else self.head.weight
        first = self.words.first_action
        logits: Tensor = self.final_norm(x) @ rows[first : first + self.words.actions].t()
        return logits

    def _state(self, observation: Num[Tensor, "env feature"]) -> Int[Tensor, " env"]:
        """Return the entry of each state.

        Raises
        ------
        CaptureInvalidError
            It is no cell (row, column) of the room, or no number of a state.
        """
        words = self.words
        refuse_other(observation, 2 if words.grid_size else 1, whole=True)
        if not words.grid_size:
            return words.first_state + _within(observation[:, 0], words.states, "state")
        if bool(((observation < 0) | (observation >= words.grid_size)).any()):
            raise CaptureInvalidError(f"a cell lies beyond the {words.grid_size} rows and columns of the vocabulary")
        return words.first_state + cell_index(observation, words.grid_size)


def _within(numbers: Int[Tensor, " env"], count: int, what: str) -> Int[Tensor, " env"]:
    """Return numbers that each have an entry; the next entries are of another kind."""
    if bool(((numbers < 0) | (numbers >= count)).any()):
        raise CaptureInvalidError(f"a {what} lies beyond the {count} that the vocabulary has entries for")
    return numbers
