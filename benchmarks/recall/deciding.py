"""Decisions about the policies, each by a service of its own, with the commands that a user types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.recall.subjects import Subject
from benchmarks.service import KEY, served

ASKED: Final = {"default": (), "named": ("--budget", "40", "--budget", "25", "--budget", "14")}
"""Options of a decision: none, or budgets of which the last holds less than the needed memory."""


def card_name(subject: Subject, asked: str, seed: int) -> str:
    """Return the name of a published card."""
    return f"card-{subject.key}-{asked}-seed{seed}.json"


def decide(runs: Path, subject: Subject, seed: int, asked: str) -> Path:
    """Decide about a training seed's policy and return the decision's card.

    Parameters
    ----------
    runs
        Folder of the runs; a decision that has its card there is not made again.
    subject, seed
        Recipe and training seed.
    asked
        Options, by their name in `ASKED`. Each has a service of its own, so that none counts another as an earlier one.
    """
    work, checkpoint = subject.runs(runs) / "decisions", subject.folder(runs, seed)
    root, out = work / f"{asked}-seed{seed}", work / f"card-{asked}-seed{seed}"
    card = out / "decision_card.json"
    if card.exists():
        return card
    root.mkdir(parents=True, exist_ok=True)
    server = [sys.executable, "-c", "from attnscope_server.cli import main; main()"]
    add = [*server, "checkpoint", "add", str(checkpoint), "--data-root", str(root / "service")]
    subprocess.run(add, check=True)
    name = f"{checkpoint.parent.name}@{checkpoint.name.removeprefix('step-')}"
    with served(root) as url:
        client = [sys.executable, "-c", "from attnscope.cli import main; main()"]
        said = {**os.environ, "ATTNSCOPE_URL": url, "ATTNSCOPE_API_KEY": KEY}
        subprocess.run([*client, "decide", name, *ASKED[asked], "--out", str(out)], check=True, env=said)
    return card
