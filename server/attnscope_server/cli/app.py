"""The operator's command line: ``attnscope-server``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from attnscope_server import logs, serving
from attnscope_server.cli import checkpoints, keys, machines, worker
from attnscope_server.following import verbs as following_verbs
from attnscope_server.records.database import UNANSWERED
from attnscope_server.root import verbs as root_verbs
from attnscope_server.root.verbs import Root, settings_of
from attnscope_server.training import verbs as training_verbs
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.terminal import take_any_terminal
from attnscope_storage.usage import WRONG_USAGE, UsageError, WordedGroup, message_of

app = typer.Typer(
    cls=WordedGroup,
    help="The attnscope service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # markup would take [ppo] for a style
)
app.add_typer(checkpoints.verbs, name="checkpoint")
app.add_typer(keys.verbs, name="key")
root_verbs.register(app)
machines.register(app)
worker.register(app)
training_verbs.register(app)
following_verbs.register(app)


@app.command()
def serve(
    data_root: Root = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    behind_proxy: Annotated[bool | None, typer.Option("--behind-proxy", help="A proxy in front ends TLS.")] = None,
    allowed_host: Annotated[list[str] | None, typer.Option(help="A host that requests may name; repeat.")] = None,
    announce: Annotated[bool | None, typer.Option(help="Let the local client find url and key.")] = None,
    threads: Annotated[int | None, typer.Option(help="Torch threads of a worker.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="A device; repeat for several. Default auto.")] = None,
    environments: Annotated[Path | None, typer.Option(help="JSON file of further listed environments.")] = None,
) -> None:
    """Run the service until it is told to stop."""
    devices = tuple(device) if device else None
    settings = settings_of(
        data_root,
        host=host,
        port=port,
        behind_proxy=behind_proxy,
        announce=announce,
        threads=threads,
        devices=devices,
        environments=None if environments is None else listed_in(environments),
        allowed_hosts=tuple(allowed_host) if allowed_host else None,
    )
    logs.configure(settings.log_format, settings.log_level)
    serving.run(settings)


def listed_in(path: Path) -> Any:  # noqa: ANN401 - checked by the settings
    """Return what a file lists of environments."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise typer.BadParameter(f"{path}: expected a JSON file: {reason}", param_hint="--environments") from error


def main() -> None:
    """Run the command line; an error that attnscope explains is one line, with status 2 for wrong usage, else 1."""
    os.umask(0o077)  # what this process and its workers write is readable by their owner alone
    take_any_terminal(sys.stdout, sys.stderr)
    try:
        raise SystemExit(app(prog_name="attnscope-server", standalone_mode=False) or 0)
    except UsageError as error:
        typer.echo(message_of(error), err=True)
        raise SystemExit(WRONG_USAGE) from error
    except typer.Abort:
        typer.echo("stopped", err=True)
        raise SystemExit(1) from None
    except AttnscopeError as error:
        typer.echo(f"error: {error.message}", err=True)
        raise SystemExit(1) from error
    except UNANSWERED as error:
        typer.echo(
            f"error: the job database did not answer ({error}); another program may hold it: try again", err=True
        )
        raise SystemExit(1) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        typer.echo(f"error: {where}{error.strerror or error}", err=True)
        raise SystemExit(1) from error
