"""The likeness of entries: by their keys where there are any, else by state and action."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int

from attnscope_model.strategies.arrays import Array, as_float, in_order, namespace, packed, put_back
from attnscope_model.strategies.errors import ViewIncompleteError
from attnscope_model.strategies.view import ContextView

GRID = 2**16
"""Steps of likeness in 0 to 1: coarse beside the rounding of float32, in which it is computed."""


def redundant(view: ContextView) -> Float[Array, "*batch entry"]:
    """Return each entry's largest likeness to any newer one: the cosine of their keys, 0 at least.

    Without keys it is 1 where a newer entry has the same state and action, and 0 elsewhere.

    Raises
    ------
    ViewIncompleteError
        The view has neither keys nor states and actions.
    """
    if view.keys is None:
        return as_float(repeated(view))
    xp = namespace(view.held)
    unit = _unit(view.keys) * xp.astype(view.held, xp.float32)[..., None]
    newer = xp.triu(xp.matmul(unit, xp.matrix_transpose(unit)), k=1)  # the rest is 0, which is the least there is
    return _on_grid(xp.max(newer, axis=-1)) if view.held.shape[-1] else as_float(view.held)


def alike_to_previous(view: ContextView) -> Float[Array, "*batch entry"]:
    """Return each held entry's likeness to the held one before it, as in `redundant` but signed; 0 for the first.

    Raises
    ------
    ViewIncompleteError
        The view has neither keys nor states and actions.
    """
    xp = namespace(view.held)
    order = packed(view.held)
    if view.keys is None:
        move = in_order(moves(view), order)
        likeness = as_float(move[..., 1:] == move[..., :-1])
    else:
        unit = _unit(view.keys)
        if order is not None:
            unit = xp.take_along_axis(unit, xp.broadcast_to(order[..., None], unit.shape), axis=-2)
        likeness = _on_grid(xp.sum(unit[..., 1:, :] * unit[..., :-1, :], axis=-1))
    first = as_float(xp.zeros_like(view.held[..., :1]))
    likeness = put_back(xp.concat([first, likeness], axis=-1), order)
    return xp.where(view.held, likeness, xp.zeros_like(likeness))


def repeated(view: ContextView) -> Bool[Array, "*batch entry"]:
    """Return which held entries have the state and action of a newer held one.

    Raises
    ------
    ViewIncompleteError
        The view has no states or no actions.
    """
    xp = namespace(view.held)
    move = moves(view)
    move = xp.where(view.held, move, xp.full_like(move, -1))
    order = xp.argsort(move, axis=-1, stable=True)  # of equal moves the newest comes last
    sorted_ = in_order(move, order)
    last = xp.zeros_like(view.held[..., :1])
    again = xp.concat([sorted_[..., 1:] == sorted_[..., :-1], last], axis=-1)
    return view.held & put_back(again, order)


def moves(view: ContextView) -> Int[Array, "*batch entry"]:
    """Return a number from 0 for every different pair of state and action.

    Raises
    ------
    ViewIncompleteError
        The view has no states or no actions.
    """
    if view.state is None or view.action is None:
        raise ViewIncompleteError("telling repeated transitions apart needs keys, or states and actions")
    xp = namespace(view.held)
    state, action = (xp.astype(part, xp.int64) for part in (view.state, view.action))
    state, action = (part - _least(part) for part in (state, action))
    return state * (1 + _largest(action)) + action


def _least(number: Int[Array, "*shape"]) -> int:
    return int(namespace(number).min(number)) if 0 not in number.shape else 0


def _largest(number: Int[Array, "*shape"]) -> int:
    return int(namespace(number).max(number)) if 0 not in number.shape else 0


def _unit(keys: Float[Array, "*batch entry key"]) -> Float[Array, "*batch entry key"]:
    xp = namespace(keys)
    narrow = xp.astype(keys, xp.float32)
    size = xp.sqrt(xp.sum(narrow * narrow, axis=-1, keepdims=True))
    return narrow / xp.where(size > 0, size, xp.ones_like(size))


def _on_grid(likeness: Float[Array, "*batch entry"]) -> Float[Array, "*batch entry"]:
    """Return cosines on a grid, so that those equal but for rounding tie in every library."""
    return namespace(likeness).round(as_float(likeness) * GRID) / GRID
