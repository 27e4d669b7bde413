"""One script made of modules: every name finds its module, and what cannot be bundled is refused."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from attnscope.page import bundling, modules
from attnscope.page.bundling import bundled
from attnscope.page.modules import NoBundleError, with_imports


@pytest.fixture
def invented(monkeypatch):
    """Return the texts of invented modules, by path; a bundle is made of them."""
    texts: dict[str, str] = {}
    for reader in (bundling, modules):
        monkeypatch.setattr(reader, "module_text", texts.__getitem__)
    for kept in (bundled, with_imports):
        kept.cache_clear()
    yield texts
    for kept in (bundled, with_imports):
        kept.cache_clear()


def test_every_module_of_the_page_is_used():
    """The page, the report and the widget import all that is shipped; a module that nothing imports is dead."""
    folder = Path(str(files("attnscope.page"))) / "static"
    shipped = {path.relative_to(folder).as_posix() for path in folder.rglob("*.js")}
    assert shipped == {path for entry in ("main.js", "report.js", "widget.js") for path in with_imports(entry)}


def test_no_text_goes_over_several_lines():
    """Indents are not served, so a text that held one would change; every line closes what it opens."""
    folder = Path(str(files("attnscope.page"))) / "static"
    lines = [line for path in folder.rglob("*.js") for line in path.read_text("utf-8").splitlines()]
    assert [line for line in lines if line.count("`") % 2] == []


def test_modules_come_before_those_that_import_them(invented):
    """A module of a folder is found from another folder; a name that is imported as another one gets that name."""
    invented["a.js"] = 'import { two as other } from "./in/b.js";\nexport const one = other + 1;\n'
    invented["in/b.js"] = 'import { three } from "../c.js";\nexport function two() {}\n'
    invented["c.js"] = "const own = 3;\nexport const three = own;\n"
    script = bundled("a.js", exports=("one",))
    assert [script.index(word) for word in ("const own", "function two", "other + 1")] == sorted(
        script.index(word) for word in ("const own", "function two", "other + 1")
    )
    assert "const { two: other } = m1;" in script
    assert script.endswith("const one = m2.one;\nexport default { one };\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('import thing from "./c.js";\n', "no import or export by name"),
        ("export let moving = 1;\n", "no import or export by name"),
        ("export default 1;\n", "no import or export by name"),
        ('import { a } from "./a.js";\n', "in a circle"),
        ('export const text = "</script>";\n', "would end its script element"),
    ],
)
def test_what_cannot_be_bundled_is_refused(invented, text, why):
    """No module of the page needs it; a bundle that dropped it in silence would be another program."""
    invented["a.js"], invented["c.js"] = text, "export const thing = 1;\n"
    with pytest.raises(NoBundleError, match=why):
        bundled("a.js")


@pytest.mark.parametrize("entry", ["report.js", "widget.js"])
def test_the_page_s_own_modules_can_be_bundled(entry):
    """Every place that has no server gets all modules that it needs, and no import is left."""
    script = bundled(entry)
    assert "class Mounted" in script
    assert "import {" not in script
