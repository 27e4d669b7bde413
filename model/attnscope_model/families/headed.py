"""A policy that is a stack of layers and one linear map of the deciding token's output; knows no family."""

from __future__ import annotations

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn

from attnscope_model.forward.description import Sizes
from attnscope_model.forward.stack import Layer, StackedPolicy


class HeadedStack(StackedPolicy):
    """A policy whose stack is read by one linear map, after a norm where there is a final one."""

    def __init__(self, layers: Iterable[Layer], sizes: Sizes, *, final_norm: bool = False) -> None:
        super().__init__()
        self._stack = tuple(layers)
        self.blocks = nn.ModuleList(self._stack)
        self.final_norm = nn.LayerNorm(sizes.width) if final_norm else nn.Identity()
        self.head = nn.Linear(sizes.width, sizes.actions)

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._stack

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        logits: Tensor = self.head(self.final_norm(x))
        return logits
