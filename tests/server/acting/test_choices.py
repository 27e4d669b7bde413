"""Random numbers of a rollout: the same whether they are drawn when they are asked for, or ahead in a thread."""

from __future__ import annotations

import numpy as np
import torch

from attnscope_model.acting.outputs import Choice
from attnscope_server.acting import choices
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.choices import device_choices, host_choices

CPU = torch.device("cpu")


def axis_of(envs: int) -> EnvAxis:
    """Return an env axis of one task."""
    zeros = np.zeros(envs, np.int32)
    return EnvAxis(zeros, zeros.astype(np.int64), np.arange(envs, dtype=np.int32), zeros.astype(np.int8), zeros)


def test_actions_by_numbers_drawn_ahead_are_those_of_the_host():
    """Over several draws, and from a later step on as after an interruption, every action is the same."""
    logits = torch.randn(40, 6, 5)
    host, device = host_choices(axis_of(6), 1.0, Choice(5), 64), device_choices(axis_of(6), 1.0, 4, CPU)
    resumed = device_choices(axis_of(6), 1.0, 4, CPU)
    for step in range(40):
        expected = host(step, logits[step])
        assert np.array_equal(device(step, logits[step]).numpy(), expected)
        if step >= 7:
            assert np.array_equal(resumed(step, logits[step]).numpy(), expected)


def test_the_next_numbers_are_drawn_before_they_are_asked_for(monkeypatch):
    """After the first step of a draw the next draw is under way, and is not made again; greedy choices draw nothing."""
    begun, draw = [], choices.uniforms
    monkeypatch.setattr(choices, "uniforms", lambda *given: (begun.append(given[3]), draw(*given))[1])
    asked = device_choices(axis_of(2), 1.0, 4, CPU)
    asked(0, torch.zeros(2, 5))
    asked._next[1].result()
    assert begun == [0, 4]
    for step in range(1, 5):
        asked(step, torch.zeros(2, 5))
    asked._next[1].result()
    assert begun == [0, 4, 8]
    device_choices(axis_of(2), None, 4, CPU)(0, torch.zeros(2, 5))
    assert begun == [0, 4, 8]
