"""From a checkpoint to a page on one machine: a service of its own, the checkpoint in it, a short capture."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attnscope.errors import CheckpointRefusedError
from attnscope.job import JobHandle
from attnscope.own_service import own_service, server_program
from attnscope.service import Service
from attnscope_storage.wire import CaptureSpec

NAME: Final = "look"
"""Name under which the file is registered in the service of its own."""


def register(source: Path, root: Path, options: list[str]) -> None:
    """Register a checkpoint under a data root, as ``attnscope-server checkpoint add`` does.

    Parameters
    ----------
    source
        A file or the folder of a run.
    root
        Data root of a service that does not run yet.
    options
        Further options of that command, such as ``--causal``.

    Raises
    ------
    CheckpointRefusedError
        The file cannot be read, or leaves something open that the command must say.
    """
    command = [server_program(), "checkpoint", "add", *options, "--name", NAME, "--data-root", str(root)]
    command += ["--", str(source)]  # whose name may begin like an option
    done = subprocess.run(  # noqa: S603 - our own program, its arguments from here
        command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise CheckpointRefusedError(
            (said or ["attnscope-server checkpoint add said nothing"])[-1].removeprefix("error: ")
        )


def commands_for(source: Path, options: list[str]) -> list[tuple[str, str]]:
    """Return the commands that lead from a file to an answer, which this service cannot give: it ends with the page.

    Parameters
    ----------
    source
        A file or the folder of a run, as the user named it.
    options
        Of ``attnscope-server checkpoint add``.
    """
    add = ["attnscope-server", "checkpoint", "add", *options, "--name", "mine", "--", str(source)]
    return [
        ("Keep the checkpoint in a service of your own", shlex.join(add)),
        ("Then ask for an answer by rollouts", "attnscope decide mine"),
    ]


@contextmanager
def captured(source: str, spec: CaptureSpec, root: Path, options: list[str]) -> Iterator[tuple[Service, JobHandle]]:
    """Give a service of its own with a running capture of a checkpoint.

    Parameters
    ----------
    source
        A file, the folder of a run, or the name of a shipped checkpoint.
    spec
        What is captured; its checkpoint is replaced.
    root
        A data root that no service uses.
    options
        Of ``attnscope-server checkpoint add``, where `source` is a file or a folder.
    """
    path = Path(source)
    if path.exists():
        register(path, root, options)
    elif options:
        raise CheckpointRefusedError(f"{source}: there is no such file; a shipped checkpoint says its mask itself")
    chosen = spec.model_copy(update={"checkpoint": NAME if path.exists() else source})
    with own_service(root) as service:
        yield service, service.submit(chosen)
