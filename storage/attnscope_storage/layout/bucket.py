"""A bucket as the place of stores: conditional writes, one object a key, and errors that say which object.

A bucket has no rename. What a rename does on a disk, a conditional write does here: the root document is replaced only
if it is still the one that was read. Credentials and endpoint come from the environment (``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ALLOW_HTTP``), so no address holds a secret.

Needs the extra ``s3`` (obstore); nothing is imported before a bucket is used.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from attnscope_storage.errors import BucketUnusableError, StorageUnwritableError
from attnscope_storage.layout.root import ROOT_KEY

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Connection

ResultT = TypeVar("ResultT")

SCHEME: Final = "s3"
"""Scheme of a bucket's address: ``s3://BUCKET/PREFIX``."""

RETRIED_FOR: Final = timedelta(seconds=40)
"""Time for which one request is tried again; shorter than the lease of the attempt that asks."""

BETWEEN_TRIES: Final = timedelta(seconds=1)
"""Time from one try to the next, at most."""

DELETED_AT_ONCE: Final = 1000
"""Objects that one request deletes, at most."""

TRIES: Final = 10_000
"""Tries of one request, at most: the time ends them, never this number."""


@dataclass(frozen=True)
class BucketPath:
    """A place in a bucket, used like a path of a disk where both can do the same.

    Parameters
    ----------
    url
        ``s3://BUCKET/PREFIX``, without a slash at its end.

    Raises
    ------
    BucketUnusableError
        The address names no bucket, or more than a bucket and a prefix.
    """

    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != SCHEME or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
            raise BucketUnusableError("expected an address s3://BUCKET/PREFIX, without a key or a question mark in it")
        names = parts.path.removeprefix("/").split("/")
        if parts.path and any(name in {"", ".", ".."} for name in names):
            raise BucketUnusableError(f"{self.url}: expected names between single slashes")

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> BucketPath:
        return BucketPath(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """Last name of the address."""
        return self.url.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Last name without its ending."""
        return self.name.rpartition(".")[0] or self.name

    @property
    def parent(self) -> BucketPath:
        """The place that this one lies in."""
        return BucketPath(self.url.rpartition("/")[0])

    def with_name(self, name: str) -> BucketPath:
        """Return the place of another name beside this one."""
        return self.parent / name

    @property
    def bucket(self) -> BucketPath:
        """The whole bucket."""
        return BucketPath(f"{SCHEME}://{urlsplit(self.url).netloc}")

    @property
    def connection(self) -> Connection:
        """The connection to the bucket, below this place."""
        return connect(self.url)

    def exists(self) -> bool:
        """Return whether a store is there: its root document is."""
        return self.stamp() is not None

    def stamp(self) -> str | None:
        """Return the ETag of the root document; None where there is no store."""
        import obstore  # noqa: PLC0415 - an extra

        with explained(f"{self}/{ROOT_KEY}"):
            try:
                return obstore.head(self.connection, ROOT_KEY)["e_tag"]
            except FileNotFoundError:
                return None

    def committed_at(self) -> int:
        """Return the time of the last commit, in nanoseconds since 1970, by the bucket's clock."""
        import obstore  # noqa: PLC0415 - an extra

        with explained(f"{self}/{ROOT_KEY}"):
            return int(obstore.head(self.connection, ROOT_KEY)["last_modified"].timestamp() * 1e9)

    def is_symlink(self) -> bool:
        """Return False: a bucket has no links."""
        return False

    def folders(self) -> Iterator[BucketPath]:
        """Yield the places directly below this one."""
        import obstore  # noqa: PLC0415 - an extra

        with explained(self.url):
            found = obstore.list_with_delimiter(self.connection, return_arrow=False)
        for prefix in sorted(found["common_prefixes"]):
            yield self / prefix.rstrip("/").rpartition("/")[2]

    def objects(self) -> Iterator[tuple[str, int]]:
        """Yield the key of every object below this place, with its bytes."""
        import obstore  # noqa: PLC0415 - an extra

        with explained(self.url):
            for batch in obstore.list(self.connection, return_arrow=False):
                for one in batch:
                    yield one["path"], one["size"]

    def remove(self) -> None:
        """Delete the store: its root document first, so that no reader finds half of it. Safe to repeat."""
        import obstore  # noqa: PLC0415 - an extra

        with explained(self.url), contextlib.suppress(FileNotFoundError):
            obstore.delete(self.connection, ROOT_KEY)
        self.remove_objects([key for key, _ in self.objects()])

    def remove_objects(self, keys: Sequence[str]) -> None:
        """Delete objects below this place; those that are gone are left out."""
        import obstore  # noqa: PLC0415 - an extra

        with explained(self.url):
            for first in range(0, len(keys), DELETED_AT_ONCE):
                with contextlib.suppress(FileNotFoundError):
                    obstore.delete(self.connection, keys[first : first + DELETED_AT_ONCE])


StorePath = Path | BucketPath
"""The place of a store: a folder, or a place in a bucket."""


@functools.lru_cache(maxsize=256)
def connect(url: str) -> Connection:
    """Return a connection to a place in a bucket.

    Raises
    ------
    BucketUnusableError
        The extra ``s3`` is not installed, or the environment says no key or region that fits.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
        from obstore.store import S3Store  # noqa: PLC0415 - as above
    except ImportError as error:
        raise BucketUnusableError("a bucket needs the extra s3: pip install 'attnscope[s3]'") from error
    try:
        retry: RetryConfig = {
            "max_retries": TRIES,
            "retry_timeout": RETRIED_FOR,
            "backoff": {"init_backoff": BETWEEN_TRIES / 10, "max_backoff": BETWEEN_TRIES},
        }
        return S3Store.from_url(url, retry_config=retry)
    except BaseError as error:
        raise BucketUnusableError(f"{url}: {first_line(error)}") from error


def silent(place: BucketPath, seconds: float) -> str | None:
    """Ask a bucket one question, once; return why no answer came within so many seconds, None where one came."""
    import obstore  # noqa: PLC0415 - an extra
    from obstore.exceptions import BaseError  # noqa: PLC0415 - as above
    from obstore.store import S3Store  # noqa: PLC0415 - as above

    plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true"}  # options given here hide this variable
    within: ClientConfig = {"timeout": timedelta(seconds=seconds), "allow_http": plain}
    try:
        asked = S3Store.from_url(place.url, retry_config={"max_retries": 0}, client_options=within)
        obstore.head(asked, ROOT_KEY)
    except FileNotFoundError:
        return None
    except BaseError as error:
        return first_line(error)
    return None


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the errors of a bucket into ours."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

    try:
        yield
    except BaseError as error:
        raise StorageUnwritableError(f"the bucket does not do what was asked of {what}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; the rest is a trace."""
    return str(error).partition("\n")[0]
