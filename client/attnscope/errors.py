"""Errors of the client.

::

    AttnscopeError                                   attnscope_storage.errors
    ├── StorageError and its tree                    attnscope_storage.errors: captures on this disk
    ├── ConfigurationError, LoopUnfitError, CheckpointRefusedError (ValueError)
    ├── JobNameError, MapNotSampledError (LookupError), OutsideError (IndexError), MissingPackageError (ImportError)
    ├── ConnectionFailedError (ConnectionError), WaitTimeoutError (TimeoutError), DownloadRefusedError (FileExistsError)
    ├── UnexpectedAnswerError, JobFailedError, JobCancelledError (RuntimeError)
    └── ServiceError                                 the service said why: a problem document
        ├── RequestRefusedError (ValueError)         the request must change
        │   ├── UnknownCheckpointError, UnknownEnvironmentError, AmbiguousNameError, NotCapturedError (LookupError)
        │   │   └── AbsentArrayError (NotCapturedError, AttributeError)
        │   └── InvalidRequestError, MethodNotAllowedError, UnsupportedMediaTypeError, TooLargeError,
        │       RangeNotSatisfiableError, NotReplayableError, ConflictError
        ├── AuthenticationError (PermissionError)    UnauthenticatedError, ForbiddenError
        ├── NotFoundError (LookupError)              GoneError
        ├── BusyError                                the same request may succeed later: TooManyRequestsError,
        │                                            UnavailableError
        ├── RemoteStorageError                       also the storage error it resembles: RemoteNotCommittedError,
        │                                            RemoteChunkLostError, RemoteChunkDamagedError,
        │                                            RemoteStorageFullError, RemoteStorageUnwritableError
        └── ServiceFaultError (RuntimeError)         the service or a job of it went wrong
            ├── OutOfMemoryError (MemoryError)
            └── CheckpointUnreadableError, RecordUnreadableError, NotReproducibleError, CaptureInvalidError,
                ReplayDiffersError, InterruptedTooOftenError, InternalError

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


class OutsideError(AttnscopeError, IndexError):
    """An index lies outside what is stored."""


class LoopUnfitError(AttnscopeError, ValueError):
    """A loop of one's own gives nothing that could be compared with a decision."""


class DownloadRefusedError(AttnscopeError, FileExistsError):
    """The folder already holds something else."""


class CheckpointRefusedError(AttnscopeError, ValueError):
    """The checkpoint cannot be registered."""


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


ERRORS: Final[dict[ProblemCode, type[ServiceError]]] = {}
"""Wire code → the class that the client raises; every class below that has a code enters itself."""


class ServiceError(AttnscopeError):
    """The service answered with a problem."""

    code: ClassVar[ProblemCode | None] = None
    """The wire code of this class; None for the classes that only group."""

    def __init_subclass__(cls, code: ProblemCode | None = None) -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code = code
            ERRORS[code] = cls

    def __init__(self, message: str | None = None, problem: Problem | None = None) -> None:
        super().__init__(message or (problem.detail if problem else None))
        self.problem = problem
        """The document that the service sent."""


class RequestRefusedError(ServiceError, ValueError):
    """The request must change."""


class InvalidRequestError(RequestRefusedError, code=ProblemCode.INVALID_REQUEST):
    """The request is malformed, or a value lies outside its range."""


class UnknownCheckpointError(RequestRefusedError, LookupError, code=ProblemCode.UNKNOWN_CHECKPOINT):
    """No checkpoint of that id or name is registered."""


class UnknownEnvironmentError(RequestRefusedError, LookupError, code=ProblemCode.UNKNOWN_ENVIRONMENT):
    """The environment is not on the operator's list."""


class AmbiguousNameError(RequestRefusedError, LookupError, code=ProblemCode.AMBIGUOUS_NAME):
    """A prefix or name fits several."""


class MethodNotAllowedError(RequestRefusedError, code=ProblemCode.METHOD_NOT_ALLOWED):
    """The route exists, but not with this method."""


class UnsupportedMediaTypeError(RequestRefusedError, code=ProblemCode.UNSUPPORTED_MEDIA_TYPE):
    """The service wants another kind of body."""


class TooLargeError(RequestRefusedError, code=ProblemCode.TOO_LARGE):
    """A cap of the service spoke; `problem` holds the limit and what was asked."""


class RangeNotSatisfiableError(RequestRefusedError, code=ProblemCode.RANGE_NOT_SATISFIABLE):
    """A byte range lies past the end."""


class NotCapturedError(RequestRefusedError, LookupError, code=ProblemCode.NOT_CAPTURED):
    """The job was told not to store this."""


class AbsentArrayError(NotCapturedError, AttributeError):
    """The capture has no array of this name; as an attribute of a group of arrays it is no attribute either."""


class NotReplayableError(RequestRefusedError, code=ProblemCode.NOT_REPLAYABLE):
    """This capture, or its policy, does not allow that kind of map."""


class ConflictError(RequestRefusedError, code=ProblemCode.CONFLICT):
    """The id is taken by another specification, or the job's state forbids it."""


class AuthenticationError(ServiceError, PermissionError):
    """The key is missing, wrong, or not enough."""


class UnauthenticatedError(AuthenticationError, code=ProblemCode.UNAUTHENTICATED):
    """The service wants a valid API key."""


class ForbiddenError(AuthenticationError, code=ProblemCode.FORBIDDEN):
    """The key lacks the scope, or the capture cannot be read with it."""


class NotFoundError(ServiceError, LookupError, code=ProblemCode.NOT_FOUND):
    """The service has no such thing for this key."""


class GoneError(NotFoundError, code=ProblemCode.GONE):
    """It was deleted."""


class BusyError(ServiceError):
    """Not now; the same request may succeed later."""


class TooManyRequestsError(BusyError, code=ProblemCode.TOO_MANY_REQUESTS):
    """A cap on simultaneous or queued work spoke."""


class UnavailableError(BusyError, code=ProblemCode.UNAVAILABLE):
    """The service is starting, stopping or waiting for its database."""


class RemoteStorageError(ServiceError):
    """The capture cannot be read or written where the service keeps it."""


class RemoteNotCommittedError(RemoteStorageError, at_rest.NotCommittedError, code=ProblemCode.NOT_COMMITTED):
    """These steps are not committed yet."""


class RemoteChunkLostError(RemoteStorageError, at_rest.ChunkLostError, code=ProblemCode.CHUNK_LOST):
    """A committed chunk is missing on the service's disk."""


class RemoteChunkDamagedError(RemoteStorageError, at_rest.ChunkDamagedError, code=ProblemCode.CHUNK_DAMAGED):
    """A committed chunk on the service's disk does not decode."""


class RemoteStorageFullError(RemoteStorageError, at_rest.StorageFullError, code=ProblemCode.STORAGE_FULL):
    """The service has no space left for captures."""


class RemoteStorageUnwritableError(
    RemoteStorageError, at_rest.StorageUnwritableError, code=ProblemCode.STORAGE_UNWRITABLE
):
    """The service's data root refuses writes."""


class ServiceFaultError(ServiceError, RuntimeError):
    """The service, or a job of it, went wrong."""


class OutOfMemoryError(ServiceFaultError, MemoryError, code=ProblemCode.OUT_OF_MEMORY):
    """Host or device memory ran out while the job ran."""


class CheckpointUnreadableError(ServiceFaultError, code=ProblemCode.CHECKPOINT_UNREADABLE):
    """The checkpoint is missing, damaged, or changed since it was registered."""


class RecordUnreadableError(ServiceFaultError, code=ProblemCode.RECORD_UNREADABLE):
    """The service cannot read its record of the job; its other jobs are not touched."""


class NotReproducibleError(ServiceFaultError, code=ProblemCode.NOT_REPRODUCIBLE):
    """A resumed environment gave other observations."""


class CaptureInvalidError(ServiceFaultError, code=ProblemCode.CAPTURE_INVALID):
    """The captured attention breaks its contract."""


class ReplayDiffersError(ServiceFaultError, code=ProblemCode.REPLAY_DIFFERS):
    """The replay of the service differs from the stored capture, so there is no map."""


class InterruptedTooOftenError(ServiceFaultError, code=ProblemCode.INTERRUPTED_TOO_OFTEN):
    """The job was interrupted again and again without a new commit."""


class InternalError(ServiceFaultError, code=ProblemCode.INTERNAL):
    """A fault of attnscope itself."""


def error_of(problem: Problem) -> ServiceError:
    """Return the exception for a problem document; `ServiceError` itself where the code is not known here."""
    kind = ERRORS.get(problem.code, ServiceError) if problem.code is not None else ServiceError
    return kind(problem=problem)
