"""Errors of the measures: what cannot be measured is refused with the reason, not answered with a plausible number.

::

    AttnscopeError
    └── MeasureError (ValueError)
        ├── RowsInvalidError       rows or lengths that break the contract of decision rows
        └── NotMeasurableError     nothing in these arrays answers the question
"""

from __future__ import annotations

from attnscope_storage.errors import AttnscopeError


class MeasureError(AttnscopeError, ValueError):
    """A measure cannot be taken of these arrays."""


class RowsInvalidError(MeasureError):
    """The rows break the contract of decision rows."""


class NotMeasurableError(MeasureError):
    """Nothing in these arrays answers the question."""
