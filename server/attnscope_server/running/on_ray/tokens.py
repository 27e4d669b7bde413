"""A cluster must want a token: it is asked for something without one, and only its refusal lets the service use it.

Run as ``python -m attnscope_server.running.on_ray.tokens ADDRESS``, in a process of its own: Ray reads how it shall
authenticate once a process. It prints one line of JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final, Literal

from attnscope_server.errors import SettingUnusableError
from attnscope_server.running.environment import computing
from attnscope_server.running.messages import Message

SECONDS: Final = 30.0
"""Time for that process, at most."""

ANSWERED_WITHIN: Final = 5
"""Seconds until the cluster must have answered."""


class Answer(Message):
    """Report of that process: how the cluster answered to one who has no token."""

    outcome: Literal["refused", "let in", "unreachable"]
    detail: str = ""


def ask_without_token(address: str) -> Answer:
    """Ask a cluster for something, without a token; the environment must name none."""
    # Only this process and the driver load Ray, whose stubs leave out this class.
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # noqa: PLC0415
    from ray.exceptions import AuthenticationError, RayError  # noqa: PLC0415 - as above

    try:
        GcsClient(address=address).internal_kv_get(b"attnscope", b"attnscope", timeout=ANSWERED_WITHIN)
    except AuthenticationError:
        return Answer(outcome="refused")
    except (RayError, OSError, ValueError) as error:
        return Answer(outcome="unreachable", detail=(str(error).splitlines() or [""])[0][:200])
    return Answer(outcome="let in")


def without_token(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that has no token, also none in the home folder."""
    bare = {name: value for name, value in computing(environment).items() if not name.startswith("RAY_AUTH")}
    return bare | {"RAY_AUTH_MODE": "disabled"}


def asked_apart(address: str) -> Answer:
    """Return what `ask_without_token` says in a process of its own."""
    command = [sys.executable, "-m", __name__, address]
    try:
        done = subprocess.run(  # noqa: S603 - our own
            command, capture_output=True, check=True, timeout=SECONDS, env=without_token(os.environ)
        )
        return Answer.model_validate_json(done.stdout.splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        return Answer(outcome="unreachable", detail=f"it cannot be asked: {error}")


def refuse_open(address: str, answer: Answer) -> None:
    """Refuse a cluster that let somebody in who has no token; one that does not answer may come later.

    Raises
    ------
    SettingUnusableError
        The cluster wants no token.
    """
    if answer.outcome == "let in":
        raise SettingUnusableError(
            f"ray_address: the cluster at {address} wants no token, so whoever reaches it can run code on all of its "
            "machines: start every node of it with RAY_AUTH_MODE=token, and give the token to this service"
        )


if __name__ == "__main__":
    sys.stdout.buffer.write(ask_without_token(sys.argv[1]).line)
