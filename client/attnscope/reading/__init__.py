"""The one reading of a capture: its choice, its plan in bytes, its rows and its tally; no figure and no advice."""

from attnscope.reading.choosing import Choice
from attnscope.reading.columns import Overview, overview
from attnscope.reading.opening import read
from attnscope.reading.plan import ReadingPlan
from attnscope.reading.reading import Reading

__all__ = ["Choice", "Overview", "Reading", "ReadingPlan", "overview", "read"]
