"""A module that starts a process, or that is one, exchanges models and raw arrays: it writes and reads no bare JSON."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = ("client", "server", "model", "env", "storage")

PROCESSES = {"subprocess", "multiprocessing", "concurrent.futures.process", "socket", "socketserver"}
"""Modules of the standard library that start a process or speak with one."""

BARE = {"json", "pickle", "marshal", "shelve", "ast.literal_eval", "pydantic_core"}
"""Modules and functions that turn bytes into values of no declared type."""

FILE_FORMATS = {
    "model/attnscope_model/checkpoints/examined.py": "reads the configuration of a native folder, which is foreign",
}
"""Modules that read a file which is no message, each with the reason."""


def speaks(tree: ast.Module) -> bool:
    """Return whether a module starts processes, or is the one that is started."""
    named = set(imported(tree))
    words = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    started = any(isinstance(node, ast.Compare) and "__main__" in ast.unparse(node) for node in ast.walk(tree))
    return bool(named & PROCESSES) or started or bool(words & {"stdin", "buffer"} and "sys" in named)


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield every module that a module imports, and every name that it takes from one."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{name.name}" for name in names)


def bare(tree: ast.Module) -> set[str]:
    """Return everything that a module takes to exchange values of no declared type."""
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return (set(imported(tree)) | called) & BARE


def speakers() -> dict[str, ast.Module]:
    """Return the modules that speak with another process, by path."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    return {path: tree for path, tree in trees.items() if speaks(tree)}


def test_no_bare_value_crosses_a_process():
    """Every such module leaves reading and writing to its messages, unless it reads a file format."""
    found = {path: sorted(bare(tree)) for path, tree in speakers().items() if bare(tree)}
    assert found.keys() == FILE_FORMATS.keys(), found


def test_the_search_sees_both_ends_of_every_child():
    """Parents and children of jobs, replays and parsers are all looked at."""
    ends = {
        "server/attnscope_server/running/local_worker.py",
        "server/attnscope_server/running/worker.py",
        "server/attnscope_server/replaying/process.py",
        "server/attnscope_server/replaying/worker.py",
        "model/attnscope_model/parsing/apart.py",
        "model/attnscope_model/checkpoints/foreign.py",
        "model/attnscope_model/checkpoints/examined.py",
    }
    assert ends <= speakers().keys()


@pytest.mark.parametrize(
    "source",
    [
        "import json, subprocess\nsubprocess.run([json.dumps({'a': 1})])",
        "from json import dumps\nfrom multiprocessing import Pipe",
        "import pickle, sys\npickle.load(sys.stdin.buffer)",
        "import sys, json\nif __name__ == '__main__': json.loads(sys.argv[1])",
        "import subprocess, ast\nast.literal_eval(subprocess.check_output(['x']))",
        "from pydantic_core import from_json\nimport socket",
    ],
)
def test_the_search_finds_each_way(source):
    """A dictionary by JSON, by a pickle or by a literal is found on either side."""
    tree = ast.parse(source)
    assert speaks(tree)
    assert bare(tree)


def test_the_search_lets_messages_pass():
    """A model that writes itself is no bare value, and JSON in a module without processes is a file format."""
    assert not bare(ast.parse("import subprocess\nsubprocess.run([order.model_dump_json()])"))
    assert not speaks(ast.parse("import json\njson.loads(path.read_text())"))
