"""Errors of the service.

::

    AttnscopeError
    └── ServiceError
        ├── ProblemError                       answers a request, or ends a job, with a problem document
        ├── TransitionError (ValueError)       a job cannot go from this state to that one
        ├── DataRootInUseError (RuntimeError)  another service works on this data root
        ├── DataRootUnusableError (OSError)    the data root cannot be made or written
        ├── DatabaseVersionError (ValueError)  the job database was written by a newer version
        ├── DatabaseDamagedError (ValueError)  the job database is not one
        ├── DatabaseMissingError (LookupError) there are captures, and no job database
        ├── RecordUnreadableError (ValueError) the database holds a job that this version cannot read
        ├── DatabaseGoneError (OSError)        the job database was taken away while the service ran
        ├── DatabaseUnreachableError (OSError) the server of the job database does not answer
        ├── DatabaseBusyError (TimeoutError)   too many writers wait for the job database
        ├── BackupRefusedError (FileExistsError) a backup or data root cannot be made at this place
        ├── BackupUnreadableError (ValueError) this is no backup, or a damaged one
        ├── AddressUnusableError (OSError)     the service cannot listen where it should
        ├── ExposureError (ValueError)         the service would listen beyond this machine unprotected
        ├── HubRefusedError (ValueError)        a repository of the Hub cannot be fetched
        ├── SettingUnusableError (ValueError)  a setting names what this machine does not have
        └── KeyUnknownError (LookupError)      no API key of that id
"""

from __future__ import annotations

from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import Problem, ProblemCode, problem


class ServiceError(AttnscopeError):
    """The service could not do this."""


class ProblemError(ServiceError):
    """A request was refused, or a job failed, for a reason that a problem document states."""

    def __init__(self, document: Problem) -> None:
        super().__init__(document.detail)
        self.problem = document


def refusal(
    code: ProblemCode, detail: str, *, limit: float | None = None, requested: float | None = None
) -> ProblemError:
    """Return the error that answers with this code; raise it at the place that refuses."""
    return ProblemError(problem(code, detail, limit=limit, requested=requested))


class TransitionError(ServiceError, ValueError):
    """A job cannot go from this state to that one."""


class DataRootInUseError(ServiceError, RuntimeError):
    """Another attnscope service works on this data root."""


class DataRootUnusableError(ServiceError, OSError):
    """The data root cannot be made or written."""


class DatabaseVersionError(ServiceError, ValueError):
    """The job database was written by a newer version of attnscope."""


class DatabaseDamagedError(ServiceError, ValueError):
    """The job database cannot be read."""


class DatabaseMissingError(ServiceError, LookupError):
    """There are captures, but no job database that knows them."""


class RecordUnreadableError(ServiceError, ValueError):
    """The database holds a job that this version of attnscope cannot read."""


class DatabaseGoneError(ServiceError, OSError):
    """The job database was taken away while the service ran."""


class DatabaseUnreachableError(ServiceError, OSError):
    """The server of the job database does not answer, or refuses the account."""


class DatabaseBusyError(ServiceError, TimeoutError):
    """Too many writers wait for the job database, or one has held it for long."""


class BackupRefusedError(ServiceError, FileExistsError):
    """A backup, or a data root from one, cannot be made at this place."""


class BackupUnreadableError(ServiceError, ValueError):
    """This is no backup, or a damaged one."""


class AddressUnusableError(ServiceError, OSError):
    """The service cannot listen at this address and port."""


class ExposureError(ServiceError, ValueError):
    """The service would listen beyond this machine unprotected."""


class HubRefusedError(ServiceError, ValueError):
    """This repository of the Hub is not fetched."""


class SettingUnusableError(ServiceError, ValueError):
    """A setting names what this machine does not have, so that every job or every start would fail by it."""


class KeyUnknownError(ServiceError, LookupError):
    """There is no API key of that id."""
