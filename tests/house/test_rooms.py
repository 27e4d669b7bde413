"""The map in docs/architecture.md lists the rooms of the tree, rooms have signs, and pages name files that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("client/attnscope", "server/attnscope_server", "model/attnscope_model", "env/attnscope_env")
PACKAGES += ("storage/attnscope_storage",)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LISTED = re.compile(r"^\| `(?P<room>[\w/]+)/` \| (?P<sentence>.+) \|$")
FILE = re.compile(r"`(?P<name>[\w…/.-]+\.py)`")


def rooms_in(package: str) -> set[str]:
    """Return the folders with modules below a package."""
    top = ROOT / package
    return {str(sign.parent.relative_to(top)) for sign in top.rglob("__init__.py")} - {"."}


def rooms_listed(page: str, package: str) -> set[str]:
    """Return the rooms that the page lists behind the name of a package."""
    behind = page.split(f"`{package}/`", 1)[1]
    listed: set[str] = set()
    for line in behind.splitlines():
        if found := LISTED.match(line):
            assert found["sentence"].endswith("."), line
            listed.add(found["room"])
        elif listed and not line.startswith("|"):
            break
    return listed


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_lists_the_rooms_of_the_tree(package):
    """No room is missing from the map, and none stands there that is gone."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert rooms_listed(page, package) == rooms_in(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_room_has_a_sign(package):
    """The docstring of each ``__init__.py`` begins with a sentence."""
    for sign in [*(ROOT / package).rglob("__init__.py")]:
        said = ast.get_docstring(ast.parse(sign.read_text())) or ""
        assert re.match(r"[^\n]{10,}", said), sign
        assert "." in said, sign


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_files_that_exist(page):
    """A path is found as it stands, or at the end of one; … stands for folders; NAME is the reader's to choose."""
    tops = ("client", "server", "model", "env", "storage", "tests", "examples", "benchmarks", "docs")
    files = [str(path.relative_to(ROOT)) for top in tops for path in (ROOT / top).rglob("*.py")]
    named = {found["name"] for found in FILE.finditer(page.read_text())}
    gone = []
    for name in sorted(name for name in named if "NAME" not in name and "ROOM" not in name):
        pattern = re.compile("(^|.*/)" + re.escape(name).replace("…", ".*") + "$")
        if not any(pattern.match(file) for file in files):
            gone.append(name)
    assert gone == []
