"""No docstring begins with a question word: it names its subject, so that a reader finds it by that word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = ("client", "server", "model", "env", "storage", "benchmarks", "examples", "tests")

QUESTION = re.compile(r"\s*(what|whether|who|whose|whom|where|how|which)\b", re.IGNORECASE)
"""A docstring that leaves its noun to the rest of the sentence."""


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring, also of those that stand under a constant or a field."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def questions(source: str) -> list[int]:
    """Return the lines of the docstrings that begin with a question word."""
    return [line for line, text in docstrings(ast.parse(source)) if QUESTION.match(text)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_begins_with_a_question_word(folder):
    """Modules, classes, functions, constants and fields begin with a noun or a verb."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    texts = {path.relative_to(ROOT): questions(path.read_text(encoding="utf-8")) for path in paths}
    assert [f"{path}:{line}" for path, lines in texts.items() for line in lines] == []


@pytest.mark.parametrize(
    "source",
    [
        '"""What a capture holds."""',
        'def f():\n    """Whether it runs."""',
        'class A:\n    """Who asks."""\n',
        'A = 1\n"""Where it lies."""',
        'class A:\n    b: int\n    """\n    How many."""',
        'async def f():\n    """what it is"""',
    ],
)
def test_the_search_finds_each_place(source):
    """A module, a function, a class, a constant and a field are looked at."""
    assert len(questions(source)) == 1


def test_the_search_lets_other_words_pass():
    """Only the first word counts, and only whole."""
    assert questions('"""Return what it holds."""\nA = 1\n"""However: whatever."""\nb = "What?"') == []
