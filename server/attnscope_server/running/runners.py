"""The runners that a service may name: attnscope's own, and those of installed packages.

A runner is loaded only where the settings name it, and with it the packages that it needs.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

from attnscope_server.errors import SettingUnusableError
from attnscope_server.running.runner import Runner
from attnscope_server.settings import Settings
from attnscope_storage.wire.contract import imported

GROUP: Final = "attnscope.runners"
"""Entry points of installed packages: the name of a runner, and a function of the settings that returns it."""

OWN: Final = MappingProxyType(
    {
        "process": "attnscope_server.running.process_runner:ProcessRunner",
        "ray": "attnscope_server.running.on_ray.runner:RayRunner",
        "pull": "attnscope_server.pulling.runner:PullRunner",
    }
)
"""Name → import path of attnscope's own runners."""


def runners_of(settings: Settings) -> tuple[Runner, ...]:
    """Return the runners that the settings name, in their order.

    Raises
    ------
    SettingUnusableError
        There is no runner of a name, or it cannot be loaded, or two of them have one name.
    """
    made = tuple(_runner(name, settings) for name in settings.runners)
    names = [runner.name for runner in made]
    if len(set(names)) < len(names):
        raise SettingUnusableError(f"runners: each has a name of its own, got {', '.join(names)}")
    return made


def _runner(name: str, settings: Settings) -> Runner:
    if name in OWN:
        made = imported(OWN[name])(settings)
    else:
        found = tuple(entry_points(group=GROUP, name=name))
        if len(found) != 1:
            known = ", ".join([*OWN, *sorted(point.name for point in entry_points(group=GROUP))])
            there = "no runner" if not found else f"{len(found)} runners"
            raise SettingUnusableError(f"runners: there is {there} {name[:40]!r}; known are {known}")
        try:
            made = found[0].load()(settings)
        except ImportError as error:
            raise SettingUnusableError(f"the runner {name} cannot be loaded: {error}") from error
    if not isinstance(made, Runner):
        raise SettingUnusableError(f"the runner {name} is no Runner but a {type(made).__name__}")
    return made
