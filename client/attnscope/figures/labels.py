"""Places for names beside crowded points, so that no name covers another name or a point. Arithmetic, in points."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64

RADII = (0.0, 3.0, 7.0, 12.0, 17.0, 23.0)
"""Points from the edge of a mark to that of its name, the nearest first."""

DIRECTIONS = 16
"""Tried at each distance, from the upper right on."""

STATIONS = 12
"""Of the line from a mark to its name, that are looked at."""

PAD = 0.6
"""Points kept free around a name."""


def free_places(
    marks: Float[np.ndarray, "mark 2"],
    radius: Float[np.ndarray, " mark"],
    sizes: Float[np.ndarray, "mark 2"],
    area: Float[np.ndarray, " 4"],
    taken: Float[np.ndarray, "box 4"],
) -> Float64[np.ndarray, "mark 2"]:
    """Return the centre of each mark's name; NaN where none of the places tried is free.

    Neither a name nor the line from its mark to it covers another name, and no name covers a mark. Marks with the
    most room around them are named first.

    Parameters
    ----------
    radius
        Of each mark.
    sizes
        Width and height of each name.
    area
        Left, lower, right and upper bound of names.
    taken
        Boxes that names keep clear of, as `area`.
    """
    apart = np.hypot(*(marks[:, None] - marks[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    order = np.argsort(-apart.min(axis=1, initial=np.inf), kind="stable")
    names, lines = np.empty((2, 0, 4))
    spots = np.column_stack([marks - radius[:, None], marks + radius[:, None]])
    centres = np.full((len(marks), 2), np.nan)
    for mark in order:
        tried = _around(marks[mark], float(radius[mark]), sizes[mark])
        half = sizes[mark] / 2 + PAD
        boxes = np.column_stack([tried - half, tried + half])
        inside = (boxes[:, :2] >= area[:2]).all(axis=1) & (boxes[:, 2:] <= area[2:]).all(axis=1)
        along = marks[mark] + np.linspace(0, 1, 1 + STATIONS)[:, None, None] * (tried - marks[mark])
        path = np.concatenate([along, along], axis=-1)
        crossing = np.array([_covers(station, names) for station in path]).any(axis=0)
        (free,) = np.nonzero(inside & ~_covers(boxes, np.concatenate([names, lines, spots, taken])) & ~crossing)
        if len(free):
            centres[mark] = tried[free[0]]
            names = np.concatenate([names, boxes[free[:1]]])
            lines = np.concatenate([lines, path[:, free[0]]])
    return centres


def _covers(boxes: Float[np.ndarray, "box 4"], others: Float[np.ndarray, "other 4"]) -> Bool[np.ndarray, " box"]:
    """Return which boxes share a point with any of the others."""
    apart = (boxes[:, None, :2] > others[None, :, 2:]) | (boxes[:, None, 2:] < others[None, :, :2])
    shared: Bool[np.ndarray, "box other"] = ~np.asarray(apart.any(axis=2))
    return np.asarray(shared.any(axis=1))


def _around(
    mark: Float[np.ndarray, " 2"], radius: float, size: Float[np.ndarray, " 2"]
) -> Float64[np.ndarray, "place 2"]:
    """Return places for a name's centre around a mark, the nearest first."""
    angle = np.pi / 4 + 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    way = np.column_stack([np.cos(angle), np.sin(angle)])
    reach = np.asarray(RADII)[:, None, None] + radius + PAD
    places: Float64[np.ndarray, "place 2"] = (mark + way * (reach + size / 2)).reshape(-1, 2)
    return places
