"""The arrays of a capture's attention: rows, the reductions that may stand in their place, and whole maps."""

from __future__ import annotations

from collections.abc import Iterator

from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.kinds.capture.dims import FORMS, CaptureDims, Lengths
from attnscope_storage.kinds.capture.lengths import grouped
from attnscope_storage.layout.store_schema import ArraySpec, Axis, Growth, array_spec


def attention_arrays(dims: CaptureDims, chunk: Lengths) -> Iterator[ArraySpec]:
    """Yield the arrays of ``attention/``: rows in their form, what stands in the place of rows, whole maps."""
    layer: Axis = ("layer" if len(dims.row_layers) == dims.layers else "row_layer", len(dims.row_layers))
    head: Axis = ("head" if len(dims.row_heads) == dims.heads else "row_head", len(dims.row_heads))
    slot: Axis = ("slot", dims.slots)
    growth: Growth = "step" if dims.row_every == 1 else "row_step"
    step: Axis = (growth, -(-dims.steps // dims.row_every))
    entries = max(1, chunk.flush // dims.row_every)
    if dims.row_envs is not None:
        dtype, lost = FORMS[dims.row_form]
        axes: tuple[Axis, ...] = (step, ("row_env", len(dims.row_envs)), layer, head, slot)
        words = {"long_name": "attention of the deciding query", **lost}
        yield array_spec("attention/rows", dtype, axes, growth=growth, chunk=(chunk.rows, 1), **words)
    yield from _reduced_arrays(dims, chunk, step, (layer, head))
    if growth == "row_step" and (dims.row_envs is not None or dims.bin_envs or dims.curve):
        yield array_spec("attention/row_step", "int32", (step,), growth=growth, chunk=(chunk.long(4, entries),))
    if dims.map_steps:
        sample: Axis = ("sample", len(dims.map_steps))
        axes = (sample, ("row_env", len(dims.map_envs)), layer, head, ("query", dims.slots), slot)
        words = {"long_name": "whole attention maps"}
        yield array_spec("attention/maps", "float16", axes, growth="sample", chunk=(1, 1), **words)
        yield array_spec("attention/map_step", "int32", (sample,), growth="sample", chunk=(chunk.long(4, 1),))
    if dims.row_envs is not None or dims.map_steps:
        yield array_spec("attention/row_env", "int32", (("row_env", len(dims.row_envs or dims.map_envs)),))
    if dims.row_envs is not None or dims.map_steps or dims.bin_envs or dims.curve:
        if layer[0] == "row_layer":
            yield array_spec("attention/row_layer", "int32", (layer,))
        if head[0] == "row_head":
            yield array_spec("attention/row_head", "int32", (head,))


def _reduced_arrays(dims: CaptureDims, chunk: Lengths, step: Axis, heads: tuple[Axis, Axis]) -> Iterator[ArraySpec]:
    """Yield the arrays that are stored in the place of rows: age bins and retained-mass curves."""
    growth: Growth = "step" if dims.row_every == 1 else "row_step"
    entries, cells = max(1, chunk.flush // dims.row_every), heads[0][1] * heads[1][1]
    if dims.bin_envs:
        edges = bin_edges(dims.slots)
        bins: Axis = ("bin", len(edges) - 1)
        shape = grouped(entries, len(dims.bin_envs), 2 * cells * bins[1])
        axes = (step, ("bin_env", len(dims.bin_envs)), *heads, bins)
        words = {"long_name": "attention by age", "dropped_mass": 0.0, "largest_error": 2.0**-11}
        yield array_spec("attention/bins", "float16", axes, growth=growth, chunk=shape, **words)
        yield array_spec("attention/bin_env", "int32", (("bin_env", len(dims.bin_envs)),))
        yield array_spec("attention/bin_edge", "int32", (("bin_edge", len(edges)),), units="tokens")
    if dims.curve:
        share: Axis = ("share", len(SHARES))
        shape = grouped(entries, dims.envs, 2 * cells * share[1])
        axes = (step, ("env", dims.envs), *heads, share)
        words = {"long_name": "mass of each head's own best tokens", "largest_error": 2.0**-11}
        yield array_spec("attention/curve", "float16", axes, growth=growth, chunk=shape, **words)
        yield array_spec("attention/curve_share", "float32", (share,), units="1")
