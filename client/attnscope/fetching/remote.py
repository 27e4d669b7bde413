"""Views of a capture of a service, over its slice route."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from tokenize import TokenError
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attnscope.connecting.repeated import refuse_another
from attnscope.connecting.responses import Response
from attnscope.connecting.transport import Transport
from attnscope.errors import TooLargeError, UnexpectedAnswerError
from attnscope.fetching.selection import Pick, Selection
from attnscope_storage.wire.echo import ARRAY_HEADER, JOB_HEADER, SELECTION_HEADER, echo_of

SLICE_BYTES = 2**30
"""Bytes of one slice, at most, whatever its shape is said to be."""

NPY_HEADER_BYTES = 4096
"""Room for the header of NumPy's format."""


KEPT = ("context/", "rollout/", "stats/window")
"""Arrays whose selections are kept once fetched: what is committed never changes, and each measure reads them anew."""

KEPT_BYTES, KEPT_COUNT = 4 * 2**20, 16
"""Bytes of a selection that is kept, and selections, at most."""


class Slicer:
    """Views of a remote capture: one request, and no more bytes than were asked for."""

    def __init__(self, transport: Transport, job: str) -> None:
        self._transport = transport
        self._job = job
        self._kept: dict[tuple[object, ...], Shaped[np.ndarray, ...]] = {}

    def fetch(
        self, name: str, dims: tuple[str, ...], selection: Selection, dtype: np.dtype[Any]
    ) -> Shaped[np.ndarray, ...]:
        """Return a selection.

        Raises
        ------
        UnexpectedAnswerError
            The answer is not the array that was asked for; nothing larger is ever allocated.
        """
        expected = math.prod(selection.shape) * dtype.itemsize
        if not name.startswith(KEPT) or expected > KEPT_BYTES:
            return self._asked(name, dims, selection, dtype, expected)
        key = (name, *selection.picks)
        if key not in self._kept:
            self._kept[key] = self._asked(name, dims, selection, dtype, expected)
            while len(self._kept) > KEPT_COUNT:
                self._kept.pop(next(iter(self._kept)))
        return self._kept[key].copy()

    def _asked(
        self, name: str, dims: tuple[str, ...], selection: Selection, dtype: np.dtype[Any], expected: int
    ) -> Shaped[np.ndarray, ...]:
        """Return a selection that the service is asked for."""
        parameters = [("array", name)]
        parameters += [(dim, spell(pick)) for dim, pick in zip(dims, selection.picks, strict=True)]
        path = f"/v1/captures/{self._job}/slice"
        try:
            answer = self._transport.request(
                "GET", path, parameters=parameters, limit=min(expected, SLICE_BYTES) + NPY_HEADER_BYTES
            )
        except TooLargeError:
            if max(selection.shape, default=1) <= 1:
                raise
            return self._in_halves(name, dims, selection, dtype)
        self._compare(answer, name, parameters)
        return _npy(answer.body, selection.shape, dtype, name)

    def __reduce__(self) -> tuple[type[Slicer], tuple[Transport, str]]:
        """Pickle nothing that was fetched."""
        return type(self), (self._transport, self._job)

    def _compare(self, answer: Response, name: str, parameters: Sequence[tuple[str, str]]) -> None:
        """Refuse the answer to another question."""
        asked = {JOB_HEADER: self._job, ARRAY_HEADER: name, SELECTION_HEADER: echo_of(parameters)}
        refuse_another(answer, asked)

    def shaped(
        self,
        name: str,
        dims: tuple[str, ...],
        selection: Selection,
        asked: Mapping[str, str | int],
        expected: tuple[tuple[int, ...], np.dtype[Any]],
    ) -> Shaped[np.ndarray, ...]:
        """Return a selection in another shape or format: a reduction, a pooled map, bytes.

        Parameters
        ----------
        asked
            Parameters of the slice route beside the array and the selectors of its axes.
        expected
            Shape and dtype that the answer must have.

        Raises
        ------
        UnexpectedAnswerError
            The answer is not the array that was asked for.
        """
        shape, dtype = expected
        parameters = [("array", name), *((key, str(value)) for key, value in asked.items())]
        parameters += [(dim, spell(pick)) for dim, pick in zip(dims, selection.picks, strict=True)]
        path = f"/v1/captures/{self._job}/slice"
        size = math.prod(shape) * dtype.itemsize
        answer = self._transport.request(
            "GET", path, parameters=parameters, limit=min(size, SLICE_BYTES) + NPY_HEADER_BYTES
        )
        self._compare(answer, name, parameters)
        if asked.get("format") != "u8":
            return _npy(answer.body, shape, dtype, name)
        if len(answer.body) != size:
            raise UnexpectedAnswerError(f"asked for {size} bytes of {name}, got {len(answer.body)}")
        return np.frombuffer(answer.body, dtype).reshape(shape).copy()

    def _in_halves(
        self, name: str, dims: tuple[str, ...], selection: Selection, dtype: np.dtype[Any]
    ) -> Shaped[np.ndarray, ...]:
        """Return a selection that is past the service's cap, in two requests or more."""
        place, length = max(enumerate(selection.shape), key=lambda axis: axis[1])
        halves = selection.split(selection.kept_axes[place], -(-length // 2))
        return np.concatenate([self.fetch(name, dims, half, dtype) for _, half in halves], axis=place)


def _npy(content: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Shaped[np.ndarray, ...]:
    """Return an array in NumPy's format; its header is compared with what was asked before anything is allocated."""
    file = io.BytesIO(content)
    try:
        np.lib.format.read_magic(file)
        found, fortran, kind = np.lib.format.read_array_header_1_0(file, max_header_size=NPY_HEADER_BYTES)
    except (ValueError, SyntaxError, TokenError) as error:  # NumPy gives the header to Python's tokenizer
        raise UnexpectedAnswerError(f"the service's slice of {name} is no array: {error}") from error
    body = content[file.tell() :]
    if (found, kind) != (shape, dtype) or fortran or len(body) != math.prod(shape) * dtype.itemsize:
        raise UnexpectedAnswerError(f"asked for {dtype}{shape} of {name}, got {kind}{found} in {len(body)} bytes")
    return np.frombuffer(body, dtype).reshape(shape).copy()  # frombuffer is read-only


def spell(pick: Pick) -> str:
    """Return a pick as the slice route writes it."""
    if isinstance(pick, int):
        return str(pick)
    if isinstance(pick, range):
        return f"{pick.start}:{pick.stop}:{pick.step}"
    if len(pick) == 1:
        (only,) = pick
        return f"{only}:{only + 1}"  # a list of one keeps its axis
    return ",".join(map(str, pick))
