"""Runners by name: attnscope's own, those of installed packages, and names that are none."""

from __future__ import annotations

import pytest

from attnscope_server.errors import SettingUnusableError
from attnscope_server.running import runners as runners_module
from attnscope_server.running.process_runner import ProcessRunner
from attnscope_server.running.runners import runners_of


class Point:
    """An entry point."""

    def __init__(self, name, made) -> None:
        self.name, self._made = name, made

    def load(self):
        """Return what makes the runner."""
        if isinstance(self._made, Exception):
            raise self._made
        return lambda _settings: self._made


@pytest.fixture
def installed(monkeypatch, make_runner):
    """Install runners, good and bad ones."""
    far, alike = make_runner(name="far"), make_runner(name="process")
    points = [Point("far", far), Point("alike", alike), Point("odd", 3), Point("broken", ImportError("no ray"))]
    points += [Point("twice", far), Point("twice", far)]

    def found(group, name=None):
        assert group == "attnscope.runners"
        return [point for point in points if name in {None, point.name}]

    monkeypatch.setattr(runners_module, "entry_points", found)
    return far


def test_the_named_runners_are_made_in_their_order(where, installed):
    """Local processes by default; others beside them, where the settings say so."""
    (only,) = runners_of(where)
    assert isinstance(only, ProcessRunner)
    far, process = runners_of(where.model_copy(update={"runners": ("far", "process")}))
    assert far is installed
    assert isinstance(process, ProcessRunner)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("none",), "no runner 'none'; known are process, .*ray, .*alike, broken, far"),
        (("odd",), "is no Runner but a int"),
        (("broken",), "cannot be loaded: no ray"),
        (("twice",), "2 runners 'twice'"),
        (("process", "alike"), "a name of its own"),
    ],
)
def test_a_name_that_is_no_runner_is_a_sentence(where, names, words):
    """At the start, not at the first job."""
    with pytest.raises(SettingUnusableError, match=words):
        runners_of(where.model_copy(update={"runners": names}))
