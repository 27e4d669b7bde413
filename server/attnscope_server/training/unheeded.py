"""Options of a training that nothing would heed: they are refused, as they would mislead who gave them."""

from __future__ import annotations

from typing import Final

import typer

PACKING: Final = ("latents", "window")
"""Options of a policy that packs its history."""

COMPRESSED: Final = ("under_positions", "under_interval")
"""Options of contexts that are compressed."""


def refuse_unheeded(context: typer.Context, *, packs: bool, compressed: bool) -> None:
    """Refuse options of a layout, or of a compression, that was not asked for.

    Parameters
    ----------
    context
        Says which options were given.
    packs
        True with ``--layout cad``.
    compressed
        True with ``--under``.

    Raises
    ------
    BadParameter
        One of them was given.
    """
    needed: dict[str, tuple[str, bool]] = {"decisions": ("--under or --layout cad", packs or compressed)}
    needed.update((name, ("--layout cad", packs)) for name in PACKING)
    needed.update((name, ("--under", compressed)) for name in COMPRESSED)
    for name, (option, asked) in needed.items():
        source = context.get_parameter_source(name)
        if not asked and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"heeded with {option} alone", param_hint=f"--{name.replace('_', '-')}")
