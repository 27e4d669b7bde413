"""Errors of captures at rest, shared by both sides.

::

    AttnscopeError
    └── StorageError
        ├── CaptureNotFoundError (LookupError)    no capture at this place
        ├── CaptureExistsError (FileExistsError)  a capture is here already
        ├── StoreKindError (LookupError)          a capture where a trial is asked for, or the other way round
        ├── NotCommittedError (LookupError)       asked for steps that no commit holds yet
        ├── ChunkLostError (OSError)              a committed chunk is missing on disk
        ├── ChunkDamagedError (OSError)           a committed chunk does not decode
        ├── ChunkRefusedError (ValueError)        a chunk that was sent is none of the next commit's
        ├── CaptureLockedError (RuntimeError)     another writer holds the capture
        ├── FencedError (RuntimeError)            a newer attempt has taken the capture over
        ├── LeaseLostError (TimeoutError)         the attempt could not renew its lease, and may not write
        ├── SchemaVersionError (ValueError)       written by a schema this reader does not know
        ├── SchemaMismatchError (ValueError)      a resumed capture has other arrays than its spec asks for
        ├── VerificationError (ValueError)        a committed row breaks the contract
        ├── BucketUnusableError (RuntimeError)    a bucket that cannot hold stores safely, or its extra is missing
        ├── StorageFullError (OSError)            no space left where captures live
        └── StorageUnwritableError (OSError)      the root refuses writes

The client's errors (``attnscope.errors``) and the service's (``attnscope_server.errors``) grow from
`AttnscopeError` too, so that one ``except`` catches whatever attnscope raises.
"""

from __future__ import annotations


class AttnscopeError(Exception):
    """Something attnscope knows how to explain went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        """The explanation, for people."""
        return str(self.args[0])


class StorageError(AttnscopeError):
    """A capture at rest could not be written or read."""


class CaptureNotFoundError(StorageError, LookupError):
    """There is no capture here."""


class CaptureExistsError(StorageError, FileExistsError):
    """A capture is here already."""


class StoreKindError(StorageError, LookupError):
    """The store holds the result of another kind of job."""


class NotCommittedError(StorageError, LookupError):
    """These steps are not committed."""


class ChunkLostError(StorageError, OSError):
    """A committed chunk is missing on disk."""


class ChunkDamagedError(StorageError, OSError):
    """A committed chunk does not decode."""


class ChunkRefusedError(StorageError, ValueError):
    """This chunk is none of the next commit's."""


class CaptureLockedError(StorageError, RuntimeError):
    """Another writer holds this capture."""


class FencedError(StorageError, RuntimeError):
    """A newer attempt has taken this capture over."""


class LeaseLostError(StorageError, TimeoutError):
    """The attempt that writes could not renew its lease in time."""


class SchemaVersionError(StorageError, ValueError):
    """This capture was written by a schema that this version does not know."""


class SchemaMismatchError(StorageError, ValueError):
    """This capture's arrays are not those that its specification asks for."""


class VerificationError(StorageError, ValueError):
    """A committed row breaks the contract."""


class BucketUnusableError(StorageError, RuntimeError):
    """This bucket cannot hold stores."""


class StorageFullError(StorageError, OSError):
    """No space is left where captures live."""


class StorageUnwritableError(StorageError, OSError):
    """The place where captures live refuses writes."""
