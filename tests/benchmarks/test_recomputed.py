"""The list of numbers that are computed again: its pages, arrays, commands and tests are there."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from benchmarks.pages import PAGES

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
    assert len(named) > 8
    assert [str(path) for path in named if not path.exists()] == []
    assert [one for one in modules if not runs(one)] == []


def test_every_row_names_where_its_numbers_are_stored_and_what_stored_them(rows):
    """Nobody has to guess where a number comes from."""
    for numbers, stored, by in rows:
        assert "`docs/study" in stored, numbers
        assert by.startswith("`python -m benchmarks."), numbers


def test_every_page_of_a_study_is_in_the_list(rows):
    """No page whose tables are computed is left out."""
    listed = " ".join(cells[0] for cells in rows)
    assert [page for page in PAGES if page != "policies.md" and page not in listed] == []


def test_what_has_no_arrays_has_no_figures(page):
    """The part on what is not measured again has no returns, shares or intervals."""
    besides = page.partition("## What was tried besides\n")[2].partition("\n### ")[0]
    assert len(besides) > 1000
    assert re.findall(r"\d\.\d|\d ?%|\[\d", besides) == []
