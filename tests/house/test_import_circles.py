"""No circle of imports inside a package, between its modules or between its rooms; lazy imports count."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = {
    "attnscope": "client",
    "attnscope_server": "server",
    "attnscope_model": "model",
    "attnscope_env": "env",
    "attnscope_storage": "storage",
}

EXCEPTIONS = {
    # 2026-11-29: a capture draws itself in a notebook by figures that read captures; until captions are plain values.
    ("attnscope.capture", "attnscope.notebook"),
    # 2026-11-29: advice makes its own text; until `Advice` stands beside its text.
    ("attnscope.recommendations.results", "attnscope.recommendations.text"),
    # 2026-11-29: kinds know the state of the app; until each kind of job has one object.
    ("attnscope_server.kinds", "attnscope_server.http.state"),
}
"""Imports that close a circle today, each with the date and what ends it."""


def modules_of(package: str, folder: Path) -> dict[str, Path]:
    """Return a package's modules by name, with their files."""
    found = {}
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which of a package's modules each of them imports, at any depth of the file."""
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                named |= {f"{_origin(node, module, path)}.{alias.name}" for alias in node.names}
        graph[module] = {found for name in named if (found := _module(name, modules))} - {module}
    return graph


def _origin(node: ast.ImportFrom, module: str, path: Path) -> str:
    """Return the full name of the package or module that an import takes names from."""
    if not node.level:
        return node.module or ""
    parts = module.split(".") + (["__init__"] if path.stem == "__init__" else [])
    return ".".join([*parts[: -node.level], *([node.module] if node.module else [])])


def _module(name: str, modules: Iterable[str]) -> str:
    """Return the module that a dotted name is, or is in; nothing of another package."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def room(module: str) -> str:
    """Return the room of a module: its folder right below the package, or itself."""
    return ".".join(module.split(".")[:2])


def rooms_of(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return which rooms each room imports."""
    found: dict[str, set[str]] = {}
    for module, imported in graph.items():
        found.setdefault(room(module), set()).update({room(one) for one in imported} - {room(module)})
    return found


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return one circle of a graph, from a node back to itself; nothing where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def without_exceptions(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that are no exception."""
    return {module: {one for one in imported if (module, one) not in EXCEPTIONS} for module, imported in graph.items()}


@pytest.mark.parametrize("package", FOLDERS)
def test_modules_import_in_no_circle(package):
    """Each package's modules can be put in an order in which each imports earlier ones alone, lazily too."""
    graph = imports_of(modules_of(package, ROOT / FOLDERS[package]))
    assert any(graph.values())
    assert circle(without_exceptions(graph)) == []


@pytest.mark.parametrize("package", FOLDERS)
def test_rooms_import_in_no_circle(package):
    """Rooms have an order from the bottom up, and no import goes back up: neither at the top of a file nor inside."""
    graph = imports_of(modules_of(package, ROOT / FOLDERS[package]))
    assert circle(rooms_of(without_exceptions(graph))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from made.low import two",
        "import made.low.two",
        "def later():\n    from made.low import two\n",
        "from ..low import two",
        "from made.low.two import name",
    ],
)
def test_the_probe_can_fail(tmp_path, source):
    """A circle of two modules in two rooms is found in either graph, whatever the import is like."""
    for path, text in {
        "__init__": "",
        "low/__init__": "",
        "low/two": "import made.high.one",
        "high/__init__": "",
    }.items():
        (tmp_path / "made" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / f"{path}.py").write_text(text)
    (tmp_path / "made" / "high" / "one.py").write_text(source)
    graph = imports_of(modules_of("made", tmp_path))
    assert set(circle(graph)) == {"made.high.one", "made.low.two"}
    assert set(circle(rooms_of(graph))) == {"made.high", "made.low"}
