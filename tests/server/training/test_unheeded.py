"""Options of a training that nothing would heed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from attnscope_server.cli.app import app


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        (("--latents", "8"), "--layout cad"),
        (("--window", "100", "--layout", "reference"), "--layout cad"),
        (("--under-positions", "keep"), "--under"),
        (("--under-interval", "2", "--layout", "cad"), "--under"),
        (("--decisions", "4"), "--under or --layout cad"),
    ],
)
def test_options_that_nothing_would_heed_are_refused(tmp_path, options, needed):
    """The option is named with the one that it needs, and no run begins."""
    ran = CliRunner().invoke(app, ["train", *options, "--runs", str(tmp_path)], standalone_mode=False)
    assert ran.exception is not None
    assert f"heeded with {needed} alone" in str(ran.exception.message)
    assert list(tmp_path.iterdir()) == []
