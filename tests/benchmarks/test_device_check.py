"""The check of the device's rollout: all of it that needs no GPU."""

from __future__ import annotations

import sys

import pytest
import torch
from benchmarks import device_check
from benchmarks.subject import CPU, subject

from attnscope_server.capturing.device_rollout import DeviceRollout
from reading_here import reading_here


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """Return the causal subject, its file read in this process."""
    with reading_here():
        return subject(tmp_path_factory.mktemp("registry"), causal=True)


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    """It ends with 2 and one sentence, and checks nothing."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["device_check"])
    assert device_check.main() == 2
    assert capsys.readouterr().out.startswith("no GPU: torch sees no CUDA device here, so nothing was checked")


def test_waits_are_errors_while_steps_are_rolled_out_and_nowhere_else(monkeypatch, chosen, tmp_path):
    """Torch is told to raise within a commit and not at its end, and the rollout is left as it was."""
    told, store = [], DeviceRollout._store
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", told.append)
    with device_check.no_waits():
        device_check.captured(chosen, tmp_path, CPU, on_device=True, envs=2, steps=4)
    assert told == ["error", "error", "error", "default", "default", "default"]
    assert DeviceRollout._store is store


def test_captures_that_differ_are_named(chosen, tmp_path):
    """The same capture both ways differs in nothing; one of other actions differs in its rollout."""
    host = device_check.captured(chosen, tmp_path, CPU, on_device=False, envs=2, steps=12)
    there = device_check.captured(chosen, tmp_path, CPU, on_device=True, envs=2, steps=12)
    other = device_check.captured(chosen, tmp_path, CPU, on_device=True, envs=2, steps=12, seeds=[5])
    assert device_check.differing(host, there) == []
    assert "rollout/action" in device_check.differing(host, other)
