"""Evidence that a service has beside a capture: the newest trial of checkpoints."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from attnscope.errors import NotFoundError
from attnscope.recommendations.beside import find_arms
from attnscope_storage.wire import JobState

OWN = SimpleNamespace(checkpoint_id="a", checkpoint_name="plain", environment_id="room")


def job(name, *, checkpoint="a", environment="room", arms=("plain", "packed"), state=JobState.SUCCEEDED, there=True):
    """Return a job of a trial whose first arm is a checkpoint, as a service lists it."""
    resolved = SimpleNamespace(checkpoint_id=checkpoint, environment_id=environment)
    stored = SimpleNamespace(job=name, spec=SimpleNamespace(arms=arms), resolved=resolved)

    def opened():
        if not there:
            raise NotFoundError("deleted")
        return stored

    return SimpleNamespace(state=state, summary=SimpleNamespace(checkpoint_name="plain"), trial=opened)


def service(*jobs):
    """Return a service that lists trials, newest first, and nothing of another kind."""
    return SimpleNamespace(jobs=lambda kind: iter(jobs if kind == "trial" else ()))


def test_the_newest_trial_of_a_captures_checkpoint_is_found():
    """Of two trials that fit, the newer one is taken."""
    assert find_arms(service(job("newer"), job("older")), OWN).job == "newer"


@pytest.mark.parametrize(
    "unfit",
    [
        {"checkpoint": "b"},
        {"environment": "lake"},
        {"arms": ()},
        {"state": JobState.RUNNING},
        {"there": False},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_trial_that_does_not_fit_is_passed_over(unfit):
    """Another policy's, another environment's, a trial of rules, an unfinished and a deleted one are no evidence."""
    assert find_arms(service(job("newer", **unfit), job("older")), OWN).job == "older"
    assert find_arms(service(job("newer", **unfit)), OWN) is None


def test_a_trial_of_a_checkpoint_with_another_name_is_not_opened():
    """Names are compared before stores are opened: a trial of another name has no request of its own."""
    other = job("newer")
    other.summary.checkpoint_name = "packed"
    other.trial = lambda: pytest.fail("opened")
    assert find_arms(service(other), OWN) is None
