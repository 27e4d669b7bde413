"""Environments over the wire: what is listed, page by page, with an operator's own among them."""

from __future__ import annotations

import json

import pytest

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.errors import NotFoundError, RequestRefusedError, UnknownEnvironmentError
from attnscope.service import Service
from attnscope_env import preset
from attnscope_server.root.verbs import settings_of

LAKE = {
    "id": "FrozenLake-v1",
    "horizon": 30,
    "actions": ["left", "down", "right", "up"],
    "kwargs_schema": {"properties": {"is_slippery": {"type": "boolean"}}},
}


@pytest.fixture
def listing_client(second_service):
    """Return a client of a service whose operator lists an environment and allows pages of 100 tasks."""
    with (
        second_service(environments=[LAKE], limits={"page_tasks": 100}) as running,
        Service(Transport(Connection(running.url, running.key, "a test"))) as client,
    ):
        yield client


def test_the_operators_environments_are_listed_with_ours(listing_client):
    """Counts stand for long splits, cells for short ones, and everything together stays small."""
    listed = {info.id: info for info in listing_client.environments()}
    assert {"attnscope/Darkroom-v0", "attnscope/DarkKeyToDoor-v0", "FrozenLake-v1"} <= listed.keys()
    assert listed["FrozenLake-v1"].kwargs_schema["additionalProperties"] is False
    (door,) = listed["attnscope/DarkKeyToDoor-v0"].presets
    assert door.task_counts == {"train": 6233, "validation": 0, "test": 328, "all": 6561}
    assert "test" not in door.splits
    assert sum(len(info.model_dump_json()) for info in listed.values()) < 256 * 1024


def test_long_splits_come_page_by_page(listing_client):
    """The client walks the pages; every task comes once, in the split's order, with what sets it apart."""
    cells = list(listing_client.tasks("key-to-door", "test"))
    tasks = preset("key-to-door").tasks("test")
    assert [cell.index for cell in cells] == [task.index for task in tasks]
    assert [cell.parameters for cell in cells] == [dict(task.parameters) for task in tasks]
    with pytest.raises(NotFoundError, match="preset"):
        list(listing_client.tasks("nothing"))


@pytest.mark.parametrize(
    ("environment", "error", "words"),
    [
        ({"id": "CartPole-v1"}, UnknownEnvironmentError, "FrozenLake-v1"),
        ({"id": "FrozenLake-v1"}, RequestRefusedError, "acts in attnscope/Darkroom-v0"),
        ({"id": "os:system"}, RequestRefusedError, "environment.id: expected text like"),
    ],
)
def test_only_listed_environments_are_taken(listing_client, environment, error, words):
    """An unlisted id, another checkpoint's environment and a module are refused, each with its reason."""
    with pytest.raises(error, match=words):
        listing_client.submit(checkpoint="AD-darkroom", steps=5, environment=environment)


def test_a_file_of_environments_becomes_settings(tmp_path, monkeypatch):
    """The operator's file, the environment variable and the constructor say the same."""
    path = tmp_path / "environments.json"
    path.write_text(json.dumps([LAKE]))
    from_file = settings_of(tmp_path, environments=json.loads(path.read_text()))
    monkeypatch.setenv("ATTNSCOPE_SERVER_ENVIRONMENTS", path.read_text())
    assert settings_of(tmp_path).environments == from_file.environments
    assert from_file.environments[0].id == "FrozenLake-v1"
