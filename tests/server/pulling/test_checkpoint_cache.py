"""Checkpoints at a worker: fetched once, believed only by their hash, removed when there is no room."""

from __future__ import annotations

import pytest

from attnscope_model.errors import CheckpointChangedError, CheckpointUnreadableError
from attnscope_server.errors import ServiceError
from attnscope_server.pulling.cache import CheckpointCache
from reading_here import reading_here


@pytest.fixture
def fetching(registry):
    """Return a function that makes what fetches a checkpoint's files, and what was fetched."""

    def make(name, **changed):
        folder, fetched = registry.folder(name), []

        def fetch(file, into, most):
            content = changed.get(file.partition(".")[0], (folder / file).read_bytes())
            assert len(content) <= most
            fetched.append(file)
            into.write(content)

        return registry.get(name), fetch, fetched

    return make


@pytest.fixture
def cache(tmp_path):
    """Return an empty cache with room for all."""
    return CheckpointCache(tmp_path, 2**30)


def test_a_checkpoint_is_fetched_once(cache, registry, fetching):
    """A second job finds it; its entry is that of the service, also where the service has renamed it since."""
    info, fetch, fetched = fetching("causal")
    with reading_here():
        for told in (info, info, info.model_copy(update={"name": "renamed"})):
            with cache.held(told, fetch):
                assert type(registry)(cache.root / "checkpoints").get(info.id) == told
    assert fetched == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("changed", [{"config": b"{}"}, {"model": b"x" * 100}])
def test_other_bytes_than_those_of_the_id_are_refused(cache, fetching, changed):
    """Nothing of them stays."""
    info, fetch, _ = fetching("causal", **changed)
    with reading_here(), pytest.raises(CheckpointChangedError), cache.held(info, fetch):
        pass
    assert list((cache.root / "checkpoints").iterdir()) == []


def test_an_entry_that_its_files_do_not_give_is_refused(cache, fetching):
    """It would put another policy into the provenance of a capture."""
    info, fetch, _ = fetching("causal")
    told = info.model_copy(update={"policy": info.policy.model_copy(update={"layers": info.policy.layers + 1})})
    with reading_here(), pytest.raises(CheckpointUnreadableError, match="describes"), cache.held(told, fetch):
        pass


def test_room_is_made_by_what_was_not_used_for_longest(tmp_path, fetching):
    """One that a job holds stays, however full the cache is."""
    cache = CheckpointCache(tmp_path, 1)
    (one, fetch_one, _), (other, fetch_other, _) = fetching("causal"), fetching("noncausal")
    held = tmp_path / "checkpoints"
    with reading_here():
        with cache.held(one, fetch_one), cache.held(other, fetch_other):
            assert {folder.name for folder in held.iterdir()} == {one.id, other.id}
        with cache.held(other, fetch_other):
            assert [folder.name for folder in held.iterdir()] == [other.id]


def test_a_cache_that_loses_what_it_fetches_says_so(cache, fetching, monkeypatch):
    """Another worker that removes each checkpoint at once does not make this one fetch for ever."""
    info, fetch, fetched = fetching("causal")
    monkeypatch.setattr("attnscope_server.pulling.cache.hold", lambda _: None)
    with reading_here(), pytest.raises(ServiceError, match="too small"), cache.held(info, fetch):
        pass
    assert fetched == ["config.json", "model.safetensors"]
