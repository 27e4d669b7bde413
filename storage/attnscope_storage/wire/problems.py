"""Problems on the wire: RFC 9457 documents and the codes that both sides know.

A code is written once, here. The service raises it, the client maps it to an error class, and a test proves that
the two tables hold the same codes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field

from attnscope_storage.wire.base import Received

PROBLEM_TYPE_PREFIX: Final = "urn:attnscope:problem:"
"""The text before a code in a problem's ``type``."""

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
"""Media type of every error answer."""


class ProblemCode(StrEnum):
    """Why a request was refused or a job failed."""

    INVALID_REQUEST = "invalid-request"  # malformed, or a value outside its range
    UNKNOWN_CHECKPOINT = "unknown-checkpoint"  # no registered checkpoint of that id or name
    UNKNOWN_ENVIRONMENT = "unknown-environment"  # not on the operator's list
    AMBIGUOUS_NAME = "ambiguous-name"  # a prefix or name that fits several
    UNAUTHENTICATED = "unauthenticated"  # no key, or not a valid one
    FORBIDDEN = "forbidden"  # the key lacks the scope, or the capture is not readable with it
    NOT_FOUND = "not-found"  # no such route, job or capture for this owner
    METHOD_NOT_ALLOWED = "method-not-allowed"  # the route exists, not with this method
    CONFLICT = "conflict"  # the id is taken by another spec, or the state forbids it
    GONE = "gone"  # deleted; the id stays reserved
    TOO_LARGE = "too-large"  # a cap spoke: see `limit` and `requested`
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"  # the body must be JSON
    NOT_COMMITTED = "not-committed"  # beyond the committed steps
    RANGE_NOT_SATISFIABLE = "range-not-satisfiable"  # a Range past the end
    TOO_MANY_REQUESTS = "too-many-requests"  # a cap on simultaneous or queued work spoke
    NOT_CAPTURED = "not-captured"  # the job was told not to store this
    CHUNK_LOST = "chunk-lost"  # a committed chunk is missing on disk
    CHUNK_DAMAGED = "chunk-damaged"  # a committed chunk does not decode
    STORAGE_FULL = "storage-full"  # no space left for captures
    STORAGE_UNWRITABLE = "storage-unwritable"  # the data root refuses writes
    OUT_OF_MEMORY = "out-of-memory"  # host or device memory ran out while the job ran
    CHECKPOINT_UNREADABLE = "checkpoint-unreadable"  # missing, damaged or changed since it was registered
    RECORD_UNREADABLE = "record-unreadable"  # what the job database holds of the job is not what this version reads
    NOT_REPRODUCIBLE = "not-reproducible"  # a resumed environment gave other observations
    CAPTURE_INVALID = "capture-invalid"  # attention rows that do not sum to one, or layers missing
    NOT_REPLAYABLE = "not-replayable"  # this capture or this policy does not allow that kind of map
    REPLAY_DIFFERS = "replay-differs"  # what was replayed is not what the capture stored
    INTERRUPTED_TOO_OFTEN = "interrupted-too-often"  # three interruptions without a new commit
    UNAVAILABLE = "unavailable"  # starting, stopping, or the database is busy
    INTERNAL = "internal"  # a fault of attnscope itself


PROBLEMS: Final[dict[ProblemCode, tuple[int, str, bool]]] = {
    ProblemCode.INVALID_REQUEST: (400, "The request is not valid", False),
    ProblemCode.UNKNOWN_CHECKPOINT: (422, "No such checkpoint is registered", False),
    ProblemCode.UNKNOWN_ENVIRONMENT: (422, "No such environment is listed", False),
    ProblemCode.AMBIGUOUS_NAME: (422, "The name fits several", False),
    ProblemCode.UNAUTHENTICATED: (401, "A valid API key is needed", False),
    ProblemCode.FORBIDDEN: (403, "This key may not do that", False),
    ProblemCode.NOT_FOUND: (404, "Not found", False),
    ProblemCode.METHOD_NOT_ALLOWED: (405, "Method not allowed", False),
    ProblemCode.CONFLICT: (409, "In conflict with what is stored", False),
    ProblemCode.GONE: (410, "Deleted", False),
    ProblemCode.TOO_LARGE: (413, "Larger than this service allows", False),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: (415, "Unsupported media type", False),
    ProblemCode.NOT_COMMITTED: (416, "Beyond the committed steps", True),
    ProblemCode.RANGE_NOT_SATISFIABLE: (416, "Range not satisfiable", False),
    ProblemCode.TOO_MANY_REQUESTS: (429, "Too many at once", True),
    ProblemCode.NOT_CAPTURED: (422, "This was not captured", False),
    ProblemCode.CHUNK_LOST: (500, "A committed chunk is missing", False),
    ProblemCode.CHUNK_DAMAGED: (500, "A committed chunk is damaged", False),
    ProblemCode.STORAGE_FULL: (507, "No space left for captures", False),
    ProblemCode.STORAGE_UNWRITABLE: (500, "The data root refuses writes", False),
    ProblemCode.OUT_OF_MEMORY: (500, "Out of memory", False),
    ProblemCode.CHECKPOINT_UNREADABLE: (500, "The checkpoint cannot be read", False),
    ProblemCode.RECORD_UNREADABLE: (500, "The record of the job cannot be read", False),
    ProblemCode.NOT_REPRODUCIBLE: (500, "The environment does not reproduce its observations", False),
    ProblemCode.CAPTURE_INVALID: (500, "The captured attention breaks its contract", False),
    ProblemCode.NOT_REPLAYABLE: (422, "This cannot be replayed", False),
    ProblemCode.REPLAY_DIFFERS: (500, "The replayed decision is not the stored one", False),
    ProblemCode.INTERRUPTED_TOO_OFTEN: (500, "Interrupted too often without progress", False),
    ProblemCode.UNAVAILABLE: (503, "Not available right now", True),
    ProblemCode.INTERNAL: (500, "An error inside attnscope", False),
}
"""Code → (HTTP status, title, whether the same request may succeed later)."""


class Problem(Received):
    """An RFC 9457 problem document; also how a failed job says why."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    retryable: bool = False
    limit: float | None = Field(default=None, description="The cap that spoke.")
    requested: float | None = Field(default=None, description="What was asked for, in the cap's unit.")

    @property
    def code(self) -> ProblemCode | None:
        """The code, or None where a newer service sent one that is not known here."""
        try:
            return ProblemCode(self.type.removeprefix(PROBLEM_TYPE_PREFIX))
        except ValueError:
            return None


def problem(
    code: ProblemCode,
    detail: str,
    *,
    instance: str | None = None,
    limit: float | None = None,
    requested: float | None = None,
) -> Problem:
    """Return the problem document of a code, with the status and title that belong to it."""
    status, title, retryable = PROBLEMS[code]
    return Problem(
        type=PROBLEM_TYPE_PREFIX + code,
        title=title,
        status=status,
        detail=detail,
        instance=instance,
        retryable=retryable,
        limit=limit,
        requested=requested,
    )
