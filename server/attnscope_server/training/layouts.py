"""The layouts that a plan can name: what each can say, and the compressor's sizes. Writes no file."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Layout = Literal["native", "reference", "cad"]

ONE_ROOM: Final = "darkroom-reference"
"""The one environment that a file in another layout than our own can name; its ``env: darkroom`` means nothing else."""

NAMED: Final = {"reference": "reference", "cad": "CAD"}
"""The other layouts in words."""


class CompressorPlan(BaseModel):
    """The network that packs older transitions, and the windows that it is trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latents: int = Field(default=16, ge=1, description="Latents that a compression gives.")
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    window: int = Field(default=160, ge=2, description="Steps of a training window; beyond a context it is packed.")
    decisions: int = Field(default=24, ge=1, description="Decisions of each window that have a loss.")


def why_unsayable(layout: Layout, preset: str, positions: str) -> str | None:
    """Return why a file in this layout cannot hold such a policy; None where it can."""
    if layout == "native":
        return None
    name = NAMED[layout]
    if preset != ONE_ROOM:
        return (
            f"a file in the {name}'s layout says 'darkroom', which is {ONE_ROOM}: it cannot be trained in {preset}"
            if layout == "reference"
            else f"a file in {name}'s layout is trained in {ONE_ROOM} here, not in {preset}"
        )
    if positions != "learned-absolute":
        whose = "the reference's layout" if layout == "reference" else f"{name}'s layout"
        return f"{whose} has learned absolute positions, got {positions}"
    return None


def why_unpackable(compressor: CompressorPlan, context_length: int, width: int, history: int) -> str | None:
    """Return why a compressor does not fit a policy and its histories; None where it does."""
    if compressor.latents > context_length - 2:
        return (
            f"expected at most {context_length - 2} latents, which leave slots for a transition and the query, got "
            f"{compressor.latents}"
        )
    if width % compressor.heads:
        return f"expected heads of whole size, got width {width} over {compressor.heads} heads of the compressor"
    if not context_length <= compressor.window <= history:
        return f"expected windows of {context_length} to {history} steps, got {compressor.window}"
    return None
