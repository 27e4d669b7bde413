"""Screening: how a policy's decisions change on stored histories when it sees less of them; no environment is stepped.

`screen` is the public function. Trials, which act, live in `attnscope_server.trials`.
"""

from attnscope_server.screening.histories import Histories
from attnscope_server.screening.judging import Screened, screen

__all__ = ["Histories", "Screened", "screen"]
