"""Writes one store of every kind by the service of an older version; the stores beside this file came from 18f7e39.

Run it with the packages of a checkout of that version, the last that wrote the first layout of captures::

    git worktree add older 18f7e39
    PYTHONPATH=older/client:older/server:older/model:older/env:older/storage python make_stores.py FOLDER
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import attnscope
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings

CHECKPOINT = "AD-darkroom-seed42@1782"
TASKS = {"split": "test", "indices": [2, 7]}
RULES = [{"name": "recency"}, {"name": "random"}]


def main(folder: Path) -> None:
    """Capture, screen and try a shipped policy, and download the three stores."""
    with tempfile.TemporaryDirectory() as root:
        where = Settings(data_root=Path(root) / "data", port=0, announce=False, threads=1, durable=False)
        with serve_background(where) as running, attnscope.connect(running.url, running.key) as service:
            asked = {"checkpoint": CHECKPOINT, "tasks": TASKS}
            capture = service.submit(**asked, steps=40, maps={"steps": [19]}).wait()
            looked = {"strategies": [{"name": "none"}, *RULES, {"name": "tova"}], "budgets": [0.5], "decisions": 16}
            screen = service.submit(kind="screen", capture=capture.id, ages=True, **looked).wait()
            tried = {"strategies": RULES, "budgets": [0.5], "episodes": 4, "speed": {"enabled": False}}
            trial = service.submit(kind="trial", **asked, **tried).wait()
            capture.capture().download(folder / "capture-first-layout")
            screen.screen().download(folder / "screen-first-layout")
            trial.trial().download(folder / "trial-first-layout")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
