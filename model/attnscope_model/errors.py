"""Errors of policies and checkpoints.

::

    AttnscopeError
    ├── CaptureInvalidError (ValueError)              attention that breaks its promise
    ├── CompressionUnfitError (ValueError)            a compression that the policy does not allow
    ├── ReplayError                                   a decision that cannot be had again
    │   ├── NotReplayableError (ValueError)           the capture or the policy does not allow what was asked
    │   └── ReplayDiffersError (ValueError)           what was replayed is not what was stored
    └── CheckpointError                               a checkpoint that cannot be used
        ├── CheckpointUnknownError (LookupError)      none of that id or name
        ├── CheckpointAmbiguousError (LookupError)    a name or prefix that fits several
        ├── CheckpointUnreadableError (ValueError)    damaged, malicious, or of no known family
        ├── StatementMissingError (ValueError)        the file does not say, so its user must
        │   └── CausalityUnknownError                 … whether it is causal
        ├── PolicyPackageError (RuntimeError)         an installed policy package that does not load
        ├── CheckpointChangedError (ValueError)       not the bytes that were registered
        ├── CheckpointNameError (ValueError)          a name that is malformed or taken
        ├── TrainTasksError (ValueError)              train tasks that the environment does not have
        └── CheckpointInUseError (RuntimeError)       captures need it for replay
"""

from __future__ import annotations

from attnscope_storage.errors import AttnscopeError


class CaptureInvalidError(AttnscopeError, ValueError):
    """The captured attention is not what it promises to be."""


class CompressionUnfitError(AttnscopeError, ValueError):
    """This policy's context cannot be compressed that way."""


class ReplayError(AttnscopeError):
    """This decision cannot be replayed."""


class NotReplayableError(ReplayError, ValueError):
    """This capture or this policy does not allow what was asked."""


class ReplayDiffersError(ReplayError, ValueError):
    """The replay differs from the stored capture."""


class CheckpointError(AttnscopeError):
    """This checkpoint cannot be used."""


class CheckpointUnknownError(CheckpointError, LookupError):
    """No checkpoint of this id or name is registered."""


class CheckpointAmbiguousError(CheckpointError, LookupError):
    """Several checkpoints fit this name."""


class CheckpointUnreadableError(CheckpointError, ValueError):
    """This file is damaged, holds code, or is of no known family."""


class StatementMissingError(CheckpointError, ValueError):
    """The file does not say all that its policy needs: state it."""


class CausalityUnknownError(StatementMissingError):
    """The file does not say whether the policy is causal: state it."""


class PolicyPackageError(CheckpointError, RuntimeError):
    """An installed policy package does not load."""


class CheckpointChangedError(CheckpointError, ValueError):
    """The stored bytes are not those that were registered."""


class CheckpointNameError(CheckpointError, ValueError):
    """A checkpoint cannot be called that."""


class TrainTasksError(CheckpointError, ValueError):
    """The environment has no such tasks."""


class CheckpointInUseError(CheckpointError, RuntimeError):
    """Captures made with this checkpoint need it for replay."""
