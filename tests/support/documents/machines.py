"""Machines that a page's blocks run on: an environment, a home, a folder of work and a fresh data root each.

Blocks of a machine run in order. Shell variables and the working folder last from one block to the next, Python names
from one Python block to the next. A service that a block starts runs until its page ends.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from attnscope_server.settings import DEFAULT_PORT
from documents.blocks import Block
from documents.installed import BUILDING, expose, make_environment, needed_by

LONGEST = 1800.0
"""Seconds until a block is given up."""

SERVES = re.compile(r"^(attnscope-server serve|attnscope look|attnscope open)\b[^\n]*\Z", re.MULTILINE)
"""A block that ends with this is a terminal in which a service or a page goes on running."""

STANDS = ("listening on ", "Ctrl-C ends the page")
"""Beginnings of the line by which a service, or a page, says that it stands."""

PLACEHOLDER_KEY = "ats_…"
"""Stands in the pages for the key that ``key create`` printed."""

PRINTED_KEY = re.compile(r"ats_[\w-]{20,}")


ENDED = "\0ended\n"
"""Printed behind a Python block that raised nothing."""

CELLS = """
import json, sys
names = {"__name__": "__main__"}
for line in sys.stdin:
    exec(compile(json.loads(line), "block", "exec"), names)
    print("\\0ended", flush=True)
"""
"""Runs Python blocks in one set of names, as a notebook does; the first that raises ends it."""


class BlockFailedError(AssertionError):
    """A block of a page failed."""


def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Shared:
    """The common parts of the machines of one page: the wheel, the tree, the network, the keys that were printed."""

    wheel: Path
    tree: Path
    """The tree."""
    building: Path
    """Packages that build the wheel; only pip sees them."""
    port: int = DEFAULT_PORT
    """Port of the service that started last, which the page calls 8642."""
    key: str = PLACEHOLDER_KEY

    def filled_in(self, text: str) -> str:
        """Return a block as its reader would type it: the key that was printed, the port of this page's service."""
        return text.replace(PLACEHOLDER_KEY, self.key).replace(":8642", f":{self.port}")


class Machine:
    """One machine of a page.

    Parameters
    ----------
    folder
        A folder of its own.
    extras
        Extras of the wheel whose distributions are there.
    shared
        What it shares with the page's other machines.
    clone
        Its folder of work is a clone of the tree, and the page installs from it; else the folder is empty and the
        wheel is installed.
    """

    def __init__(self, folder: Path, extras: tuple[str, ...], shared: Shared, *, clone: bool) -> None:
        self._folder, self._shared = folder, shared
        self.work = folder / "attnscope"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.work.mkdir()
        self._python = make_environment(folder / "venv", needed_by(shared.wheel, extras))
        self._session: subprocess.Popen[str] | None = None
        self._groups: list[subprocess.Popen[str]] = []
        (folder / "state").write_text(f"cd {shlex.quote(str(self.work))}\n")
        if clone:
            copy_tree(shared.tree, self.work)
        else:
            self._shell(f"python -m pip install --quiet --no-deps {shlex.quote(str(shared.wheel))}")

    def run(self, block: Block) -> str:
        """Run a block and return what it printed.

        Raises
        ------
        BlockFailedError
            It ended with another status than 0, or did not end.
        """
        text = self._shared.filled_in(block.text)
        if block.language == "python":
            printed = self._python_block(text)
        elif SERVES.search(text):
            before, _, command = text.rpartition("\n")
            printed = (self._shell(before) if before else "") + self._serve(command)
        else:
            printed = self._shell(text)
        if found := PRINTED_KEY.search(printed):
            self._shared.key = found.group()
        return printed

    def _environment(self, *, pip: bool) -> dict[str, str]:
        names = {
            "PATH": f"{self._python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.home),
            "MPLBACKEND": "agg",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads 0 as "no isolation"
            "PIP_CONSTRAINT": str(self._shared.tree / "constraints.txt"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "ATTNSCOPE_SERVER_PORT": str(self._shared.port),
            "ATTNSCOPE_SERVER_WORKER_NICE": "0",
            "ATTNSCOPE_SERVER_THREADS": "1",
        }
        return names | ({"PYTHONPATH": str(self._shared.building)} if pip else {})

    def _shell(self, text: str) -> str:
        state = shlex.quote(str(self._folder / "state"))
        kept = f'{{ export -p; echo cd $(printf %q "$PWD"); }} > {state}'
        script = f"source {state}\nset -eo pipefail\n{text}\nunset PYTHONPATH ATTNSCOPE_SERVER_PORT\n{kept}\n"
        return self._finish(["bash", "-c", script], text, pip="pip install" in text or "pip wheel" in text)

    def _python_block(self, text: str) -> str:
        if self._session is None:
            script = f"source {shlex.quote(str(self._folder / 'state'))}\nexec python -W ignore -c {shlex.quote(CELLS)}"
            self._session = self._start(["bash", "-c", script], pip=False, stdin=subprocess.PIPE)
            self._groups.append(self._session)
        session = self._session
        clock = Timer(LONGEST, os.killpg, (session.pid, signal.SIGKILL))
        clock.start()
        try:
            print(json.dumps(text), file=session.stdin, flush=True)
            printed = ""
            for line in session.stdout or ():
                if line == ENDED:
                    return printed
                printed += line
        finally:
            clock.cancel()
        raise BlockFailedError(f"the Python session ended at\n{text}\n\n{printed[-4000:]}")

    def _finish(self, command: list[str], text: str, *, pip: bool) -> str:
        process = self._start(command, pip=pip)
        clock = Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
        clock.start()
        try:
            printed, _ = process.communicate()
        finally:
            clock.cancel()
        if process.returncode != 0:
            raise BlockFailedError(f"status {process.returncode} of\n{text}\n\n{printed[-4000:]}")
        return printed

    def _serve(self, text: str) -> str:
        if text.startswith("attnscope-server"):
            self._shared.port = free_port()
        script = f"source {shlex.quote(str(self._folder / 'state'))}\nset -eo pipefail\n{text}\n"
        process = self._start(["bash", "-c", script], pip=False)
        self._groups.append(process)
        printed = ""
        for line in process.stdout or ():
            printed += line
            if line.startswith(STANDS):
                return printed
        raise BlockFailedError(f"what the block starts did not stand:\n{printed[-4000:]}")

    def _start(self, command: list[str], *, pip: bool, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=self._environment(pip=pip),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End what the blocks left running."""
        for process in self._groups:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()


def copy_tree(tree: Path, to: Path) -> None:
    """Copy what a clone of the tree holds, tests and pictures left out."""
    left_out = ("tests/", "docs/", "benchmarks/")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=tree, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith(left_out) and (tree / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / name, to / name)


def building_packages(folder: Path) -> Path:
    """Return a folder with the packages that build the wheel."""
    expose(folder, BUILDING)
    return folder
