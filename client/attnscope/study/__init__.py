"""The measures of one reading, by name and with intervals, and the captions of its figures; it fetches nothing."""

from attnscope.reading import Choice
from attnscope.study.study import Study, study

__all__ = ["Choice", "Study", "study"]
