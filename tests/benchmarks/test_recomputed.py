"""The list of numbers that are computed again: its pages, arrays, commands and tests are there."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def runs(module: str) -> bool:
    """Return True where `python -m` finds a module: a file, or a package with a main file."""
    found = find_spec(module)
    return found is not None and (not found.submodule_search_locations or find_spec(f"{module}.__main__") is not None)


@pytest.fixture(scope="module")
def page() -> str:
    """Return the page that tells which numbers are computed again."""
    return (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page) -> list[list[str]]:
    """Return the cells of the list, a row a kind of numbers."""
    table = page.partition("## Which numbers are computed again")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_what_a_row_names_is_there(rows):
    """Each linked page, each folder of arrays, each module that is run and each test exists."""
    named, modules = [], []
    for cells in rows:
        text = " ".join(cells)
        named += [ROOT / "docs" / page for page in re.findall(r"\]\(([\w-]+\.md)", text)]
        named += [ROOT / path for path in re.findall(r"`((?:tests|docs)/[\w/]+(?:\.py)?)`", text)]
        modules += re.findall(r"python -m ([\w.]+)", text)
    assert len(named) > 10
    assert [str(path) for path in named if not path.exists()] == []
    assert [one for one in modules if not runs(one)] == []


def test_a_row_is_computed_again_or_says_that_it_is_not(rows):
    """A row that nothing computes again says so plainly; any other names the test that holds it."""
    for numbers, _source, by, held in rows:
        assert ("**not computed again**" in by) or (by.startswith("`") and "tests/" in held), numbers


def test_every_page_of_a_study_is_in_the_list(rows):
    """No page of a study is left out."""
    listed = " ".join(cells[0] for cells in rows)
    pages = [path.name for path in (ROOT / "docs").glob("compression-study*.md")]
    assert len(pages) >= 3
    assert [page for page in pages if page not in listed] == []


def test_what_is_not_computed_again_names_the_command_that_would(rows):
    """Nobody has to guess how a number that is not computed again came about."""
    for numbers, _source, by, _held in rows:
        assert re.search(r"`(?:make|python|attnscope-server) ", by) or "each part names" in by, numbers


def test_every_part_of_the_record_is_marked_and_names_a_command(page):
    """The part begins with its mark; each of its parts with figures has a command, or options of one."""
    record = page.partition("## What was tried\n")[2].partition("\n## ")[0]
    first, *parts = record.split("\n### ")
    assert first.strip().startswith("**A record, to the end of this part, of runs whose logs")
    assert len(parts) >= 5
    with_figures = [part for part in parts if re.search(r"\d\.\d\d", part)]
    command = re.compile(r"`(?:attnscope-server train|python -m|--)[^`]*`")
    assert [part.splitlines()[0] for part in with_figures if not command.search(part)] == []
