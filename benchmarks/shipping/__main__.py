"""``python -m benchmarks.shipping``, or ``make train-shipped``: train, evaluate and write the shipped policies.

A recipe that was only tried is made by its key alone, and written beside its runs.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.shipping.making import ship
from benchmarks.shipping.recipes import SHIPMENTS, TRIED


def main(
    keys: Annotated[list[str] | None, typer.Argument(help="Recipes; all that are shipped where none is named.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    target: Annotated[Path | None, typer.Option(help="Where the folders go; the package's own by default.")] = None,
    images: Annotated[Path | None, typer.Option(help="Where the documentation's figures go.")] = None,
) -> None:
    """Train and write the shipped policies."""
    torch.set_num_threads(1)
    shipped = Path(str(files("attnscope_model") / "shipped"))
    for key in keys or SHIPMENTS:
        place = target or (runs / "tried" if key in TRIED else shipped)
        for folder in ship(key, runs, place, images):
            typer.echo(f"shipped {folder.name}")


if __name__ == "__main__":
    typer.run(main)
