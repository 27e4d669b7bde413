"""No source file tells kinds of jobs apart by name or by class, but the files of the kinds themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnscope_server.kinds import kinds
from attnscope_storage.wire import contracts

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = ("client", "server", "model", "env", "storage")

KINDS_OWN = ("kinds", "kind.py")
"""Room, or file of a room, that holds what a kind is."""


LISTS = {"kinds", "contracts"}
"""Functions that return everything of kinds by their names."""

LOOKS_UP = {*LISTS, "kind_of", "view_of", "contract_of", "startswith", "endswith"}
"""Functions and methods that answer by the name of a kind."""


def names() -> set[str]:
    """Return the names of all kinds."""
    return set(contracts())


def classes() -> set[str]:
    """Return the names of the classes that belong to one kind."""
    models = (model for one in contracts().values() for model in (one.specification, one.resolved))
    return {model.__name__ for model in models} | {type(kind).__name__ for kind in kinds().values()}


def comparisons(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and reason of everything that tells kinds apart."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare() if any(names() & texts(part) for part in (node.left, *node.comparators)):
                yield node.lineno, "compares with the name of a kind"
            case ast.Dict(keys=keys) if any(key is not None and names() & texts(key) for key in keys):
                yield node.lineno, "looks up by the name of a kind"
            case ast.Subscript(value=value, slice=part) if called(value) & LISTS and names() & texts(part):
                yield node.lineno, "looks up by the name of a kind"
            case ast.Call(func=function, args=[part, *_]) if called(function) & LOOKS_UP and names() & texts(part):
                yield node.lineno, "looks up by the name of a kind"
            case ast.MatchValue(value=value) if names() & texts(value):
                yield value.lineno, "matches the name of a kind"
            case ast.MatchClass(cls=cls) if classes() & called(cls):
                yield cls.lineno, "matches the class of a kind"
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, one]) if classes() & called(one):
                yield node.lineno, "asks for the class of a kind"
            case ast.Compare() if any(classes() & called(part) for part in node.comparators):
                yield node.lineno, "compares with the class of a kind"


def texts(node: ast.expr) -> set[str]:
    """Return the strings of a literal, or of the literals in a tuple, list or set."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def called(node: ast.expr) -> set[str]:
    """Return every name in an expression, the last part of a dotted one."""
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


def own(path: Path) -> bool:
    """Return whether a file holds what a kind is."""
    return bool({path.name, path.parent.name, path.parent.parent.name} & set(KINDS_OWN))


def test_no_file_tells_kinds_apart():
    """Every difference between kinds is asked of their contract, their `Kind` or their view."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if not own(path)]
    assert len(files) > 300
    found = [
        f"{path.relative_to(ROOT)}:{line}: {reason}" for path in files for line, reason in comparisons(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'if job.kind == "trial": pass',
        'if "capture" != kind: pass',
        'if kind in ("screenshot", "trial"): pass',
        'words = {"capture": 1}[kind]',
        'match kind:\n    case "trial": pass',
        'match kind:\n    case "other" | "trial": pass',
        "match spec:\n    case TrialSpec(): pass",
        "if isinstance(spec, TrialSpec): pass",
        "if isinstance(spec, (int, wire.ResolvedCapture)): pass",
        "if type(spec) is CaptureSpec: pass",
        'runner = kinds()["trial"].runner',
        'runner = kind_of("trial").runner',
        'runner = kinds().get("screen")',
        'if kind.startswith("capture"): pass',
    ],
)
def test_the_probe_finds_what_tells_kinds_apart(source):
    """The probe fails on every way to write it."""
    assert list(comparisons(source))


def test_the_probe_lets_other_code_pass():
    """A constructor, a default and another word are no comparison."""
    source = 'spec = TrialSpec(kind="trial")\nopened = {"kind": "capture"}\nif word == "capture it": pass'
    assert list(comparisons(source)) == []
