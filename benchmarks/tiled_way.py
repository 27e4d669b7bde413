"""Tiled serving the same rows over the same link, from its registry in an environment that is thrown away."""

from __future__ import annotations

import json
import subprocess
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnscope_storage.reading.reader import CaptureReader
from benchmarks.link import slow_link
from benchmarks.timing import spread

AXES = ("step", "row_env", "layer", "head", "slot")
INSTALL_SECONDS, ASK_SECONDS, QUESTIONS = 300, 120, 8
PEER = Path(__file__).with_name("tiled_peer.py")


def measure(capture: Path, views: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Return milliseconds of each view; one entry ``not measured`` says why where it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            python = _installed(Path(folder))
            np.save(Path(folder) / "rows.npy", CaptureReader.open(capture).array("attention/rows")[:])
            taken = _asked(python, Path(folder), views)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            return {"not measured": f"Tiled could not be had: {type(error).__name__}"}
    return {name: {"ms": spread(times)} for name, times in taken.items()}


def _installed(folder: Path) -> Path:
    """Install Tiled; return its Python."""
    venv.create(folder / "tiled", with_pip=True)
    python = folder / "tiled" / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "tiled[server,client]==0.2.*", "numpy"]
    subprocess.run(command, check=True, timeout=INSTALL_SECONDS, stderr=subprocess.DEVNULL)
    return python


def _asked(python: Path, folder: Path, views: Mapping[str, Mapping[str, int]]) -> dict[str, list[float]]:
    server = subprocess.Popen(
        [python, PEER, "serve", folder / "rows.npy"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    try:
        said = server.stdout.readline() if server.stdout else ""
        with slow_link(int(said)) as port:
            cuts = json.dumps({name: [view.get(axis) for axis in AXES] for name, view in views.items()})
            command = [python, PEER, "ask", f"http://127.0.0.1:{port}/api/v1", cuts, str(QUESTIONS)]
            answer = subprocess.run(
                command,
                check=True,
                timeout=ASK_SECONDS,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
            taken: dict[str, list[float]] = json.loads(answer.stdout.splitlines()[-1])
            return taken
    finally:
        server.terminate()
        server.wait()
        if server.stdout:
            server.stdout.close()
