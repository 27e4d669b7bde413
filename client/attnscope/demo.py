"""The main job on this machine, with nothing set up: service, job, slices, heatmaps, summary."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnscope.connection import Connection
from attnscope.errors import ConnectionFailedError
from attnscope.figures.heatmap import heatmap, save
from attnscope.service import Service
from attnscope.summary import summarise
from attnscope.transport import Transport
from attnscope_storage.wire import CaptureSpec, TaskChoice

EPISODES = 20
"""Episodes of the demo; 8 held-out goals take part."""


@contextmanager
def own_service(root: Path) -> Iterator[Service]:
    """Run `attnscope-server` as a subprocess on a free loopback port, and connect to it.

    Raises
    ------
    ConnectionFailedError
        The server is not installed, or did not start.
    """
    program = shutil.which("attnscope-server") or str(Path(sys.executable).with_name("attnscope-server"))
    if not Path(program).exists():
        raise ConnectionFailedError("the demo needs the server too: pip install 'attnscope[server]'")
    environment = {**os.environ, "ATTNSCOPE_SERVER_API_KEY": os.urandom(24).hex()}
    command = [program, "serve", "--data-root", str(root), "--port", "0", "--no-announce"]
    with (root / "service.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)  # noqa: S603
    try:
        said = process.stdout.readline() if process.stdout else ""
        if not said.startswith("listening on "):
            raise ConnectionFailedError(f"the service did not start:\n{(root / 'service.log').read_text()[-2000:]}")
        url = said.removeprefix("listening on ").strip()
        with Service(Transport(Connection(url, environment["ATTNSCOPE_SERVER_API_KEY"], "the demo"))) as service:
            yield service
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def run(out: Path) -> list[Path]:
    """Capture the shipped policy on 8 held-out goals; return the files written."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="attnscope-demo-") as folder, own_service(Path(folder)) as service:
        checkpoint = service.checkpoints()[0]
        spec = CaptureSpec(checkpoint=checkpoint.id, tasks=TaskChoice(split="test"), episodes=EPISODES, label="demo")
        capture = service.submit(spec).wait(progress=True).capture()
        written = [
            save(heatmap(capture, step, env=capture.rows.shape[1] - 1), out / f"attention_heatmap_step{step}.png")
            for step in capture.map_steps()
        ]
        last = capture.map_steps()[-1]
        log = heatmap(capture, last, env=capture.rows.shape[1] - 1, log=True)
        written.append(save(log, out / f"attention_heatmap_step{last}_log.png"))
        summary = out / "summary.txt"
        summary.write_text(summarise(capture))
        written.append(summary)
    return written
