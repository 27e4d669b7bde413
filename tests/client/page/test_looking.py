"""Registration of a checkpoint by ``attnscope look``."""

from __future__ import annotations

import subprocess
from pathlib import Path

from attnscope.page import looking


def test_a_file_whose_name_begins_like_an_option_is_a_file(monkeypatch, tmp_path):
    """It stands behind the mark that ends the options."""
    seen = []

    def run(command, **_):
        seen.extend(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(looking, "server_program", lambda: "attnscope-server")
    monkeypatch.setattr(looking.subprocess, "run", run)
    looking.register(Path("--shipped"), tmp_path, ["--causal"])
    assert seen[-2:] == ["--", "--shipped"]
    assert seen.index("--causal") < seen.index("--")
