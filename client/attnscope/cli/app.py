"""The parts that every verb of ``attnscope`` shares: the application, the console, options that several verbs have.

A group of verbs is a module beside this one that registers them on `app`; `attnscope.cli.main` imports them all.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import attnscope
from attnscope.cli.address import AddressedGroup, connect
from attnscope.cli.completion import job_names
from attnscope.cli.tables import Form, table_form
from attnscope.job import JobHandle

HELP = """The commands of ``attnscope``.

Exit status: 0 done; 1 an error with its reason; 2 wrong usage; 3 the job failed; 4 the job was cancelled; 5 the service
cannot be reached; 6 the key is missing or may not; 7 no such job, capture or map; 130 stopped by Ctrl-C.
"""

STOPPED = 130
"""Exit status after Ctrl-C."""

app = typer.Typer(
    cls=AddressedGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # markup would take [ppo] for a style, and boxes would break names over lines
)
out = Console(highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobName = Annotated[str, typer.Argument(help="Id, unique prefix of an id, or 'last'.", autocompletion=job_names)]
Source = Annotated[Path | None, typer.Option("--capture", help="A downloaded capture instead of a job.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"attnscope {attnscope.__version__}")
        raise typer.Exit


def _no_key(key: str | None) -> None:
    if key is not None:
        raise typer.BadParameter(
            "every user of this machine sees the arguments of a command: write the key into a file and name it with "
            "--key-file, or set ATTNSCOPE_API_KEY",
            param_hint="--key",
        )


@app.callback(help=HELP)
def _global(
    url: Annotated[str | None, typer.Option(help="Address of the service; default ATTNSCOPE_URL.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="File that holds the API key and nothing else.")] = None,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
    key: Annotated[str | None, typer.Option(hidden=True, callback=_no_key)] = None,  # noqa: ARG001 - always refused
    table: Annotated[
        Form | None,
        typer.Option(help="Print tables as latex (booktabs) or csv; what stands beside them goes to stderr."),
    ] = None,
) -> None:
    """Take the options of every verb; `attnscope.cli.address` notes them."""
    del url, key_file
    table_form.set(table)
    out.stderr = table is not None


def say(value: Any) -> None:  # noqa: ANN401 - anything JSON
    """Print JSON for programs."""
    tell(json.dumps(value, indent=1))


def tell(text: str) -> None:
    """Print a text as it is, with one newline at its end."""
    sys.stdout.write(text.removesuffix("\n") + "\n")


@contextmanager
def goes_on(job: JobHandle) -> Iterator[None]:
    """Say at Ctrl-C that the job goes on, and how to see and stop it."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(
            f"\njob {job.id} goes on in the service. See it: attnscope watch {job.id}. "
            f"Stop it: attnscope cancel {job.id}\n"
        )
        raise SystemExit(STOPPED) from None


def find_capture(job: str, source: Path | None) -> Any:  # noqa: ANN401 - a Capture, whose module loads zarr
    """Return a downloaded capture if one is named, else the job's."""
    return connect().job(job).capture() if source is None else attnscope.open(source)


def find_trial(name: str) -> Any:  # noqa: ANN401 - a Trial, whose module loads zarr
    """Return a downloaded trial if the name is a folder, else the job's."""
    path = Path(name)
    return attnscope.open_trial(path) if path.is_dir() else connect().job(name).trial()
