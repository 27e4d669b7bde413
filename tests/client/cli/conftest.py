"""The command line against a fake service, in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from attnscope.cli.main import main


@dataclass(frozen=True)
class Said:
    """The end of a command."""

    status: int
    out: str
    err: str


@pytest.fixture
def told(fake, tmp_path, monkeypatch):
    """Name the fake service in the environment, and work in an empty folder."""
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ATTNSCOPE_URL", fake.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture
def command(told, monkeypatch, capsys) -> Callable[..., Said]:
    """Return a function that runs the program in this process; an exception that it lets through fails the test."""
    del told

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["attnscope", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


PROGRAM = """
import sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module="attnscope")
from attnscope.cli import main
main()
"""


@pytest.fixture
def program(told) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Return a function that runs the program in a process where leaving out an encoding is an error."""
    del told

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-X", "warn_default_encoding", "-c", PROGRAM, *words]
        folders = os.pathsep.join(path for path in sys.path if path and Path(path).is_dir())
        return subprocess.run(
            command, capture_output=True, env={**os.environ, "PYTHONPATH": folders, **environment}, check=False
        )

    return run
