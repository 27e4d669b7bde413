"""Whole layers of small policies on a CPU, computed by `attnscope_model.forward.compiled.layers`.

Where numba is installed and every layer of a stack is a plain block with GELU, a layer is one call instead of a dozen
of torch's. `attnscope_model.forward.fused` chooses it. The weights are copied: a policy is frozen when it is prepared.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.layers import BlockLayer, Rotation
from attnscope_model.forward.stack import Layer, Slots, StackedPolicy, at_slots

Result = TypeVar("Result")

BLOCK: Final = 32
"""Tokens that compiled code takes together; rooms for tokens are a multiple of it."""

HEAD_MULTIPLE: Final = 8
"""Numbers of a head come in so many at once."""

WIDTH_MULTIPLE: Final = 4
"""Features of the last maps come in so many at once."""

WIDEST: Final = 128
"""Numbers of a token that were measured: up to there compiled layers are 1.5 to 2.8 times as fast."""

_OWN: Final = ("forward", "decide", "entering", "project", "query", "memory", "finish", "joined")
_OWN_WITHIN: Final = ("_projected", "_rotated", "_fed_forward")
"""Methods of a block that a family may not have changed."""

_GELUS: Final = {"none": 0, "tanh": 1}
_MAPS: Final = ("in_proj", "out_proj", "linear1", "linear2")
_NORMS: Final = ("norm1", "norm2")


def fits(layer: Layer) -> bool:
    """Return whether compiled code computes what a layer computes, and gains by it."""
    own = (*_OWN, *_OWN_WITHIN)
    if not isinstance(layer, BlockLayer) or any(getattr(type(layer), m) is not getattr(BlockLayer, m) for m in own):
        return False
    if type(layer.attention) is not TapedAttention or layer.attention.bias is not None:
        return False  # it sees other slots, or adds to scores
    width, feed = layer.linear1.in_features, layer.linear1.out_features
    size, rest = divmod(width, layer.heads)
    whole = _plain(layer) and rest == 0 and size % HEAD_MULTIPLE == 0 and feed % WIDTH_MULTIPLE == 0
    plain = all(weight.dtype is torch.float32 and weight.device.type == "cpu" for weight in layer.parameters())
    return whole and plain and width <= WIDEST and len(list(layer.parameters())) == len(_weights(layer))


def _plain(layer: BlockLayer) -> bool:
    """Return whether a layer's maps and norms are those of a block, with their biases: a family may have put others."""
    width, feed = layer.linear1.in_features, layer.linear1.out_features
    shapes = {"in_proj": (3 * width, width), "out_proj": (width, width), "linear2": (width, feed)}
    maps = all(type(getattr(layer, name)) is nn.Linear and getattr(layer, name).bias is not None for name in _MAPS)
    norms = [getattr(layer, name) for name in _NORMS]
    affine = all(type(norm) is nn.LayerNorm and norm.bias is not None and norm.bias.shape == (width,) for norm in norms)
    return maps and affine and all(getattr(layer, name).weight.shape == shape for name, shape in shapes.items())


class WholeLayer:
    """A layer's weights as compiled code takes them, and its calls.

    Parameters
    ----------
    layer
        One that `fits`.
    """

    def __init__(self, layer: BlockLayer) -> None:
        self._weights = torch.cat([weight.detach().flatten() for weight in _weights(layer)]).numpy()
        self._width, self._heads, self._causal = layer.linear1.in_features, layer.heads, layer.attention.causal
        facts = (self._heads, self._width, layer.linear1.out_features, layer.norm_first, _GELUS[layer.gelu])
        self._facts = np.array(facts, np.int64)
        self._epsilons = np.array([layer.norm1.eps, layer.norm2.eps], np.float32)
        self._rotation = layer.rotation

    def every(
        self, x: Float[Tensor, "env token width"], first: Slots, place: Float[Tensor, "env head 1 slot"] | None
    ) -> tuple[Float[Tensor, "env token width"], Float[Tensor, "env head 1 slot"]]:
        """Return every token's output, and the last one's row, which is written to `place` where that fits."""
        from attnscope_model.forward.compiled import layers  # noqa: PLC0415 - only where numba is installed

        envs, tokens, _ = x.shape
        row, given = _row(place, envs, self._heads, tokens), _by_feature(x)
        out = torch.empty(given.shape)
        turns, step = _turns(self._rotation, first, tokens)
        common = (self._weights, self._facts, self._epsilons, turns, step)
        arrays = (_flat(given), _flat(out), row.numpy()[:, :, 0], tokens, self._causal)
        _shared(envs, lambda begin, end: layers.compute_all(*arrays, *common, begin, end))
        return out.transpose(1, 2)[:, :tokens], row

    def last(
        self, x: Float[Tensor, "env token width"], first: Slots, place: Float[Tensor, "env head 1 slot"] | None
    ) -> tuple[Float[Tensor, "env 1 width"], Float[Tensor, "env head 1 slot"]]:
        """Return the last token's output, and its row, which is written to `place` where that fits."""
        from attnscope_model.forward.compiled import layers  # noqa: PLC0415 - only where numba is installed

        envs, tokens, width = x.shape
        row, given = _row(place, envs, self._heads, tokens), _by_feature(x)
        out = torch.empty(envs, 1, width)
        turns, step = _turns(self._rotation, first, tokens)
        common = (self._weights, self._facts, self._epsilons, turns, step)
        arrays = (_flat(given), _flat(out), row.numpy()[:, :, 0], tokens)
        _shared(envs, lambda begin, end: layers.compute_last(*arrays, *common, begin, end))
        return out, row

    def new(
        self,
        x: Float[Tensor, "env new width"],
        first: int,
        memory: tuple[Float[Tensor, "env width capacity"], Float[Tensor, "env width capacity"]],
        place: Float[Tensor, "env head 1 slot"] | None,
        *,
        last: bool,
    ) -> tuple[Float[Tensor, "env given width"], Float[Tensor, "env head 1 slot"]]:
        """Return the output of new tokens of growing contexts, and the last one's row; keep their keys and values.

        Parameters
        ----------
        x
            Tokens that begin at slot `first`, which is the number of those that are kept.
        memory
            Keys and values, as `memory` makes them.
        place
            Where the row is wanted.
        last
            Only the last token's output is asked for.

        Raises
        ------
        ValueError
            The memory is too short: compiled code looks at no bound.
        """
        from attnscope_model.forward.compiled import growing  # noqa: PLC0415 - only where numba is installed

        envs, new, width = x.shape
        if first + new > memory[0].shape[-1]:
            raise ValueError(
                f"expected at most {memory[0].shape[-1]} tokens, as the memory has room for, got {first + new}"
            )
        row, given = _row(place, envs, self._heads, first + new), 1 if last else new
        arrays = (row.numpy()[:, :, 0], memory[0].numpy(), memory[1].numpy(), first, new, last)
        common = (self._weights, self._facts, self._epsilons)

        def compute(begin: int, end: int) -> Tensor:
            count = end - begin
            lanes = _by_feature(x[begin:end].reshape(1, count * new, width))
            out = torch.empty(1, width, -(-count * given // BLOCK) * BLOCK)
            turns = _lane_turns(self._rotation, first, count, new)
            growing.compute_new(_flat(lanes), _flat(out), *arrays, *common, turns, begin, count)
            return out.transpose(1, 2)[0, : count * given].view(count, given, width)

        parts = _shared(envs, compute)
        return parts[0] if len(parts) == 1 else torch.cat(parts), row

    def memory(self, envs: int, capacity: int) -> tuple[Tensor, Tensor]:
        """Return room for the keys and values of growing contexts."""
        room = (envs, self._width, -(-capacity // BLOCK) * BLOCK)
        return torch.zeros(room), torch.zeros(room)


def whole_layers(policy: StackedPolicy) -> list[WholeLayer]:
    """Return compiled layers, in order; none where a layer does not fit, or the policy's forward is another."""
    layers = policy.layers() if type(policy).forward is StackedPolicy.forward else ()
    return [WholeLayer(layer) for layer in layers if isinstance(layer, BlockLayer)] if all(map(fits, layers)) else []


def _weights(layer: BlockLayer) -> list[Tensor]:
    """Return a layer's weights in the order of `attnscope_model.forward.compiled.parts.Layer`."""
    modules = (layer.in_proj, layer.out_proj, layer.norm1, layer.norm2, layer.linear1, layer.linear2)
    return [weight for module in modules for weight in (module.weight, module.bias)]


def _by_feature(x: Float[Tensor, "env token width"]) -> Float[Tensor, "env width room"]:
    """Return tokens feature by feature, in rooms of whole blocks; a compiled layer's own output is already so."""
    envs, tokens, width = x.shape
    room = -(-tokens // BLOCK) * BLOCK
    whole = x.untyped_storage().nbytes() == 4 * envs * width * room and x.storage_offset() == 0
    if whole and x.stride()[1:] == (1, room) and (envs == 1 or x.stride(0) == width * room):
        return x.as_strided((envs, width, room), (width * room, room, 1))
    given = torch.zeros(envs, width, room)
    given[:, :, :tokens] = x.transpose(1, 2)
    return given


def _flat(x: Tensor) -> Any:  # noqa: ANN401 - an array of numpy
    return x.numpy().reshape(-1)


def _row(place: Tensor | None, envs: int, heads: int, tokens: int) -> Float[Tensor, "env head 1 slot"]:
    """Return where rows are written: their place, where it has their shape."""
    wanted = (envs, heads, 1, tokens)
    return place if place is not None and place.shape == wanted else torch.empty(wanted)


def _turns(rotation: Rotation | None, first: Slots, tokens: int) -> tuple[Any, int]:
    """Return cosines and sines of the tokens' angles, pair by pair, and how far apart those of two contexts are."""
    if rotation is None:
        return np.empty(0, np.float32), 0
    tables = torch.cat([at_slots(table, first, tokens) for table in (rotation.cos, rotation.sin)], dim=-1)
    if tables.shape[-2] != tokens:
        raise ValueError(f"expected angles of {tokens} slots from {first} on, the rotation has {len(rotation.cos)}")
    turns = _by_feature(tables if tables.ndim == 3 else tables[None])  # noqa: PLR2004 - [env, token, pair]
    return _flat(turns), turns[0].numel() if isinstance(first, Tensor) else 0


def _lane_turns(rotation: Rotation | None, first: int, count: int, new: int) -> Any:  # noqa: ANN401 - an array of numpy
    """Return cosines and sines of the new tokens of so many contexts, side by side."""
    if rotation is None:
        return np.empty(0, np.float32)
    slots = torch.arange(first, first + new).repeat(count)[None]
    return _turns(rotation, slots, count * new)[0]


def _shared(envs: int, compute: Callable[[int, int], Result]) -> list[Result]:
    """Compute contexts by torch's number of threads, and return the results of the parts."""
    threads = min(envs, torch.get_num_threads())
    if threads <= 1:  # also where there is no context
        return [compute(0, envs)]
    bounds = [envs * i // threads for i in range(threads + 1)]
    parts = [_threads(threads).submit(_inferring, compute, begin, end) for begin, end in pairwise(bounds)]
    return [part.result() for part in parts]


def _inferring(compute: Callable[[int, int], Result], begin: int, end: int) -> Result:
    """Compute without gradients, which each thread is asked for by itself."""
    with torch.inference_mode():
        return compute(begin, end)


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="layers")
