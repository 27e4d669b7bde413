"""The layouts that a plan can name: what each can say, and the compressor's sizes. Writes no file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Layout = Literal["native", "reference", "cccad", "cad"]

NAMED: Final = MappingProxyType(
    {"reference": "the reference's layout", "cccad": "CCCAD's layout", "cad": "CAD's layout"}
)
"""The other layouts than our own in words."""

_DARKROOM: Final = MappingProxyType({"darkroom-reference": "darkroom"})
_CCCAD: Final = MappingProxyType({**_DARKROOM, "key-to-door": "dark_key_to_door"})

ROOMS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"reference": _DARKROOM, "cccad": _CCCAD, "cad": _CCCAD}
)
"""By layout: the presets that its files can name, each with its ``env``, which means nothing else."""


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
    name, rooms = NAMED[layout], ROOMS[layout]
    if preset not in rooms:
        said = " or ".join(f"{env!r}, which is {room}" for room, env in rooms.items())
        return f"a file in {name} says {said}: it cannot be trained in {preset}"
    if positions != "learned-absolute":
        return f"{name} has learned absolute positions, got {positions}"
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
