"""Shapes in signatures are checked while tests run: in every package a wrong one fails."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from jaxtyping import Float, TypeCheckError

from signatures import checked, described, holds_arrays, sparing

WRONG = {
    "attnscope.recommendations.attention.evaluation:split_rollouts": (np.zeros((2, 2), np.int64),),
    "attnscope_server.training.reporting:interval": (np.zeros((2, 3)), 0),
    "attnscope_model.acting.sampling:choose_actions": (torch.zeros(2, 5), np.zeros(3), 1.0),
    "attnscope_env.rooms.noise:uniforms": (np.zeros(2, np.uint64), np.zeros(3, np.int64)),
    "attnscope_storage.kinds.capture.agreement:disagreements": (
        np.zeros((2, 1, 1, 1, 4), np.float16), np.zeros((2, 3), np.int32), {}, np.zeros(1, np.int32), "last",
    ),
}  # fmt: skip
"""A function of each package, and arrays that its signature does not take: an axis too many, or two lengths of one."""


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_array_fails_in_every_package(name):
    """The call is refused before the function runs, by the checker that pyproject.toml asks for."""
    module, _, function = name.partition(":")
    with pytest.raises(TypeCheckError, match="Type-check error whilst checking the parameters"):
        getattr(importlib.import_module(module), function)(*WRONG[name])


def test_arrays_are_found_wherever_they_stand():
    """Inside an option, a mapping or a tuple an array is checked; what holds none is left to mypy."""
    array = Float[np.ndarray, "row column"]
    assert all(map(holds_arrays, (array, array | None, dict[str, array], tuple[int, tuple[array, ...]], "Made[int]")))
    assert not any(map(holds_arrays, (int, str | None, dict[str, int], np.ndarray, "Made")))


def test_a_result_is_held_to_its_shape():
    """A function's result is checked like its arguments; other annotations are not."""

    def made(size: int) -> tuple[Float[np.ndarray, " row"], str]:
        return np.zeros(size), "text"

    assert checked(made)(2)[1] == "text"
    with pytest.raises(Exception, match="violates type hint"):
        checked(made)((2, 2))


def test_functions_without_arrays_are_left_as_they_are():
    """They cost nothing while tests run; a dataclass with an array is checked when it is made, one without is not."""

    def count(size: int, *names: str) -> list[str]:
        return list(names[:size])

    def total(row: Float[np.ndarray, " row"]) -> float:
        return float(row.sum())

    @sparing(typechecker=checked)
    @dataclass(frozen=True)
    class Row:
        values: Float[np.ndarray, " row"]

    assert sparing(count, typechecker=checked) is count
    for takes in (sparing(total, typechecker=checked), Row):
        takes(np.zeros(3))
        with pytest.raises(TypeCheckError):
            takes(np.zeros((3, 1)))


def test_shapes_that_passed_stand_for_themselves_alone():
    """After a call that passed, another length, dtype or result is still refused: in keywords and tuples too."""

    @sparing(typechecker=checked)
    def joined(
        rows: tuple[Float[np.ndarray, " row"], ...], by: Float[np.ndarray, " row"], *, drop: int = 0
    ) -> Float[np.ndarray, " row"]:
        return (rows[0] * by)[drop:]

    three = np.zeros(3)
    for _ in range(3):
        assert len(joined((three, three), by=three)) == 3
    for rows, by, drop in (
        ((np.zeros(2),), three, 0),
        ((three, three), np.zeros(1), 0),
        ((three, three), np.zeros(3, int), 0),
        ((three, three), three, 1),
        ((np.zeros(3, int),), three, 0),
    ):
        with pytest.raises(TypeCheckError):
            joined(rows, by=by, drop=drop)


def test_what_is_not_seen_is_checked_every_time():
    """A length that the value of an argument names, a long list, and arrays of unknown containers."""

    @sparing(typechecker=checked)
    def made(size: int, filled: int) -> Float[np.ndarray, " {size}"]:
        return np.zeros(filled or size)

    @sparing(typechecker=checked)
    def first(*rows: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
        return rows[0]

    for takes, right, wrong in (
        (made, (3, 3), (3, 2)),
        (first, (np.zeros(2), np.zeros(2)), (np.zeros(2), np.zeros(3))),
    ):
        takes(*right)
        takes(*right)
        with pytest.raises(TypeCheckError):
            takes(*wrong)
    assert described([1] * 17) is None
    assert described({1: {2}}) is None
    assert described(np.zeros((2, 3))) == (np.ndarray, (2, 3), np.dtype(float))
