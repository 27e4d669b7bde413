"""Errors of the client.

::

    AttnscopeError                                   attnscope_storage.errors
    ├── StorageError and its tree                    attnscope_storage.errors: captures on this disk
    ├── ConfigurationError (ValueError)              no service named, or a key that must not travel
    ├── ConnectionFailedError (ConnectionError)      no answer from the service
    ├── UnexpectedAnswerError (RuntimeError)         an answer that breaks the contract
    ├── MissingPackageError (ImportError)            an optional package is not installed
    ├── JobNameError (LookupError)                   no job of that name, or several
    ├── MapNotSampledError (LookupError)             no whole map is stored for that step
    ├── DownloadRefusedError (FileExistsError)       the folder holds something else
    ├── WaitTimeoutError (TimeoutError)              the job did not end in the time given
    ├── JobFailedError (RuntimeError)                the job ended by an error
    ├── JobCancelledError (RuntimeError)             the job was cancelled
    └── ServiceError                                 the service said why: a problem document
        ├── RequestRefusedError (ValueError)         the request must change
        │   ├── UnknownCheckpointError, UnknownEnvironmentError, AmbiguousNameError, NotCapturedError (LookupError)
        │   └── InvalidRequestError, MethodNotAllowedError, UnsupportedMediaTypeError, TooLargeError,
        │       RangeNotSatisfiableError, NotReplayableError, ConflictError
        ├── AuthenticationError (PermissionError)
        │   ├── UnauthenticatedError
        │   └── ForbiddenError
        ├── NotFoundError (LookupError)
        │   └── GoneError
        ├── BusyError                                the same request may succeed later
        │   ├── TooManyRequestsError
        │   └── UnavailableError
        ├── RemoteStorageError                       also the storage error it resembles
        │   ├── RemoteNotCommittedError (NotCommittedError)
        │   ├── RemoteChunkLostError (ChunkLostError)
        │   ├── RemoteChunkDamagedError (ChunkDamagedError)
        │   ├── RemoteStorageFullError (StorageFullError)
        │   └── RemoteStorageUnwritableError (StorageUnwritableError)
        └── ServiceFaultError (RuntimeError)         the service or a job of it went wrong
            ├── OutOfMemoryError (MemoryError)
            └── CheckpointUnreadableError, NotReproducibleError, CaptureInvalidError, ReplayDiffersError,
                InterruptedTooOftenError, InternalError

So ``except ChunkLostError`` catches a lost chunk wherever the capture lives. A code that this version does not know
becomes `ServiceError` itself.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attnscope_storage import errors as at_rest
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import Problem, ProblemCode


class ConfigurationError(AttnscopeError, ValueError):
    """The service's address or key is missing or not usable."""


class ConnectionFailedError(AttnscopeError, ConnectionError):
    """The service cannot be reached."""


class UnexpectedAnswerError(AttnscopeError, RuntimeError):
    """The service sent something that is not part of the contract."""


class MissingPackageError(AttnscopeError, ImportError):
    """An optional package is not installed."""


class JobNameError(AttnscopeError, LookupError):
    """No job has this name, or several do."""


class MapNotSampledError(AttnscopeError, LookupError):
    """No whole attention map is stored for this step."""


class DownloadRefusedError(AttnscopeError, FileExistsError):
    """The folder already holds something else."""


class WaitTimeoutError(AttnscopeError, TimeoutError):
    """The job did not end in the time given."""


class JobCancelledError(AttnscopeError, RuntimeError):
    """The job was cancelled; what was committed stays readable."""


class JobFailedError(AttnscopeError, RuntimeError):
    """The job ended by an error."""

    def __init__(self, message: str | None = None, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem
        """Why, as the service recorded it."""


class ServiceError(AttnscopeError):
    """The service answered with a problem."""

    code: ClassVar[ProblemCode | None] = None
    """The wire code of this class; None for the classes that only group."""

    def __init__(self, message: str | None = None, problem: Problem | None = None) -> None:
        super().__init__(message or (problem.detail if problem else None))
        self.problem = problem
        """The document that the service sent."""


class RequestRefusedError(ServiceError, ValueError):
    """The request must change."""


class InvalidRequestError(RequestRefusedError):
    """The request is malformed, or a value lies outside its range."""

    code = ProblemCode.INVALID_REQUEST


class UnknownCheckpointError(RequestRefusedError, LookupError):
    """No checkpoint of that id or name is registered."""

    code = ProblemCode.UNKNOWN_CHECKPOINT


class UnknownEnvironmentError(RequestRefusedError, LookupError):
    """The environment is not on the operator's list."""

    code = ProblemCode.UNKNOWN_ENVIRONMENT


class AmbiguousNameError(RequestRefusedError, LookupError):
    """A prefix or name fits several."""

    code = ProblemCode.AMBIGUOUS_NAME


class MethodNotAllowedError(RequestRefusedError):
    """The route exists, but not with this method."""

    code = ProblemCode.METHOD_NOT_ALLOWED


class UnsupportedMediaTypeError(RequestRefusedError):
    """The service wants another kind of body."""

    code = ProblemCode.UNSUPPORTED_MEDIA_TYPE


class TooLargeError(RequestRefusedError):
    """A cap of the service spoke; `problem` holds the limit and what was asked."""

    code = ProblemCode.TOO_LARGE


class RangeNotSatisfiableError(RequestRefusedError):
    """A byte range lies past the end."""

    code = ProblemCode.RANGE_NOT_SATISFIABLE


class NotCapturedError(RequestRefusedError, LookupError):
    """The job was told not to store this."""

    code = ProblemCode.NOT_CAPTURED


class NotReplayableError(RequestRefusedError):
    """This capture, or its policy, does not allow that kind of map."""

    code = ProblemCode.NOT_REPLAYABLE


class ConflictError(RequestRefusedError):
    """The id is taken by another specification, or the job's state forbids it."""

    code = ProblemCode.CONFLICT


class AuthenticationError(ServiceError, PermissionError):
    """The key is missing, wrong, or not enough."""


class UnauthenticatedError(AuthenticationError):
    """The service wants a valid API key."""

    code = ProblemCode.UNAUTHENTICATED


class ForbiddenError(AuthenticationError):
    """The key lacks the scope, or the capture cannot be read with it."""

    code = ProblemCode.FORBIDDEN


class NotFoundError(ServiceError, LookupError):
    """The service has no such thing for this key."""

    code = ProblemCode.NOT_FOUND


class GoneError(NotFoundError):
    """It was deleted."""

    code = ProblemCode.GONE


class BusyError(ServiceError):
    """Not now; the same request may succeed later."""


class TooManyRequestsError(BusyError):
    """A cap on simultaneous or queued work spoke."""

    code = ProblemCode.TOO_MANY_REQUESTS


class UnavailableError(BusyError):
    """The service is starting, stopping or waiting for its database."""

    code = ProblemCode.UNAVAILABLE


class RemoteStorageError(ServiceError):
    """The capture cannot be read or written where the service keeps it."""


class RemoteNotCommittedError(RemoteStorageError, at_rest.NotCommittedError):
    """These steps are not committed yet."""

    code = ProblemCode.NOT_COMMITTED


class RemoteChunkLostError(RemoteStorageError, at_rest.ChunkLostError):
    """A committed chunk is missing on the service's disk."""

    code = ProblemCode.CHUNK_LOST


class RemoteChunkDamagedError(RemoteStorageError, at_rest.ChunkDamagedError):
    """A committed chunk on the service's disk does not decode."""

    code = ProblemCode.CHUNK_DAMAGED


class RemoteStorageFullError(RemoteStorageError, at_rest.StorageFullError):
    """The service has no space left for captures."""

    code = ProblemCode.STORAGE_FULL


class RemoteStorageUnwritableError(RemoteStorageError, at_rest.StorageUnwritableError):
    """The service's data root refuses writes."""

    code = ProblemCode.STORAGE_UNWRITABLE


class ServiceFaultError(ServiceError, RuntimeError):
    """The service, or a job of it, went wrong."""


class OutOfMemoryError(ServiceFaultError, MemoryError):
    """Host or device memory ran out while the job ran."""

    code = ProblemCode.OUT_OF_MEMORY


class CheckpointUnreadableError(ServiceFaultError):
    """The checkpoint is missing, damaged, or changed since it was registered."""

    code = ProblemCode.CHECKPOINT_UNREADABLE


class NotReproducibleError(ServiceFaultError):
    """A resumed environment gave other observations."""

    code = ProblemCode.NOT_REPRODUCIBLE


class CaptureInvalidError(ServiceFaultError):
    """The captured attention breaks its contract."""

    code = ProblemCode.CAPTURE_INVALID


class ReplayDiffersError(ServiceFaultError):
    """What the service replayed is not what the capture stored, so there is no map."""

    code = ProblemCode.REPLAY_DIFFERS


class InterruptedTooOftenError(ServiceFaultError):
    """The job was interrupted again and again without a new commit."""

    code = ProblemCode.INTERRUPTED_TOO_OFTEN


class InternalError(ServiceFaultError):
    """A fault of attnscope itself."""

    code = ProblemCode.INTERNAL


def _subclasses(base: type[ServiceError]) -> list[type[ServiceError]]:
    return [kind for child in base.__subclasses__() for kind in (child, *_subclasses(child))]


ERRORS: Final[dict[ProblemCode, type[ServiceError]]] = {
    kind.code: kind for kind in _subclasses(ServiceError) if kind.code is not None and "code" in vars(kind)
}
"""Wire code → the class that the client raises."""


def error_of(problem: Problem) -> ServiceError:
    """Return the exception for a problem document; `ServiceError` itself where the code is not known here."""
    kind = ERRORS.get(problem.code, ServiceError) if problem.code is not None else ServiceError
    return kind(problem=problem)
