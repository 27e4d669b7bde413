"""The installation of the small policies' package: the one file of its metadata that a service looks at."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

SUPPORT: Final = Path(__file__).parents[1]
"""Folder that a process imports the package from."""


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Let this process and those that it starts find the package's reader, as after an installation.

    Parameters
    ----------
    folder
        An empty folder for the metadata.
    """
    metadata = folder / "attnscope_heads_example-0.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: attnscope-heads-example\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[attnscope.policies]\nheads-example = heads.policies:HeadReader\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        known = [str(SUPPORT), str(folder), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(known))
        yield
    assert str(folder) not in sys.path
