"""The promises of the tree to its users: env/ is in git and in the wheel, versions agree, the container files hold."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import attnscope_storage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """Return the wheel that this tree builds."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


@pytest.mark.parametrize(
    "name",
    [
        "attnscope/__init__.py",
        "attnscope_server/app.py",
        "attnscope_model/families/reference.py",
        "attnscope_env/rooms/darkroom.py",
        "attnscope_storage/layout/store_schema.py",
        "attnscope_env/py.typed",
        "attnscope/page/static/page.html",
        "attnscope/page/static/main.js",
    ],
)
def test_the_wheel_holds_every_package(wheel, name):
    """All five packages travel, `env/` too, although stock ignore files leave it out."""
    assert name in wheel.namelist()


def test_the_wheel_holds_the_shipped_policy_and_no_tests(wheel):
    """The demo's weights travel as package data; tests and golden files stay behind."""
    names = wheel.namelist()
    assert any(name.startswith("attnscope_model/shipped/") and name.endswith(".safetensors") for name in names)
    assert not any(name.startswith(("tests/", "golden")) for name in names)


def test_env_is_not_ignored():
    """Git sees `env/`; the container's context holds it."""
    answer = subprocess.run(
        ["git", "check-ignore", "env/attnscope_env/__init__.py"], check=False, cwd=ROOT, capture_output=True
    )
    assert answer.returncode == 1
    assert "!env" in (ROOT / ".dockerignore").read_text().splitlines()


def test_versions_agree():
    """The package says the version that the distribution has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert attnscope_storage.__version__ == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_base_dependencies_are_the_laptops():
    """Packages for a GPU box are an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = " ".join(project["dependencies"])
    assert not any(name in base for name in ("torch", "fastapi", "gymnasium", "sqlalchemy"))
    assert any(name.startswith("torch") for name in project["optional-dependencies"]["server"])


def test_the_image_is_unprivileged_and_tells_its_health():
    """The Dockerfile names a user and a check."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "HEALTHCHECK" in dockerfile
    assert "\nUSER attnscope" in dockerfile
