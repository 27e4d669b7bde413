"""Why a foreign file is not read."""

from __future__ import annotations

from attnscope_storage.errors import AttnscopeError


class ForeignFileError(AttnscopeError, ValueError):
    """The file is not what it should be: lists of arrays of attention weights."""
