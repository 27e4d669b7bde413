"""The interface of a policy, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from attnscope_model.forward.attention import TapedAttention
from attnscope_storage.wire import PolicyDescription


class Policy(nn.Module, ABC):
    """A frozen in-context policy: a forward from a context of embedded tokens to the logits of the next action."""

    description: PolicyDescription

    @abstractmethod
    def embed_transition(
        self,
        observation: Num[Tensor, "env feature"],
        action: Num[Tensor, "env ..."],
        reward: Float[Tensor, " env"],
        next_observation: Num[Tensor, "env feature"],
    ) -> Float[Tensor, "env token width"]:
        """Return the tokens of a finished transition, without positions.

        Parameters
        ----------
        observation
            Observation before the action; a grid is flat, row after row.
        action
            Action that was taken, int [env]; one for each branch, int [env, branch], or a vector, float
            [env, component], as `description.output` says.
        reward
            Reward of the transition, float [env].
        next_observation
            Observation after it; the terminal one at the end of an episode.
        """

    @abstractmethod
    def embed_query(self, observation: Num[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return the tokens of the state that an action is asked for, without positions.

        Parameters
        ----------
        observation
            Observation that the policy decides on.
        """

    def stamp(
        self,
        tokens: Float[Tensor, "env token width"],
        transition: int | Int[Tensor, " env"],  # noqa: ARG002 - for policies with a clock
    ) -> Float[Tensor, "env token width"]:
        """Return embedded tokens with what their place in time adds: nothing, but in a policy with a clock.

        Called on what `embed_transition` and `embed_query` return, before tokens are kept, so that a token that
        outlives others in a context keeps its own time.

        Parameters
        ----------
        tokens
            Tokens of one transition, or of the query, of every environment.
        transition
            Transition index of each since its rollout began; a query has that of the transition it begins.
        """
        return tokens

    @abstractmethod
    def forward(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the query's action; positions are added here.

        Instead of logits, a head whose action is a vector returns what `description.output` says: means and logarithms
        of standard deviations, or the action itself.

        Parameters
        ----------
        tokens
            Embedded contexts, the query among them, float [env, token, width].
        """

    @abstractmethod
    def attentions(self) -> list[TapedAttention]:
        """Return the attention of every layer, first layer first."""
