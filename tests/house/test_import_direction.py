"""The allowed imports between packages, read from the source: DESIGN's diagram as a test."""

from __future__ import annotations

import ast
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

ALLOWED = {
    "attnscope": {"attnscope_storage", "attnscope_model.strategies"},
    "attnscope_server": {"attnscope_storage", "attnscope_model", "attnscope_env"},
    "attnscope_model": {"attnscope_storage"},
    "attnscope_env": set(),
    "attnscope_storage": set(),
}

HEAVY = {"torch", "fastapi", "starlette", "uvicorn", "gymnasium", "sqlalchemy", "safetensors", "structlog"}


def imported_modules(source: str) -> set[str]:
    """Return every module that a source text imports, at any depth."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def forbidden(package: str, modules: set[str]) -> set[str]:
    """Return those of our own modules that a package may not import."""
    ours = {module for module in modules if module.split(".")[0] in FOLDERS and module.split(".")[0] != package}
    return {m for m in ours if not any(m == a or m.startswith(a + ".") for a in ALLOWED[package])}


def sources(package: str) -> list[Path]:
    """Return a package's source files."""
    return sorted((ROOT / FOLDERS[package] / package).rglob("*.py"))


@pytest.mark.parametrize("package", FOLDERS)
def test_packages_import_only_what_the_design_allows(package):
    """No source file imports one of the other packages against the diagram."""
    assert sources(package)
    wrong = {
        str(path): bad for path in sources(package) if (bad := forbidden(package, imported_modules(path.read_text())))
    }
    assert wrong == {}


@pytest.mark.parametrize("package", ["attnscope", "attnscope_storage"])
def test_the_laptop_side_imports_nothing_of_the_service(package):
    """Neither client nor contract mentions torch, the web framework or the environments, not even lazily."""
    wrong = {
        str(path): bad
        for path in sources(package)
        if (bad := {module.split(".")[0] for module in imported_modules(path.read_text())} & HEAVY)
    }
    assert wrong == {}


def test_the_client_asks_for_the_service_by_name_in_one_place():
    """`attnscope.screen` finds the service's function where the extra is installed; nothing else names the service."""
    named = {
        str(path.relative_to(ROOT))
        for path in sources("attnscope")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("attnscope_server")
    }
    assert named == {"client/attnscope/screens/here.py"}


def test_the_probe_can_fail():
    """A forbidden import is found, wherever it hides."""
    source = "def f():\n    from attnscope_server import app\n    import attnscope_model.families.reference\n"
    found = forbidden("attnscope", imported_modules(source))
    assert found == {"attnscope_server", "attnscope_server.app", "attnscope_model.families.reference"}


@pytest.mark.parametrize("folder", sorted(FOLDERS.values()))
def test_source_roots_hold_one_typed_package_and_no_module(folder):
    """A source root is no package itself, and its package says that it is typed."""
    assert not (ROOT / folder / "__init__.py").exists()
    packages = [path for path in (ROOT / folder).iterdir() if path.is_dir() and path.name.startswith("attnscope")]
    assert len(packages) == 1
    assert (packages[0] / "py.typed").exists()


def test_the_laptops_tests_import_nothing_of_the_service():
    """Every test file of the laptop's install can be collected there: it imports no torch and no service at its top."""
    files = sorted((ROOT / "tests" / "client").rglob("*.py"))
    assert files
    wrong = {}
    for path in files:
        body = ast.parse(path.read_text()).body
        top = ast.unparse([node for node in body if isinstance(node, ast.Import | ast.ImportFrom)])
        modules = imported_modules(top)
        if bad := {module for module in modules if module.split(".")[0] in HEAVY} | forbidden("attnscope", modules):
            wrong[str(path.relative_to(ROOT))] = bad
    assert wrong == {}
