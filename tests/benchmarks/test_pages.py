"""Every page and card says what its stored arrays say: computing all of them changes nothing in the tree."""

from __future__ import annotations

import re

import pytest
from benchmarks.pages import DOCS, PAGES, ROOT
from benchmarks.shipping.measured import FOLDER, folders, points, published
from benchmarks.shipping.writing import cards
from benchmarks.study2.writing import rewritten

MARK = re.compile(r"<!-- begin ([\w-]+) -->")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_its_arrays_say(name):
    """Computed anew, the page is the same to the letter, and no table between marks is left out."""
    page, made = (DOCS / name).read_text(encoding="utf-8"), dict(PAGES[name]())
    assert rewritten(page, made) == page
    assert sorted(made) == sorted(MARK.findall(page))


def test_no_page_with_marks_is_left_out():
    """Every page that has a table between marks is computed by the one command."""
    marked = {path.name for path in DOCS.glob("*.md") if MARK.search(path.read_text(encoding="utf-8"))}
    assert marked == set(PAGES)


def test_the_cards_say_what_their_arrays_say():
    """Every shipped policy whose returns are stored has a card of them."""
    made = cards()
    assert len(made) >= 2
    for name, text in made.items():
        assert (folders()[name] / "README.md").read_text(encoding="utf-8") == text, name


def test_stored_returns_are_whole_and_small():
    """Each split's tasks, rollouts and episodes are there; no return is beyond the optimum."""
    stored = [(point, published(point)) for point in points()]
    assert sum("held-out" in splits for _, splits in stored) >= 7
    for point, splits in stored:
        for split, returns in splits.items():
            tasks = point.tasks(split)
            assert returns.shape == (len(tasks), 10, point.episodes(split))
            best = [task.optimal_return for task in tasks]
            assert (returns <= [[[one]] for one in best]).all()
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5e5


def test_the_command_stands_in_the_page_on_policies():
    """A reader of any number finds the one command."""
    assert "python -m benchmarks.pages" in (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
