"""The place where a worker writes, by what its keys of a bucket reach."""

from __future__ import annotations

import re

import pytest
from structlog.testing import capture_logs

from attnscope_server.errors import SettingUnusableError
from attnscope_server.pulling.means import usable_place
from attnscope_storage.errors import StorageUnwritableError
from attnscope_storage.layout import bucket
from attnscope_storage.layout.bucket import BucketPath, connect
from buckets import bucket_server

__all__ = ["bucket_server"]

PLACE = "s3://attnscope/root-means"


@pytest.fixture
def as_identity(bucket_server, monkeypatch):
    """Return a function that gives this process the keys of an identity."""

    def become(name: str) -> None:
        for variable, value in bucket_server.environment_of(name).items():
            monkeypatch.setenv(variable, value)
        connect.cache_clear()

    yield become
    connect.cache_clear()


def test_keys_that_reach_captures_alone_are_used(as_identity):
    """The worker writes into the bucket itself, and says nothing."""
    as_identity("worker")
    with capture_logs() as told:
        assert usable_place(PLACE) == PLACE
    assert told == []


@pytest.mark.parametrize(
    ("identity", "further"), [("whole", PLACE), ("every-service", r"s3://attnscope/probe-\w+/captures")]
)
def test_keys_that_reach_further_are_not_used(as_identity, identity, further):
    """Keys of the whole prefix, and those of every service's captures: the worker sends, and says which and why."""
    as_identity(identity)
    with capture_logs() as told:
        assert usable_place(PLACE) is None
    (line,) = told
    assert line["log_level"] == "warning"
    assert "commits are sent" in line["event"]
    assert f"{PLACE}/captures alone" in line["remedy"]
    assert re.fullmatch(further, line["may_write"])


def test_a_trial_leaves_nothing_behind(as_identity):
    """The objects that are created to try the keys are removed at once."""
    as_identity("whole")
    before = set(BucketPath("s3://attnscope").objects())
    usable_place(PLACE)
    assert set(BucketPath("s3://attnscope").objects()) == before


def test_keys_that_may_not_write_are_refused(as_identity):
    """Each job would fail; the worker says so at its start."""
    as_identity("worker")
    with pytest.raises(SettingUnusableError, match="may not write into s3://attnscope/elsewhere/captures"):
        usable_place("s3://attnscope/elsewhere")


def test_a_bucket_that_is_away_gives_no_answer(as_identity, monkeypatch):
    """Neither that the keys are good nor that they are not is known."""
    as_identity("worker")
    monkeypatch.setattr(bucket, "RETRIED_FOR", bucket.RETRIED_FOR * 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageUnwritableError, match="root-means"):
        usable_place(PLACE)


def test_a_folder_is_resolved(tmp_path, monkeypatch):
    """A child may work in another folder."""
    monkeypatch.chdir(tmp_path)
    assert usable_place(".") == str(tmp_path.resolve())
    with pytest.raises(FileNotFoundError):
        usable_place("gone")
