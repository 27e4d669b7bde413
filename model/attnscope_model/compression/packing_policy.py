"""A policy whose older history an installed compressor packs, and the finding of how the compressor packs for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from attnscope_model.compression.installed import CheckedCompressor, made_compressor
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.forward.compressing import CompressingPolicy, LearnedCompressor, Packed
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import Layer, Slots, StackedPolicy
from attnscope_model.strategies.compressors import installed_compressors
from attnscope_storage.wire import InstalledCompressor

FAR: Final = 1e-4
"""Distance of a row's sum from 1, from which it is no attention."""

FREE: Final = frozenset({"package", "bytes_first", "bytes"})
"""Fields that may have changed since a job was submitted: no latent depends on them."""

HISTORIES: Final = 2
"""Histories that a compressor is tried on."""


class InstalledPackingPolicy(CompressingPolicy):
    """A policy with its own weights, and a compressor that an installed package trained for it.

    Parameters
    ----------
    policy
        What decides.
    compressor
        Packs its older transitions.
    by
        The compressor as it packs for this policy.
    """

    def __init__(self, policy: StackedPolicy, compressor: LearnedCompressor, by: InstalledCompressor) -> None:
        super().__init__()
        self.description = policy.description.packed(by)
        self._policy, self._compressor = policy, compressor

    @property
    def compressor(self) -> LearnedCompressor:
        """The installed compressor."""
        return self._compressor

    def embed_transition(
        self,
        observation: Num[Tensor, "env feature"],
        action: Num[Tensor, "env ..."],
        reward: Float[Tensor, " env"],
        next_observation: Num[Tensor, "env feature"],
    ) -> Float[Tensor, "env token width"]:
        """Return the tokens of a finished transition, without positions."""
        return self._policy.embed_transition(observation, action, reward, next_observation)

    def embed_query(self, observation: Num[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Return the token of the state that an action is asked for, without positions."""
        return self._policy.embed_query(observation)

    def stamp(
        self, tokens: Float[Tensor, "env token width"], transition: int | Int[Tensor, " env"]
    ) -> Float[Tensor, "env token width"]:
        """Return embedded tokens with what their place in time adds."""
        return self._policy.stamp(tokens, transition)

    def place(self, tokens: Float[Tensor, "env token width"], first: Slots = 0) -> Float[Tensor, "env token width"]:
        """Return tokens as the first layer takes them; latents stand first."""
        return self._policy.place(tokens, first)

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, first layer first."""
        return self._policy.layers()

    def read(self, x: Float[Tensor, "env width"]) -> Float[Tensor, "env action"]:
        """Return the logits of the deciding token's output."""
        return self._policy.read(x)

    @contextmanager
    def opening(self, summaries: int) -> Iterator[None]:
        """Return a block in which the layers attend to so many latents as those of the policy do."""
        own = self._policy.opening(summaries) if isinstance(self._policy, CompressingPolicy) else nullcontext()
        with own:
            yield


def packing_policy(policy: Policy, by: InstalledCompressor) -> InstalledPackingPolicy:
    """Return a policy with the installed compressor of this name.

    Raises
    ------
    CompressionUnfitError
        There is none, or it packs otherwise than was found before.
    """
    stack, compressor = _stacked(policy), made_compressor(by.name, policy)
    found = packs(by.name, compressor, stack)
    differ = sorted(name for name, value in vars(by).items() if name not in FREE and vars(found)[name] != value)
    if differ:
        raise CompressionUnfitError(
            f"the installed compressor {by.name} packs otherwise here ({found.package}) than where the job was "
            f"submitted ({by.package}): other {' and '.join(differ)}"
        )
    return InstalledPackingPolicy(stack, compressor, by)


def tried_compressor(name: str, policy: Policy) -> InstalledCompressor:
    """Return an installed compressor as it packs for a policy, found by trying it.

    Raises
    ------
    CompressionUnfitError
        There is none, it does not fit the policy, or it does not do what a compressor promises.
    """
    stack = _stacked(policy)
    return packs(name, made_compressor(name, stack), stack)


def packs(name: str, compressor: CheckedCompressor, stack: StackedPolicy) -> InstalledCompressor:
    """Return how a compressor packs for a policy: when, into how many latents, and the attention that it gives.

    It is tried on tokens that are drawn at random.

    Raises
    ------
    CompressionUnfitError
        It never packs within a context, its latents leave no room in one, or its attention is none.
    """
    policy = stack.description
    latents, per = compressor.latents, policy.tokens_per_transition
    if latents >= policy.context_length:
        raise _broken(name, f"latents: expected 1 to {policy.context_length - 1}, got {latents}")
    room = (policy.context_length - 1 - latents) // per
    first = next((n for n in range(1, policy.transitions + 2) if compressor.when(n * per, packed=False)), None)
    every = next((n for n in range(1, room + 2) if compressor.when(n * per, packed=True)), None)
    if first is None or every is None:
        when = "with its latents in it " if first is not None else ""
        raise _broken(name, f"it does not pack before a context of {policy.context_length} tokens {when}is full")
    drawn = torch.Generator().manual_seed(0)
    tokens = torch.randn(HISTORIES, max(first, every) * per, policy.width, generator=drawn)
    tokens = tokens.to(next(stack.parameters()).device)
    with torch.inference_mode():
        begun = compressor.compress(None, tokens[:, : first * per])
        later = compressor.compress(begun.latents, tokens[:, : every * per])
        compressor.embed(later.latents)
    sources = first * per, latents + every * per
    flops, size = ([count(many) for many in sources] for count in (compressor.flops, compressor.bytes))
    sizes = _attention(name, begun, latents, first * per)
    if _attention(name, later, latents, latents + every * per) != sizes:
        raise _broken(name, "its attention has other layers and heads at its second compression")
    point = installed_compressors().get(name)
    dist = None if point is None else point.dist
    return InstalledCompressor(
        name=name,
        package="unknown" if dist is None else f"{dist.name} {dist.version}",
        latents=latents,
        first=first,
        every=every,
        layers=sizes[0],
        heads=sizes[1],
        flops_first=flops[0],
        flops=flops[1],
        bytes_first=size[0],
        bytes=size[1],
    )


def _stacked(policy: Policy) -> StackedPolicy:
    if not isinstance(policy, StackedPolicy):
        raise CompressionUnfitError("a capture with latents needs a policy whose layers say their parts")
    return policy


def _attention(name: str, packed: Packed, latents: int, sources: int) -> tuple[int, int]:
    """Return the layers and heads of the attention of a compression; zeros where it gives none."""
    cross = packed.cross
    if cross is None:
        return 0, 0
    shape = (HISTORIES, *cross.shape[1:3], latents, sources)
    if tuple(cross.shape) != shape or not bool(((cross.sum(dim=-1) - 1).abs() <= FAR).all()):
        raise _broken(name, f"its attention: expected rows {shape} that sum to 1, got {tuple(cross.shape)}")
    return cross.shape[1], cross.shape[2]


def _broken(name: str, why: str) -> CompressionUnfitError:
    return CompressionUnfitError(f"the installed compressor {name} does not fit: {why}")
