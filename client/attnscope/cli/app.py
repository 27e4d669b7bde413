"""What every verb of ``attnscope`` shares: the application, the console, options that several verbs have.

A group of verbs is a module beside this one that registers them on `app`; `attnscope.cli.main` imports them all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import attnscope

HELP = """The commands of ``attnscope``.

Exit status: 0 done; 1 an error with its reason; 2 wrong usage; 3 the job failed; 4 the job was cancelled; 5 the service
cannot be reached; 6 the key is missing or may not; 7 no such job, capture or map.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False)
out = Console(highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobName = Annotated[str, typer.Argument(help="Id, unique prefix of an id, or 'last'.")]
Source = Annotated[Path | None, typer.Option("--capture", help="A downloaded capture instead of a job.")]


def say(value: Any) -> None:  # noqa: ANN401 - anything JSON
    """Print JSON for programs."""
    typer.echo(json.dumps(value, indent=1))


def find_capture(job: str, source: Path | None) -> Any:  # noqa: ANN401 - a Capture, whose module loads zarr
    """Return a downloaded capture if one is named, else the job's."""
    return attnscope.connect().job(job).capture() if source is None else attnscope.open(source)


def find_trial(name: str) -> Any:  # noqa: ANN401 - a Trial, whose module loads zarr
    """Return a downloaded trial if the name is a folder, else the job's."""
    path = Path(name)
    return attnscope.open_trial(path) if path.is_dir() else attnscope.connect().job(name).trial()
