"""The service's machine as a node: Ray's program is found, and knows the options."""

from __future__ import annotations

import subprocess

from attnscope_server.running.on_ray.node import OPTIONS, RAY


def test_the_program_of_ray_knows_the_options():
    """It runs by this interpreter, and lists each option that a node is started with."""
    answer = subprocess.run([*RAY, "start", "--help"], capture_output=True, text=True, check=True)
    missing = [option for option in OPTIONS if option.partition("=")[0] not in answer.stdout]
    assert missing == []
