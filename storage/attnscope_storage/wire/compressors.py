"""Installed compressors on the wire: one as it packs for a policy, which is found by trying it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from attnscope_storage.wire.base import Received

InstalledName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")]
"""Name of an entry point of the group ``attnscope.compressors``."""


class InstalledCompressor(Received):
    """A compressor of an installed package, as it packs the histories of one policy."""

    name: str = Field(description="Of its entry point.")
    package: str = Field(description="Distribution that has it, and its version.")
    latents: int = Field(ge=1, description="Latents that one compression gives.")
    first: int = Field(ge=1, description="Transitions before the first compression.")
    every: int = Field(ge=1, description="Transitions from one compression to the next.")
    layers: int = Field(default=0, ge=0, description="Layers of the attention that it gives; 0: it gives none.")
    heads: int = Field(default=0, ge=0, description="Heads of each of these layers.")
    flops_first: float = Field(default=0.0, ge=0, description="Operations of its first compression; 0: not counted.")
    flops: float = Field(default=0.0, ge=0, description="Operations of each later compression; 0: not counted.")
    bytes_first: float = Field(
        default=0.0,
        ge=0,
        description="Bytes that its first compression takes for a moment, of a rollout; 0: not counted.",
    )
    bytes: float = Field(default=0.0, ge=0, description="The same of each later compression; 0: not counted.")
