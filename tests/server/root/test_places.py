"""The place of captures, as settings name it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from attnscope_server.errors import DataRootUnusableError
from attnscope_server.root.data_root import prepare
from attnscope_server.settings import Settings
from attnscope_storage.errors import StorageUnwritableError
from attnscope_storage.layout import bucket_store
from attnscope_storage.layout.bucket import BucketPath


@pytest.mark.parametrize("given", ["s3://lab/attnscope", Path("s3://lab/attnscope")])
def test_a_data_root_may_be_a_bucket(given):
    """Captures lie there; the rest stays in the usual folder, however the bucket was given."""
    settings = Settings(data_root=given)
    assert settings.stores == BucketPath("s3://lab/attnscope")
    assert settings.stores_address == "s3://lab/attnscope"
    assert settings.data_root == Settings().data_root


def test_a_data_root_may_be_a_bucket_in_the_environment(monkeypatch):
    """The variable that names a folder names a bucket too."""
    monkeypatch.setenv("ATTNSCOPE_SERVER_DATA_ROOT", "s3://lab/attnscope")
    assert Settings().bucket == "s3://lab/attnscope"


def test_a_bucket_stands_beside_a_data_root(tmp_path):
    """Both may be said; two buckets may not, and neither may an address that holds a key."""
    assert Settings(data_root=tmp_path, bucket="s3://lab/a").data_root == tmp_path
    assert Settings(data_root=tmp_path).stores == tmp_path
    with pytest.raises(ValidationError, match="two places"):
        Settings(data_root="s3://lab/a", bucket="s3://lab/b")
    with pytest.raises(ValidationError, match="without a key"):
        Settings(bucket="s3://key:secret@lab/a")


def test_a_service_does_not_start_with_a_bucket_that_fails(tmp_path, monkeypatch):
    """The error says why, before a job is lost."""

    def away(*_):
        raise StorageUnwritableError("the bucket does not answer")

    monkeypatch.setattr(bucket_store.BucketStore, "replace", away)
    monkeypatch.setattr(bucket_store.BucketStore, "__init__", lambda *_, **__: None)
    with pytest.raises(DataRootUnusableError, match="does not answer"):
        prepare(Settings(data_root=tmp_path, bucket="s3://lab/a"))
