"""The form in which a capture keeps each decision: as it was asked for, else by the weight of one step's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from attnscope_storage.wire import PolicyDescription, RowsChoice

LARGE_ROW_BYTES: Final = 32 * 1024
"""Bytes of one environment's float16 rows of one step, up to which all of them are kept by default."""

LARGE_MAP_BYTES: Final = 64 * 2**20
"""Bytes of one whole map of all heads, up to which maps are sampled by default; larger ones are replayed."""

Form = Literal["f16", "u8", "bins", "none"]

FORMS: Final[tuple[Form, ...]] = ("f16", "u8", "bins", "none")
"""Every form that rows may be asked for in."""

FEW: Final = 2
"""Environments whose float16 rows are kept beside bins, where nothing is said."""


@dataclass(frozen=True)
class Kept:
    """The parts of each decision that a capture keeps."""

    row_form: Literal["f16", "u8", "none"]
    row_envs: tuple[int, ...]
    """Env axis entries of the rows and of the maps."""
    bin_envs: tuple[int, ...] = ()
    curve: bool = False


def keep(
    asked: RowsChoice, envs: tuple[int, ...], exact: tuple[int, ...], cells: int, policy: PolicyDescription
) -> Kept:
    """Return what is kept.

    Parameters
    ----------
    asked
        The choice as it was sent.
    envs
        Env axis entries whose rows are kept in some form.
    exact
        Those whose float16 rows are kept beside bins; none where nothing was said.
    cells
        Layers × heads that are kept.
    """
    large = 2 * cells * policy.context_length > LARGE_ROW_BYTES
    chosen = asked.form is None and asked.enabled
    form = "none" if not asked.enabled else asked.form or ("bins" if large else "f16")
    curve = asked.curve if asked.curve is not None else chosen and large
    if form != "bins":
        return Kept(form, envs, curve=curve)
    whole = exact if asked.exact is not None or not chosen else envs[:FEW]
    return Kept("f16" if whole else "none", whole or envs, envs, curve)
