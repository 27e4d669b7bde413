"""No circle of imports inside a package, between its modules or between its rooms; lazy imports count."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
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

Import = tuple[str, str]
"""The module that imports, and the module that it imports."""

EXCEPTIONS: frozenset[Import] = frozenset()
"""Imports that close a circle today, each with the date and what ends it. One that closes none any more fails."""


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


def without(graph: Mapping[str, set[str]], exceptions: Collection[Import]) -> dict[str, set[str]]:
    """Return the imports of a graph that are no exception."""
    return {module: {one for one in imported if (module, one) not in exceptions} for module, imported in graph.items()}


def stale(graph: Mapping[str, set[str]], exceptions: Collection[Import]) -> list[Import]:
    """Return the exceptions without which a package has no circle either, of modules or of rooms."""
    found = []
    for exception in exceptions:
        allowed = without(graph, set(exceptions) - {exception})
        if not circle(allowed) and not circle(rooms_of(allowed)):
            found.append(exception)
    return found


@pytest.mark.parametrize("package", FOLDERS)
def test_modules_import_in_no_circle(package):
    """Each package's modules can be put in an order in which each imports earlier ones alone, lazily too."""
    graph = imports_of(modules_of(package, ROOT / FOLDERS[package]))
    assert any(graph.values())
    assert circle(without(graph, EXCEPTIONS)) == []


@pytest.mark.parametrize("package", FOLDERS)
def test_rooms_import_in_no_circle(package):
    """Rooms have an order from the bottom up, and no import goes back up: neither at the top of a file nor inside."""
    graph = imports_of(modules_of(package, ROOT / FOLDERS[package]))
    assert circle(rooms_of(without(graph, EXCEPTIONS))) == []


@pytest.mark.parametrize("package", FOLDERS)
def test_every_exception_closes_a_circle(package):
    """An exception that is no longer needed is removed: it would let a new circle through."""
    graph = imports_of(modules_of(package, ROOT / FOLDERS[package]))
    assert stale(graph, [one for one in EXCEPTIONS if one[0].partition(".")[0] == package]) == []


def test_every_exception_is_of_a_package():
    """An exception that names no package of ours would never be tried."""
    assert {module.partition(".")[0] for module, _ in EXCEPTIONS} <= set(FOLDERS)


def test_a_stale_exception_is_found():
    """Of two exceptions, the one whose import is gone is stale, and so is one whose import closes no circle."""
    graph = {"made.one": {"made.two", "made.three"}, "made.two": {"made.one"}, "made.three": set[str]()}
    closing, gone, harmless = ("made.two", "made.one"), ("made.three", "made.one"), ("made.one", "made.three")
    assert stale(graph, [closing, gone, harmless]) == [gone, harmless]


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
