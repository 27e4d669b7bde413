"""The selections that an array's brackets take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnscope_storage.errors import NotCommittedError
from attnscope_storage.layout.keys import StoredArray
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.reading.selection import resolve

LOGITS = StoredArray("policy/logits", "float32", ("step", "env", "action"), (8, 3, 5), (4, 3, 5), {})


@st.composite
def selections(draw, shape):
    """Draw an integer, a slice or a list for each of some first axes."""
    items = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        position = st.integers(-size, size - 1)
        end = st.none() | st.integers(-size, size)
        cut = st.builds(slice, end, end, st.none() | st.integers(1, 3))
        items.append(
            draw(position | cut | st.lists(position, max_size=4) | st.lists(position, min_size=1).map(np.array))
        )
    return tuple(items)


@given(st.data())
def test_it_reads_what_numpy_reads(pristine, expected, data):
    """Integers drop an axis, slices cut it, lists pick from it: each axis on its own, as NumPy does one by one."""
    values = expected["policy/logits"]
    selection = data.draw(selections(values.shape))
    wanted = values
    for axis in reversed(range(len(selection))):
        item = selection[axis]
        wanted = wanted[(slice(None),) * axis + (np.array(item, int) if isinstance(item, list) else item,)]
    read = CaptureReader.open(pristine).array("policy/logits")[selection]
    assert isinstance(read, np.ndarray)
    assert read.shape == wanted.shape
    assert read.tobytes() == wanted.tobytes()


def test_ellipsis_stands_for_the_axes_left_out(pristine, expected):
    """`...` may be first, last, in the middle or alone."""
    array, values = CaptureReader.open(pristine).array("policy/logits"), expected["policy/logits"]
    for selection in ((..., 1), (2, ...), (2, ..., 1), ..., (), (1, 2, 3, ...)):
        assert np.array_equal(array[selection], values[selection])


@pytest.mark.parametrize("item", [8, -9, 10**12, slice(0, 9), slice(9, None), [0, 8], np.array([-9])])
def test_beyond_the_commit_is_refused_on_a_growing_axis(item):
    """A read that reaches past the committed steps is refused, not cut short."""
    with pytest.raises(NotCommittedError, match="8 committed"):
        resolve(item, LOGITS)


@pytest.mark.parametrize("item", [3, -4, [0, 3]])
def test_beyond_another_axis_is_an_index_error(item):
    """Environments do not grow, so there one is simply out of bounds."""
    with pytest.raises(IndexError, match="axis env"):
        resolve((0, item), LOGITS)


def test_a_slice_of_another_axis_is_cut_as_numpy_cuts_it():
    """Only growing axes refuse a slice that is too long."""
    assert resolve((slice(None), slice(1, 99)), LOGITS)[1] == slice(1, 3, 1)
    assert resolve((slice(5, 2),), LOGITS)[0] == slice(5, 5, 1)


@pytest.mark.parametrize(
    ("item", "error"),
    [
        (None, TypeError),
        (True, TypeError),
        ("0", TypeError),
        (1.0, TypeError),
        ([True, False], TypeError),
        ([1.5], TypeError),
        ([[0]], TypeError),
        (np.zeros(8, bool), TypeError),
        (slice(None, None, -1), ValueError),
        (slice(None, None, 0), ValueError),
        ((0, 0, 0, 0), IndexError),
        ((..., 0, ...), IndexError),
    ],
)
def test_what_is_refused(item, error):
    """Masks, new axes, backward slices and too many axes are refused with what was expected."""
    with pytest.raises(error):
        resolve(item, LOGITS)
