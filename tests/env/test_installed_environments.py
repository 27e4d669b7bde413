"""Environments of installed packages: listed beside attnscope's own, and named where they cannot be."""

from __future__ import annotations

import importlib
import sys

import gymnasium
import pytest

from attnscope_env import Listings
from attnscope_env.presets.listing import EnvironmentPackageError

MODULE = """
from attnscope_env import GymnasiumEntry

ENTRY = GymnasiumEntry(
    id="FrozenLake-v1",
    preset={preset!r},
    horizon=20,
    actions=("left", "down", "right", "up"),
    tasks=({{"label": "4x4", "kwargs": {{"map_name": "4x4"}}, "split": "test"}},),
)
NUMBER = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a package with one environment where this interpreter finds it."""

    def put(target: str, preset_name: str = "lake") -> None:
        told = tmp_path / "frozen_lake_tasks-1.dist-info"
        told.mkdir()
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: frozen-lake-tasks\nVersion: 1\n")
        (told / "entry_points.txt").write_text(f"[attnscope.environments]\nlake = {target}\n")
        (tmp_path / "frozen_lake_tasks.py").write_text(MODULE.format(preset=preset_name))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "frozen_lake_tasks", raising=False)
        importlib.invalidate_caches()

    return put


def test_an_installed_environment_is_like_any_other(install):
    """Its id and preset are listed, and its tasks are stepped."""
    install("frozen_lake_tasks:ENTRY")
    listings = Listings()
    assert "FrozenLake-v1" in listings.ids
    lake = listings.preset("lake")
    env = lake.make_vector(lake.tasks("test"))
    assert isinstance(env, gymnasium.vector.VectorEnv)
    env.close()


@pytest.mark.parametrize(
    ("target", "preset_name", "words"),
    [
        ("frozen_lake_tasks:NUMBER", "lake", "neither an EnvironmentListing nor a GymnasiumEntry"),
        ("frozen_lake_tasks:NOTHING", "lake", "does not load"),
        ("frozen_lake_tasks:ENTRY", "key-to-door", "the preset 'key-to-door' is listed twice"),
    ],
)
def test_a_package_that_cannot_be_listed_is_named(install, target, preset_name, words):
    """The error says which entry point it is, at every question."""
    install(target, preset_name)
    listings = Listings()
    for _ in range(2):
        with pytest.raises(EnvironmentPackageError, match=f"lake .{target}.*{words}"):
            _ = listings.ids


def test_attnscopes_own_presets_need_no_package(install):
    """A broken package stops no policy of ours, and is named where another preset is asked for."""
    install("frozen_lake_tasks:NOTHING")
    listings = Listings()
    assert listings.preset("key-to-door").name == "key-to-door"
    with pytest.raises(EnvironmentPackageError, match="does not load"):
        listings.preset("nowhere")
