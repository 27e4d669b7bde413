"""Places in a bucket: their addresses, their errors, and which buckets are taken."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from attnscope_storage.errors import BucketUnusableError, StorageUnwritableError
from attnscope_storage.layout import bucket
from attnscope_storage.layout.bucket import BucketPath, connect, silent
from attnscope_storage.layout.bucket_store import BucketStore, probe
from bucket_server import heedless


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://",
        "s3:///a",
        "http://b/a",
        "s3://key:secret@b/a",
        "s3://b/a?x=1",
        "s3://b/a#x",
        "s3://b//a",
        "s3://b/../a",
        "s3://b/a/",
    ],
)
def test_an_address_that_names_no_place_is_refused(url):
    """The words never repeat an address that may hold a secret."""
    with pytest.raises(BucketUnusableError) as refused:
        BucketPath(url)
    assert "secret" not in str(refused.value)


def test_a_place_is_used_like_a_path():
    """Names, stems and neighbours are those of the last part."""
    path = BucketPath("s3://b/captures") / "1f.zarr"
    assert (path.name, path.stem, str(path.parent)) == ("1f.zarr", "1f", "s3://b/captures")
    assert path.with_name("2a.zarr") == BucketPath("s3://b/captures/2a.zarr")
    assert BucketPath("s3://b/captures").stem == "captures"


def test_stores_are_listed_by_their_folders(place):
    """Each store is one place below its folder, and says its objects with their bytes."""
    path = place()
    BucketStore(path, read_only=False).replace("zarr.json", b"{}", None)
    assert list(path.parent.folders()) == [path]
    assert list(path.objects()) == [("zarr.json", 2)]
    assert path.exists()
    assert not path.with_name("other.zarr").exists()


def test_a_bucket_that_honours_conditions_is_taken(place):
    """The probe leaves nothing behind."""
    path = place()
    probe(path)
    assert list(path.objects()) == []


def test_a_bucket_that_ignores_conditions_is_refused(tmp_path, monkeypatch):
    """Two writers would both commit there."""
    with heedless(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        connect.cache_clear()
        with pytest.raises(BucketUnusableError, match="accepts a second create of one object"):
            probe(BucketPath("s3://attnscope/probe"))
        connect.cache_clear()


def test_a_bucket_that_refuses_the_key_says_so(place, monkeypatch):
    """The error names the place and the refusal, and no secret."""
    path = place()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    connect.cache_clear()
    with pytest.raises(BucketUnusableError, match="s3://attnscope") as refused:
        probe(path)
    assert "another-secret" not in str(refused.value)


def test_a_bucket_that_is_away_is_an_error_of_storage(place, monkeypatch):
    """It comes after the retries, which a test makes short."""
    path = place()
    monkeypatch.setattr(bucket, "RETRIED_FOR", bucket.RETRIED_FOR * 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    connect.cache_clear()
    with pytest.raises(StorageUnwritableError, match="s3://attnscope"):
        path.exists()


def test_a_bucket_is_asked_once_whether_it_answers(place, monkeypatch):
    """One that answers is not silent, though nothing is there; a wrong key and a closed port are told at once."""
    path = place()
    assert silent(path, 5.0) is None
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    refused = silent(path, 5.0)
    assert refused is not None
    assert "another-secret" not in refused
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert silent(path, 5.0) is not None


class Starting(BaseHTTPRequestHandler):
    """A bucket that starts: it answers the first forty requests by 503, then every one by an ETag."""

    asked = 0

    def do_HEAD(self) -> None:
        """Answer a question about an object."""
        Starting.asked += 1
        self.send_response(503 if Starting.asked <= 40 else 200)
        self.send_header("ETag", '"there"')
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_bucket_that_starts_is_waited_for(place, monkeypatch):
    """The time ends the tries of a request, not their number: a server that starts again answers many by an error."""
    path = place()
    monkeypatch.setattr(bucket, "BETWEEN_TRIES", timedelta(milliseconds=2))
    with ThreadingHTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        connect.cache_clear()
        assert path.stamp() == '"there"'
        server.shutdown()
    assert Starting.asked == 41


def test_reading_loads_no_bucket_library():
    """The laptop and the service load obstore only where a bucket is used."""
    modules = "attnscope_storage.writing.writer, attnscope_storage.reading.reader"
    program = f"import sys, {modules}; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
