"""Devices that a service is told to use: asked about before the service starts, and refused with torch's reason."""

from __future__ import annotations

import pytest

from attnscope_server.errors import SettingUnusableError
from attnscope_server.running.devices import asked_apart, refuse_unusable, unusable


def test_a_device_that_is_not_here_is_refused_with_the_reason():
    """Whatever this machine has, it has no hundredth GPU; the CPU is always there."""
    assert unusable(["auto", "cpu"]).reasons == {}
    with pytest.raises(
        SettingUnusableError, match=r"the device cuda:99 cannot be used: .*; name devices that are here"
    ):
        refuse_unusable(["cpu", "cuda:99"], unusable)


def test_nothing_is_asked_about_what_every_machine_has():
    """The usual start does not wait for torch."""
    refuse_unusable(["auto", "cpu"], lambda names: pytest.fail(f"asked about {names}"))


@pytest.mark.slow
def test_torch_is_asked_in_a_process_of_its_own():
    """The service itself never imports it."""
    assert list(asked_apart(["cuda:99"]).reasons) == ["cuda:99"]
