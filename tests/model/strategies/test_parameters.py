"""Parameters come over the wire: whatever they are, a strategy is made of them or a sentence says what they may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_model.strategies import (
    MAX_DEPTH,
    STRATEGIES,
    ParameterError,
    Strategy,
    StrategyError,
    UnknownStrategyError,
    build,
    describe,
    strategy,
)
from attnscope_model.strategies.parameters import parameters_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "inner", "rows", "x"]) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KNOWN = sorted({parameter.name for kind in STRATEGIES.values() for parameter in parameters_of(kind)})


@settings(max_examples=120)
@given(
    name=st.sampled_from(sorted(STRATEGIES)) | st.text(max_size=5),
    parameters=st.dictionaries(st.sampled_from([*KNOWN, "name"]), JSON, max_size=2),
)
def test_any_json_makes_a_strategy_or_a_sentence(name, parameters):
    """Nothing but a strategy or a strategy's error comes of what a request may hold."""
    made, refused = None, ""
    try:
        made = build(name, parameters)
    except StrategyError as error:
        refused = str(error)
    assert (made is None) == (0 < len(refused) < 600)
    assert made is None or build(name, made.parameters) == made


@pytest.mark.parametrize("kind", STRATEGIES.values(), ids=lambda kind: kind.name)
def test_every_parameter_is_described_and_held_to_its_range(kind: type[Strategy]):
    """Its edges are taken, what lies beyond them and what is of another type is refused by name and range."""
    for told in describe(kind).parameters:
        assert told.meaning.endswith(".")
        if told.type == "boolean":
            wrong = [0, 1, "true", None]
        elif told.type == "strategy":
            wrong = ["recency", None, 3, {}]
        else:
            assert told.minimum is not None
            wrong = [told.minimum - 1, math.nan, math.inf, True, "4", None, [1]]
            wrong += [] if told.maximum is None else [told.maximum + 1, int(told.maximum) * 2 + 1]
            wrong += [told.minimum] if told.exclusive_minimum else []
            wrong += [4] if told.odd else []
            wrong += [1.5, 1.0] if told.type == "integer" else []
        for value in wrong:
            with pytest.raises(StrategyError, match=told.name if told.type != "strategy" else "strategy"):
                build(kind.name, {told.name: value})


def test_edges_are_taken_and_numbers_of_other_libraries_become_plain():
    """A range includes its ends; a whole number serves as a number; NumPy's scalars become Python's."""
    assert strategy("h2o", recent=1).parameters == {"recent": 1.0}
    assert strategy("sinks", sinks=np.int32(3)).spec == {"name": "sinks", "sinks": 3}
    assert isinstance(strategy("decay", rate=np.float32(0.5)).spec["rate"], float)
    assert strategy("snapkv", kernel=1, rows=1024).spec["kernel"] == 1
    with pytest.raises(ParameterError, match="kernel of snapkv is an odd whole number of at least 1 and at most 255"):
        strategy("snapkv", kernel=2)
    with pytest.raises(ParameterError, match=r"middle of hierarchical is fine \(5\) at least, got 3"):
        strategy("hierarchical", middle=3)


def test_wrapping_has_a_depth_and_needs_names():
    """Strategies wrap each other so deep and no deeper; an inner one without a known name is refused."""

    def wrapped(depth: int) -> dict[str, object]:
        spec: dict[str, object] = {"name": "recency"}
        for _ in range(depth - 1):
            spec = {"name": "anchored", "inner": spec}
        return spec

    assert strategy(**wrapped(MAX_DEPTH)).spec["inner"]["name"] == "anchored"
    with pytest.raises(ParameterError, match=f"{MAX_DEPTH} deep at most"):
        strategy(**wrapped(MAX_DEPTH + 1))
    with pytest.raises(ParameterError, match="deep at most"):
        strategy(**wrapped(300))
    with pytest.raises(UnknownStrategyError, match="there is no strategy None"):
        strategy("anchored", inner={"sinks": 3})
    with pytest.raises(UnknownStrategyError, match=r"takes .*, not 'name'"):
        build("recency", {"name": "tova"})
    assert build("anchored", {"inner": {"name": "tova"}}) == strategy("anchored", inner=strategy("tova"))


def test_what_is_wrapped_heeds_the_budget():
    """Anchors around the rule that keeps everything would keep everything at any budget; it is refused by name."""
    with pytest.raises(ParameterError, match="none"):
        strategy("anchored", inner={"name": "none"})
