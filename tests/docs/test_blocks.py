"""Every shell and Python block of README and docs runs as it stands: from the wheel, with the stated extras alone."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from documents.blocks import RUN, SHOWN, Block, blocks_of
from documents.installed import build_wheel
from documents.machines import Machine, Shared, building_packages
from forwards import layouts

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]
AT_MOST = 8
"""Blocks that need not run, in all pages together."""
FIRST_SECTIONS = 2
"""Sections of the README that run whole."""
QUICK = {"README.md", "docs/checkpoints.md", "docs/strategies.md"}
"""Pages that CI runs; the others are slow."""


SERVICE = "attnscope-server serve"
CAPTURE = (
    "attnscope submit --checkpoint AD-absolute-darkroom-reference-seed0@6000 --tasks 0 --replicas 2 --steps 60 --wait\n"
    "attnscope report last --out report"
)
ROOT_OF_DATA = "attnscope-server key create --owner me --data-root data; mkdir backups"
BEFORE = {
    "docs/backup.md": [ROOT_OF_DATA],
    "docs/screening.md": [SERVICE],
    "docs/strategies.md": [SERVICE],
    "docs/trials.md": [SERVICE, CAPTURE],
}
"""The earlier steps of a page's reader: the README's first steps, in small."""


def all_blocks() -> list[Block]:
    """Return the blocks of all pages."""
    return [block for page in PAGES for block in blocks_of(ROOT, page)]


def to_run(page: str) -> list[Block]:
    """Return a page's blocks that run."""
    return [block for block in blocks_of(ROOT, page) if block.language in RUN and block.reason is None]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """Return the wheel of this tree."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def building(tmp_path_factory) -> Path:
    """Return a folder with the packages that build the wheel."""
    return building_packages(tmp_path_factory.mktemp("building"))


def test_every_block_names_its_language():
    """A fence says sh or python, or that its content is only shown."""
    unnamed = [f"{block}: {block.language!r}" for block in all_blocks() if block.language not in RUN | SHOWN]
    assert not unnamed


def test_few_blocks_are_not_run(capsys):
    """Each of them says why; the README's first two sections run whole."""
    left_out = [block for block in all_blocks() if block.reason is not None]
    with capsys.disabled():
        sys.stdout.writelines(f"\nnot run: {block}: {block.reason}" for block in left_out)
    sections = list(dict.fromkeys(block.section for block in blocks_of(ROOT, "README.md")))
    assert len(left_out) <= AT_MOST
    assert not [str(block) for block in left_out if block.section in sections[:FIRST_SECTIONS]]


def readers_files(page: str, work: Path) -> None:
    """Write the files that a page's reader has already: checkpoints of the layouts that it speaks of."""
    if page == "README.md":
        (work / "runs" / "AD-darkroom-seed0").mkdir(parents=True)
        torch.save(layouts.LAYOUTS["reference"].content(), work / "runs" / "AD-darkroom-seed0" / "ckpt-60000.pt")
    if page == "docs/checkpoints.md":
        torch.save(layouts.LAYOUTS["dpt"].content(), work / "model.pt")


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[] if page in QUICK else [pytest.mark.slow]) for page in PAGES if to_run(page)]
)
def test_the_blocks_of_a_page_run(page, wheel, building, tmp_path):
    """In order, each machine with a home and a data root that are new."""
    shared = Shared(wheel, ROOT, building)
    machines: dict[str, Machine] = {}
    blocks = to_run(page)
    try:
        for block in blocks:
            if block.machine not in machines:
                mine = [one.text for one in blocks if one.machine == block.machine]
                clone = any("pip install '.[" in text or "pip install ." in text for text in mine)
                folder = tmp_path / block.machine
                machines[block.machine] = Machine(folder, block.extras, shared, clone=clone)
                readers_files(page, machines[block.machine].work)
                for text in BEFORE.get(page, []):
                    machines[block.machine].run(replace(block, language="sh", text=text))
            machines[block.machine].run(block)
    finally:
        for machine in machines.values():
            machine.stop()
        shutil.rmtree(tmp_path)
