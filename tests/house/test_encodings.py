"""Text that is read or written names its encoding, so that no locale changes what a file means."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("client", "server", "storage", "model", "env", "benchmarks", "examples")
MODES = set("rwxat+")


def unnamed(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that read or write text in the encoding of the locale."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or any(word.arg in ("encoding", None) for word in call.keywords):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        words = {word.arg: word.value for word in call.keywords}
        modes = [one.value for one in (*call.args, words.get("mode")) if isinstance(one, ast.Constant)]
        as_text = [mode for mode in modes if isinstance(mode, str) and mode and set(mode) <= MODES]
        reads = name == "read_text" and not call.args
        writes = name == "write_text" and len(call.args) == 1
        opens = name in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile") and bool(as_text)
        opens |= name == "open" and isinstance(call.func, ast.Attribute) and not call.args and "mode" not in words
        opens |= name == "open" and isinstance(call.func, ast.Name) and len(call.args) == 1 and "mode" not in words
        opens |= name in ("TextIOWrapper", "FileHandler", "RotatingFileHandler")
        starts = any(
            isinstance(words.get(one), ast.Constant) and words[one].value for one in ("text", "universal_newlines")
        )
        if reads or writes or opens or starts:
            yield call


@pytest.mark.parametrize("folder", FOLDERS)
def test_text_names_its_encoding(folder):
    """No call in the tree leaves the encoding to the locale."""
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for call in unnamed(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "p.read_text()",
        "p.write_text(x)",
        "p.open()",
        "open(p, 'w')",
        "p.open('a')",
        "run(c, text=True)",
        "fdopen(d, 'w')",
        "open(p)",
        "p.open(buffering=1)",
        "open(p, mode='w')",
        "TextIOWrapper(stream)",
        "NamedTemporaryFile(mode='w')",
        "Popen(c, universal_newlines=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    """Each way to leave the encoding out is found."""
    assert list(unnamed(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["p.open('rb')", "attnscope.open(path)", "p.read_text(encoding='utf-8')", "run(c, text=True, encoding='utf-8')"],
)
def test_the_search_leaves_bytes_and_named_encodings_alone(line):
    """Bytes have no encoding, and other functions are called ``open``."""
    assert not list(unnamed(ast.parse(line)))
