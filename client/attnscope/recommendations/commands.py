"""Commands that a reader can paste: the one that decides on a policy, and the one that tries a strategy."""

from __future__ import annotations

import json
import shlex

from attnscope.capture import Capture
from attnscope.recommendations.attention.ranking import Judged


def decide_command(capture: Capture) -> str:
    """Return the command that decides about a capture's policy, in its environment."""
    words = ["attnscope", "decide", capture.resolved.checkpoint_name]
    return shlex.join(words + (_environment(capture) if capture.spec.environment is not None else []))


def trial_command(capture: Capture, one: Judged, budget: float, positions: str) -> str:
    """Return the command that tries a strategy on a capture's policy, in its environment."""
    words = ["attnscope", "trial", "--checkpoint", capture.resolved.checkpoint_name, *_environment(capture)]
    words += ["--strategy", json.dumps(one.rule.spec), "--budget", str(budget), "--positions", positions]
    if one.candidate.interval != 1:  # at every decision it would be an oracle
        words += ["--interval", str(one.candidate.interval)]
    return shlex.join(words)


def _environment(capture: Capture) -> list[str]:
    """Return the options that choose a capture's environment."""
    words, asked = ["--env", capture.resolved.environment_id], capture.spec.environment
    for name, value in (asked.kwargs if asked is not None else {}).items():
        words += ["--env-kwarg", f"{name}={json.dumps(value)}"]
    return words
