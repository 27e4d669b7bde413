"""How alike entries are: by their keys where there are any, else by state and action."""

from __future__ import annotations

from jaxtyping import Bool, Float

from attnscope_model.strategies.arrays import Array, as_float, namespace
from attnscope_model.strategies.errors import ViewIncompleteError
from attnscope_model.strategies.view import ContextView

GRID = 2**20
"""Steps of likeness in 0 to 1."""


def similarity(view: ContextView) -> Float[Array, "*batch one other"]:
    """Return the cosine between every two entries' keys, or 1 where state and action are the same and 0 elsewhere.

    Raises
    ------
    ViewIncompleteError
        The view has neither keys nor states and actions.
    """
    xp = namespace(view.held)
    if view.keys is not None:
        keys = as_float(view.keys)
        size = xp.sqrt(xp.sum(keys * keys, axis=-1, keepdims=True))
        unit = keys / xp.where(size > 0, size, xp.ones_like(size))
        # On a grid, so that cosines equal but for rounding tie in every library.
        return xp.round(xp.matmul(unit, xp.matrix_transpose(unit)) * GRID) / GRID
    return as_float(same_move(view))


def same_move(view: ContextView) -> Bool[Array, "*batch one other"]:
    """Return which entries have the same state and action.

    Raises
    ------
    ViewIncompleteError
        The view has no states or no actions.
    """
    if view.state is None or view.action is None:
        raise ViewIncompleteError("telling repeated transitions apart needs keys, or states and actions")
    alike = view.state[..., :, None] == view.state[..., None, :]
    return alike & (view.action[..., :, None] == view.action[..., None, :])
