"""The examples in the docstrings of what a user meets first run, against a service with one capture and one trial."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
import structlog

import attnscope
from attnscope_server import logs
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings

KEY = "a-fixed-key-for-the-examples"
MET_FIRST = (
    "attnscope:connect",
    "attnscope:open",
    "attnscope:open_trial",
    "attnscope:recommend",
    "attnscope.service:Service.submit",
    "attnscope.service:Service.estimate",
    "attnscope.service:Service.jobs",
    "attnscope.service:Service.job",
    "attnscope.service:Service.checkpoints",
    "attnscope.service:Service.strategies",
    "attnscope.job:JobHandle.wait",
    "attnscope.job:JobHandle.refresh",
    "attnscope.job:JobHandle.capture",
    "attnscope.job:JobHandle.trial",
    "attnscope.capture:Capture.map",
    "attnscope.capture:Capture.leave_one_out",
    "attnscope.capture:Capture.length",
    "attnscope.capture:Capture.transition_index",
    "attnscope.capture:Capture.returns",
    "attnscope.trials.trial:Trial.results",
)
TASKS = {"split": "test", "indices": [0, 1]}


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> Iterator[dict[str, Any]]:
    """Return the names that examples use: a service, a finished capture and a trial of it, both downloaded too."""
    root, work = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("work")
    logs.configure("json", "error")  # what an example prints is all that is compared
    settings = Settings(data_root=root, port=0, announce=False, threads=1, durable=False, api_key=KEY)
    with serve_background(settings) as running, attnscope.connect(running.url, KEY) as service:
        job = service.submit(checkpoint="AD-darkroom", tasks=TASKS, steps=60, label="a capture")
        rules = {
            "strategies": [{"name": "recency"}],
            "budgets": [0.4],
            "seeds": [0],
            "episodes": 2,
            "speed": {"enabled": False},
        }
        tried = service.submit(kind="trial", checkpoint="AD-darkroom", tasks=TASKS, label="a trial", **rules)
        capture, trial = job.wait().capture(), tried.wait().trial()
        capture.download(work / "capture.zarr")
        trial.download(work / "trial.zarr")
        found = {"service": service, "job": job, "tried": tried, "capture": capture, "trial": trial}
        yield found | {"attnscope": attnscope, "url": running.url, "api_key": KEY, "work": work}
    structlog.reset_defaults()


@pytest.mark.parametrize("path", MET_FIRST)
def test_the_example_runs(path, names, monkeypatch):
    """It prints what it says it prints."""
    module, _, name = path.partition(":")
    function = reduce(getattr, name.split("."), importlib.import_module(module))
    monkeypatch.chdir(names["work"])
    test = doctest.DocTestParser().get_doctest(function.__doc__, dict(names), path, None, 0)
    assert test.examples
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    failed = runner.run(test, out=said.append).failed
    assert not failed, "".join(said)
