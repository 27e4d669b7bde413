"""The arrays of a screen: names, dtypes, axes.

A screen grows by rollouts: a commit is one block of them, judged under every arm. Histories are the capture's own and
are not stored again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final

from attnscope_storage.layout.store_schema import SPLITS, ArraySpec, Axis, StoreSchema, array_spec
from attnscope_storage.wire.outputs import ONE_CHOICE, OutputDescription

PARTS: Final = ("uncompressed", "deployable", "oracle", "ages")
"""Meaning of the part axis of what a screen took."""


@dataclass(frozen=True)
class ScreenDims:
    """The sizes that determine a screen's arrays."""

    rollouts: int
    arms: int
    decisions: int
    """Decisions of a rollout."""
    actions: int
    rows: bool
    """True where attention is stored, so that the retained share of it is known."""
    block: int
    """Rollouts of a commit."""
    bands: int = 0
    """Bands of ages that are left out one by one; 0: none."""
    episodes: int = 0
    """Episodes back that are left out one by one."""
    output: OutputDescription = ONE_CHOICE
    """The meaning of the head's numbers."""


@dataclass(frozen=True)
class ScreenSchema(StoreSchema):
    """Every array of one screen."""

    kind: ClassVar[str] = "screen"
    dims: ScreenDims
    arrays: Mapping[str, ArraySpec]
    flush_steps: int

    @property
    def total(self) -> int:
        """Rollouts of the finished screen."""
        return self.dims.rollouts

    def length(self, spec: ArraySpec, steps: int) -> int:
        """Return the length of an array's first axis once `steps` rollouts are committed."""
        return spec.shape[0] if spec.growth == "static" else steps


def build_screen_schema(dims: ScreenDims) -> ScreenSchema:
    """Return the arrays of a screen with these dimensions."""
    specs = [*_judged(dims), *_decisions(dims), *_rollouts(dims), *_ages(dims)]
    return ScreenSchema(dims, MappingProxyType({spec.name: spec for spec in specs}), dims.block)


def _judged(dims: ScreenDims) -> Iterator[ArraySpec]:
    """Yield what every arm does at every decision."""
    axes: tuple[Axis, ...] = (("rollout", dims.rollouts), ("arm", dims.arms), ("decision", dims.decisions))
    for name, dtype, units, what in (
        ("departure", "float32", "1", dims.output.departure),
        ("signed", "float32", "nats", "Σ(π_full − π_arm) log π_full: positive where the arm leaves what is preferred"),
        ("kl", "float32", "nats", "KL(π_full ‖ π_arm) of the acted distributions"),
        ("flip", "int8", "1", "whether the most likely action is another"),
        ("kept", "int32", "tokens", "history tokens that the decision was made of"),
    ):
        if name in dims.output.lacks:
            continue
        yield _grows(f"screen/{name}", dtype, dims, *axes, units=units, long_name=what)
    if dims.rows:
        what = "share of the decision row's attention on tokens kept as they are and on the query"
        yield _grows("screen/retained", "float32", dims, *axes, units="1", long_name=what)


def _decisions(dims: ScreenDims) -> Iterator[ArraySpec]:
    """Yield what is known of the judged decisions."""
    axes: tuple[Axis, ...] = (("rollout", dims.rollouts), ("decision", dims.decisions))
    for name, dtype, what in (
        ("step", "int32", "environment step"),
        ("episode", "int32", "episode of the rollout, from 0"),
        ("live", "int8", "whether a reward can still follow in the episode, as far as the environment declares it"),
        ("follows", "int8", "whether a reward did follow in the episode"),
        ("found", "int8", "whether the rollout had any reward before"),
        ("held", "int32", "history tokens of the uncompressed context"),
    ):
        yield _grows(f"decision/{name}", dtype, dims, *axes, long_name=what)
    output, beside = dims.output, "uncompressed, "
    yield _grows(output.array, "float32", dims, *axes, output.head_axis(dims.actions), **output.head_attributes(beside))


def _rollouts(dims: ScreenDims) -> Iterator[ArraySpec]:
    """Yield what is known of the rollouts."""
    rollout: Axis = ("rollout", dims.rollouts)
    live = "live decisions of an episode, mean over whole episodes"
    yield _grows("rollout/live_each", "float32", dims, rollout, long_name=live)
    yield _grows("rollout/episodes", "int32", dims, rollout)
    yield _grows("rollout/earned", "int8", dims, rollout, long_name="whether any step was rewarded")
    late = "return of an episode, mean over the last third of the whole ones"
    yield _grows("rollout/late_return", "float32", dims, rollout, long_name=late)
    part: Axis = ("part", len(PARTS))
    what = "processor time of a rollout's uncompressed pass, deployable arms, oracles, and parts by age"
    yield _grows("cost/seconds", "float32", dims, rollout, part, units="s", long_name=what)
    for name, dtype in (("env", "int32"), ("task", "int32"), ("seed", "int64"), ("replica", "int32")):
        yield array_spec(f"rollout/{name}", dtype, (rollout,))
    splits: dict[str, Any] = {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    yield array_spec("rollout/split", "int8", (rollout,), **splits)


def _ages(dims: ScreenDims) -> Iterator[ArraySpec]:
    """Yield what every decision does without one part of its history."""
    if not dims.bands:
        return
    axes: tuple[Axis, ...] = (("rollout", dims.rollouts), ("band", dims.bands), ("decision", dims.decisions))
    yield _grows("ages/departure", "float32", dims, *axes, units="1", long_name="departure without a band of ages")
    one = "departure without one transition of a band, drawn by chance"
    yield _grows("ages/single", "float32", dims, *axes, units="1", long_name=one)
    yield _grows("ages/width", "int32", dims, *axes, units="transitions", long_name="of a band in the window")
    if dims.rows:
        yield _grows("ages/attention", "float32", dims, *axes, units="1", long_name="attention to a band of ages")
    back: tuple[Axis, ...] = (("rollout", dims.rollouts), ("episode", dims.episodes), ("decision", dims.decisions))
    gone = "departure without an episode, the decision's own first"
    yield _grows("episodes/departure", "float32", dims, *back, units="1", long_name=gone)


def _grows(name: str, dtype: str, dims: ScreenDims, *axes: Axis, **attributes: object) -> ArraySpec:
    return array_spec(name, dtype, axes, growth="step", chunk=(dims.block,), **attributes)
