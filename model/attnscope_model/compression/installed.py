"""Compressors of installed packages, made for the policy that they pack for, and held to what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.errors import CompressionUnfitError
from attnscope_model.forward.compressing import LearnedCompressor, Packed
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies.compressors import installed_compressors

Answer = TypeVar("Answer")
"""A value that a package gives."""


def made_compressor(name: str, policy: Policy) -> CheckedCompressor:
    """Return an installed compressor for a policy; what it does later is checked, see `CheckedCompressor`.

    Parameters
    ----------
    name
        Of the entry point.
    policy
        The policy whose tokens it packs; the package decides whether it was trained for this one.

    Raises
    ------
    CompressionUnfitError
        No such compressor is installed, it does not load, it refuses the policy, or it is none.
    """
    point = installed_compressors().get(name)
    if point is None:
        raise CompressionUnfitError(f"no compressor {name!r} is installed")
    whose = f"the installed compressor {name} ({point.value})"
    made = _asked(whose, lambda: point.load()(policy))
    if not isinstance(made, LearnedCompressor):
        raise CompressionUnfitError(f"{whose} makes no LearnedCompressor")
    return CheckedCompressor(whose, made)


class CheckedCompressor(LearnedCompressor):
    """A compressor of an installed package, whose every answer is held to what it says of itself.

    Another number of latents than it says would be counted wrongly, and latents that are no numbers would be acted on.

    Parameters
    ----------
    whose
        The package's compressor in words, which begin each refusal.
    made
        The compressor as the package made it.

    Raises
    ------
    CompressionUnfitError
        It does not say how many latents it gives.
    """

    def __init__(self, whose: str, made: LearnedCompressor) -> None:
        self._whose, self._made = whose, made
        latents = getattr(made, "latents", None)
        if not isinstance(latents, int) or latents < 1:
            raise CompressionUnfitError(f"{whose}: expected the number of its latents, 1 or more, got {latents}")
        self.latents = latents

    def when(self, tokens: int, *, packed: bool) -> bool:
        """Return whether the package says that it is time to pack.

        Raises
        ------
        CompressionUnfitError
            The package fails.
        """
        return bool(_asked(self._whose, lambda: self._made.when(tokens, packed=packed)))

    def compress(
        self, held: Float[Tensor, "env latent width"] | None, tokens: Float[Tensor, "env token width"]
    ) -> Packed:
        """Return the package's latents.

        Raises
        ------
        CompressionUnfitError
            The package fails, or gives other latents than it says, or latents that are not finite.
        """
        packed = _asked(self._whose, lambda: self._made.compress(held, tokens))
        if not isinstance(packed, Packed):
            raise CompressionUnfitError(f"{self._whose}: expected a Packed of latents, got {type(packed).__name__}")
        self._refuse_unlike(packed.latents, tokens)
        return packed

    def flops(self, sources: int) -> float:
        """Return the operations that the package counts."""
        return float(_asked(self._whose, lambda: self._made.flops(sources)))

    def bytes(self, sources: int) -> float:
        """Return the bytes that the package counts."""
        return float(_asked(self._whose, lambda: self._made.bytes(sources)))

    def embed(self, latents: Float[Tensor, "env latent width"]) -> Float[Tensor, "env latent width"]:
        """Return latents as the package lets them enter the policy.

        Raises
        ------
        CompressionUnfitError
            The package fails, or gives tokens of another shape.
        """
        entered: Tensor = _asked(self._whose, lambda: self._made.embed(latents))
        self._refuse_unlike(entered, latents)
        return entered

    def _refuse_unlike(self, latents: Tensor, beside: Tensor) -> None:
        """Refuse latents that are not as many numbers, of the same kind and place, as the tokens beside them."""
        expected = (len(beside), self.latents, beside.shape[-1])
        if not isinstance(latents, Tensor) or tuple(latents.shape) != expected or latents.dtype != beside.dtype:
            got = type(latents).__name__
            if isinstance(latents, Tensor):
                got = f"{tuple(latents.shape)} of {latents.dtype}"
            raise CompressionUnfitError(
                f"{self._whose}: expected latents [env, latent, width] {expected} of {beside.dtype}, got {got}"
            )
        if latents.device != beside.device:
            raise CompressionUnfitError(
                f"{self._whose}: its latents are on {latents.device} and the policy's tokens on {beside.device}; its "
                "network belongs on the policy's device"
            )
        if not bool(latents.isfinite().all()):
            raise CompressionUnfitError(f"{self._whose} gives latents that are not finite")


def _asked(whose: str, ask: Callable[[], Answer]) -> Answer:
    """Return a package's answer; its failure is named, but for memory that ran out, which is nobody's fault."""
    try:
        return ask()
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a foreign package may raise anything
        raise CompressionUnfitError(f"{whose} fails: {error}") from error
