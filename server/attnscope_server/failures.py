"""The one table of errors and the codes of their problems: for answers, for jobs that fail, and for replays.

Whoever lets an error end in a problem asks `problem_of`; a new error of attnscope gets its line here.
"""

from __future__ import annotations

from typing import Final

from attnscope_env import EnvironmentUnusableError
from attnscope_model.errors import (
    CaptureInvalidError,
    CheckpointError,
    CompressionUnfitError,
    NotReplayableError,
    ReplayDiffersError,
)
from attnscope_model.strategies import StrategyError
from attnscope_server.acting.errors import NotReproducibleError, PrecisionUnavailableError
from attnscope_server.errors import ProblemError, RecordUnreadableError
from attnscope_storage.errors import (
    CaptureNotFoundError,
    ChunkDamagedError,
    ChunkLostError,
    NotCommittedError,
    StorageFullError,
    StorageUnwritableError,
)
from attnscope_storage.wire import Problem, ProblemCode, problem

CODES: Final[dict[type[Exception], ProblemCode]] = {
    CaptureInvalidError: ProblemCode.CAPTURE_INVALID,
    CaptureNotFoundError: ProblemCode.NOT_COMMITTED,
    CheckpointError: ProblemCode.CHECKPOINT_UNREADABLE,
    ChunkDamagedError: ProblemCode.CHUNK_DAMAGED,
    ChunkLostError: ProblemCode.CHUNK_LOST,
    CompressionUnfitError: ProblemCode.INVALID_REQUEST,
    EnvironmentUnusableError: ProblemCode.INVALID_REQUEST,
    NotCommittedError: ProblemCode.NOT_COMMITTED,
    NotReplayableError: ProblemCode.NOT_REPLAYABLE,
    NotReproducibleError: ProblemCode.NOT_REPRODUCIBLE,
    PrecisionUnavailableError: ProblemCode.INVALID_REQUEST,
    RecordUnreadableError: ProblemCode.RECORD_UNREADABLE,
    ReplayDiffersError: ProblemCode.REPLAY_DIFFERS,
    StorageFullError: ProblemCode.STORAGE_FULL,
    StorageUnwritableError: ProblemCode.STORAGE_UNWRITABLE,
    StrategyError: ProblemCode.INVALID_REQUEST,
}
"""Error → code. An error has the line of its nearest class here."""

MEMORY_WORDS: Final = ("out of memory", "allocate memory", "not enough memory")
"""Words of the errors by which torch and its devices say that memory ran out."""


def code_of(error: BaseException) -> ProblemCode:
    """Return the code of an error's problem; `INTERNAL` where attnscope does not know it."""
    if isinstance(error, ProblemError):
        return error.problem.code or ProblemCode.INTERNAL
    if out_of_memory(error):
        return ProblemCode.OUT_OF_MEMORY
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), ProblemCode.INTERNAL)


def problem_of(error: BaseException, *, where: str, reduce: str) -> Problem:
    """Return the problem that an error ends in.

    Parameters
    ----------
    where
        Part of the service in which it was raised, as "in the worker"; said of errors that attnscope does not know.
    reduce
        Sentence about memory that ran out: when, or what would need less.
    """
    if isinstance(error, ProblemError):
        return error.problem
    code = code_of(error)
    if code is ProblemCode.OUT_OF_MEMORY:
        return problem(code, reduce)
    if code is ProblemCode.INTERNAL:
        return problem(code, f"{type(error).__name__} {where}; the service's log has the rest")
    return problem(code, str(error))


def out_of_memory(error: BaseException) -> bool:
    """Say whether host or device memory ran out; torch is not imported for it, its errors are RuntimeErrors."""
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    worded = isinstance(error, RuntimeError) and any(words in str(error) for words in MEMORY_WORDS)
    return isinstance(error, MemoryError) or named or worded
