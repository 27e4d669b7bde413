"""What is read of a capture for its figures and its report: a stated sample of steps, measured rollout by rollout."""

from attnscope.study.plan import Choice, ReadingPlan
from attnscope.study.study import Study, study

__all__ = ["Choice", "ReadingPlan", "Study", "study"]
