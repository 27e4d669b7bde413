"""Learning histories: what an algorithm does while it learns a task, recorded for many tasks at once.

Knows no policy and no tensors; a source sees observations and rewards only, never a goal unless it says so.
"""

from attnscope_env.histories.annealed import AnnealedExpert
from attnscope_env.histories.explorer import Explorer
from attnscope_env.histories.q_learning import QLearning
from attnscope_env.histories.recording import Histories, Recorder, Source, record

__all__ = ["AnnealedExpert", "Explorer", "Histories", "QLearning", "Recorder", "Source", "record"]
