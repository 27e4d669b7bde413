"""Files of returns of another program: an array [env, episode] as .npy, .npz or .csv, read without executing it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64

from attnscope.foreign.files import kind_of, read_arrays
from attnscope.foreign.refusals import ForeignFileError
from attnscope.trials.outside import OutsideArm, outside_arm
from attnscope.trials.results import TrialResults

WANTED_RETURNS: Final = (
    "wanted: returns [env, episode], a number each: an .npy file, an .npz with an array named returns, or a .csv with "
    "a line an environment, numbers apart by commas, no heading"
)

MOST_BYTES: Final = 2**26
"""Bytes of a .csv, at most."""

AXES: Final = 2


def read_returns(path: Path) -> Float64[np.ndarray, "env episode"]:
    """Return the returns that a file holds.

    Raises
    ------
    ForeignFileError
        It holds something else, or a number that is not finite.
    """
    if path.suffix.lower() == ".csv":
        found = _csv(path)
    else:
        kind = kind_of(path)
        if kind not in ("npy", "npz"):
            raise ForeignFileError(f"{path.name} is no file of returns; {WANTED_RETURNS}")
        arrays = read_arrays(path, kind)
        name = "rows" if kind == "npy" else "returns"
        if name not in arrays:
            raise ForeignFileError(f"{path.name} holds {', '.join(arrays) or 'nothing'}; {WANTED_RETURNS}")
        found = np.asarray(arrays[name])
    if found.ndim != AXES or not found.size or found.dtype.kind not in "fiu":
        raise ForeignFileError(f"{path.name} holds {found.dtype} of shape {found.shape}; {WANTED_RETURNS}")
    values = np.asarray(found, np.float64)
    if not np.isfinite(values).all():
        env, episode = np.argwhere(~np.isfinite(values))[0]
        raise ForeignFileError(f"{path.name}: the return of environment {env} in episode {episode} is not finite")
    return values


def _csv(path: Path) -> Float64[np.ndarray, "env episode"]:
    if not path.is_file():
        raise ForeignFileError(f"there is no file at {path}")
    if path.stat().st_size > MOST_BYTES:
        raise ForeignFileError(f"{path.name} is larger than {MOST_BYTES >> 20} MiB; {WANTED_RETURNS}")
    try:
        with warnings.catch_warnings():  # an empty file is refused by its shape
            warnings.simplefilter("ignore", UserWarning)
            return np.loadtxt(path, np.float64, delimiter=",", ndmin=2, encoding="utf-8")
    except ValueError as error:  # a heading, a ragged line, bytes that are no text
        raise ForeignFileError(f"{path.name} is no table of numbers ({error}); {WANTED_RETURNS}") from error


def outside_arms(results: TrialResults, files: Mapping[str, Path]) -> tuple[OutsideArm, ...]:
    """Return the arms whose returns stand in files, by their names.

    Raises
    ------
    ForeignFileError
        A file holds no returns.
    NotMeasurableError
        Its returns are not those of the trial's tasks and episodes.
    """
    return tuple(outside_arm(results, name, read_returns(path)) for name, path in files.items())
