"""The results of a trial: returns, costs and speed of every condition beside the uncompressed rollout."""

from attnscope.trials.results import TrialResults

__all__ = ["TrialResults"]
