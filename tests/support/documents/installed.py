"""Virtual environments that hold the wheel and exactly what its extras need.

The distributions are those of the interpreter that runs the tests: each file that belongs to one is linked into the
environment, so that nothing is fetched or unpacked. A distribution that no extra asks for is not there.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from zipfile import Path as ZipPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PIP = ("pip",)
BUILDING = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")
"""Distributions that build the wheel."""


def build_wheel(root: Path, out: Path) -> Path:
    """Return the wheel that the tree builds."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def needed_by(wheel: Path, extras: Iterable[str]) -> set[str]:
    """Return the distributions that a wheel needs with its extras, those that they need among them."""
    information = next(part for part in ZipPath(wheel).iterdir() if part.name.endswith(".dist-info"))
    own = PathDistribution(information)
    names: set[str] = set()
    waiting = list(_requirements(own, extras))
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found = distribution(name)
        fresh = name not in names
        names.add(name)
        if fresh or requirement.extras:
            further = _requirements(found, requirement.extras)
            waiting += [one for one in further if canonicalize_name(one.name) not in names or fresh]
    return names


def _requirements(found: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for line in found.requires or ():
        requirement = Requirement(line)
        environments = [{"extra": ""}, *({"extra": extra} for extra in extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(one) for one in environments):
            yield requirement


def make_environment(folder: Path, names: Iterable[str]) -> Path:
    """Return the interpreter of a new environment that holds these distributions and pip."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    expose(packages_of(folder), [*PIP, *names])
    python = folder / "bin" / "python"
    command = folder / "bin" / "pip"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m pip "$@"\n')
    command.chmod(0o755)
    return python


def packages_of(folder: Path) -> Path:
    """Return where an environment's packages lie."""
    return folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def expose(packages: Path, names: Iterable[str]) -> None:
    """Link the files of distributions into a folder of packages.

    A package's folder is linked whole where it belongs to one distribution, file by file where several share it.
    """
    for name in names:
        found = distribution(name)
        tops: dict[str, list[Path]] = {}
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                tops.setdefault(file.parts[0], []).append(Path(str(file)))
        for top, files in tops.items():
            whole = Path(str(found.locate_file(top)))
            if whole.is_dir() and not (whole / "__init__.py").exists() and not top.endswith((".dist-info", ".libs")):
                for file in files:
                    _link(packages / file, Path(str(found.locate_file(file))))
            else:
                _link(packages / top, whole)


def _link(place: Path, target: Path) -> None:
    if not place.exists() and target.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
