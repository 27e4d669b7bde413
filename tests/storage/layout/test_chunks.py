"""Chunks to bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numcodecs.zstd import Zstd

from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.layout.chunks import chunk_key, decode_chunk, encode_chunk, grid_of, indices

VALUES = np.arange(96, dtype=np.float16).reshape(4, 1, 24)


@given(arrays.arrays(st.sampled_from(["<f2", "<f4", "<i4", "|i1", ">f4"]), arrays.array_shapes(max_dims=4, max_side=6)))
def test_a_chunk_comes_back_bit_for_bit(values):
    """Any dtype of the schema, in either byte order, decodes to the same numbers."""
    decoded = decode_chunk(encode_chunk(values), values.dtype.name, values.shape)
    assert decoded.tobytes() == values.astype(values.dtype.newbyteorder("<")).tobytes()
    assert decoded.shape == values.shape


@pytest.mark.parametrize("step", [1, 2])
def test_a_cut_of_a_block_is_encoded_as_its_own_values(step):
    """A strided view is stored in C order."""
    cut = np.arange(48, dtype=np.int32).reshape(4, 12)[:, ::step]
    assert np.array_equal(decode_chunk(encode_chunk(cut), "int32", cut.shape), cut)


@given(st.integers(min_value=0), st.integers(0, 7))
def test_a_flipped_bit_never_decodes_to_another_number(place, bit):
    """Wherever a bit flips, the chunk is refused or unharmed."""
    stored = bytearray(encode_chunk(VALUES))
    stored[place % len(stored)] ^= 1 << bit
    try:
        decoded = decode_chunk(bytes(stored), "float16", VALUES.shape)
    except ChunkDamagedError:
        return
    assert np.array_equal(decoded, VALUES)


def test_a_truncated_chunk_is_damaged():
    """Every proper prefix of a chunk is refused, the empty one too."""
    stored = encode_chunk(VALUES)
    for length in range(len(stored)):
        with pytest.raises(ChunkDamagedError):
            decode_chunk(stored[:length], "float16", VALUES.shape)


@pytest.mark.parametrize("size", [0, 191, 193, 1 << 20])
def test_a_chunk_of_another_size_is_damaged(size):
    """A good frame of too few or too many bytes is refused, without unpacking what does not belong there."""
    with pytest.raises(ChunkDamagedError, match="expected a zstd frame of 192 bytes"):
        decode_chunk(Zstd(level=1).encode(bytes(size)), "float16", VALUES.shape)


def test_a_frame_that_lies_about_its_size_is_damaged():
    """A header that claims the right size over other content is refused by the decoder."""
    stored, other = encode_chunk(VALUES), encode_chunk(np.zeros(4, np.float16))
    with pytest.raises(ChunkDamagedError):
        decode_chunk(stored[:7] + other[6:], "float16", VALUES.shape)


@pytest.mark.parametrize("size", [1, 255, 256, 300, 65791, 65792, 100_000])
def test_frames_of_every_header_form_are_read(size):
    """The size field has one, two or four bytes; each is understood."""
    values = np.arange(size, dtype=np.int64).astype(np.int8)
    assert np.array_equal(decode_chunk(encode_chunk(values), "int8", values.shape), values)


def test_keys_and_grids():
    """Keys use the separator that keeps an array in one folder; grids count partial chunks."""
    assert chunk_key("attention/rows", (3, 0, 0)) == "attention/rows/c.3.0.0"
    assert grid_of((9, 4, 0), (4, 4, 1)) == (3, 1, 0)
    assert list(indices((2, 1))) == [(0, 0), (1, 0)]
    assert list(indices((2, 0))) == []
