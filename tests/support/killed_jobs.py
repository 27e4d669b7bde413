"""The jobs of a run in which things are killed, and how they must end: a fixture and checks for every runner."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

import attnscope
import workload
from attnscope_server.root.paths import capture_path
from attnscope_server.serving import serve_background
from attnscope_storage.wire import JobState
from kills import EVERYWHERE, Reader, insist, kill_on, wait_for
from running_here import run_here
from stores import differing


@pytest.fixture(scope="module")
def undisturbed(service_settings, tmp_path_factory):
    """Return a function that gives the job of a kind as a service on a disk ran it, and where its store lies."""
    settings, ran = service_settings(), {}
    workload.add_checkpoints(settings.checkpoints_folder, tmp_path_factory.mktemp("planted"))
    with serve_background(settings) as running, attnscope.connect(running.url, running.key) as client:

        def run(kind):
            if kind not in ran:
                of = run("capture")[0].id if kind == "screen" else None
                workload.submit(client, kind, name := uuid4(), of)
                ran[kind] = client.job(name).wait(), lambda job: capture_path(settings.data_root, str(job))
            return ran[kind]

        yield run


class Asked:
    """The jobs of a run, and a reader that watches them."""

    def __init__(self, site, reader) -> None:
        self._site, self._reader = site, reader
        self.kinds: dict[UUID, str] = {}

    def __call__(self, kind="capture", of=None) -> UUID:
        """Submit a job, and watch it."""
        name = uuid4()
        insist(lambda: workload.submit(self._site.client, kind, name, of))
        self.kinds[name] = kind
        self._reader.watch(name)
        return name


def assert_all_ended_alike(site, asked, undisturbed) -> None:
    """Every job that was asked for has succeeded, with the arrays of the one that nothing disturbed."""
    for job in wait_for(site, list(asked.kinds)):
        kind = asked.kinds[job.id]
        assert job.state is JobState.SUCCEEDED, (kind, job.info.failure)
        assert workload.apart(kind, undisturbed(kind), (job, site.store)) == []


def assert_capture_outlives(site, kills, folder) -> None:
    """Check that a capture ends with the bits of a disk under these kills; the first one takes its worker away."""
    first, *others = kills
    with Reader(site, every=1.0) as reader:
        asked = Asked(site, reader)
        ids = [asked()]
        made = kill_on(site, ids, [first], asked, seed=3)
        whole = {job.id: _run_here(job, site, folder) for job in site.jobs(ids)}  # while another worker takes it over
        made += kill_on(site, ids, others, asked, seed=4)
        assert made == len(kills)
        jobs = wait_for(site, ids)
        for job in jobs:
            assert job.state is JobState.SUCCEEDED, job.info.failure
            assert differing(whole.get(job.id) or _run_here(job, site, folder), site.store(job.id)) == []
    assert max(job.info.attempts for job in jobs) > 1  # a first job may end before the kill, which then takes another
    assert reader.found == []
    assert reader.looks > 0


def _run_here(job, site, folder) -> Path:
    return run_here(job.info, site.server.root / "checkpoints", folder)


def assert_nothing_shows(site, undisturbed, kills) -> None:
    """Check that jobs of each kind end alike under these kills and a restart of either server."""
    order = np.random.default_rng(13).permutation(len(kills))
    kills = [kills[nth] for nth in order]
    half = len(kills) // 2
    with Reader(site) as reader:
        asked = Asked(site, reader)
        ids = [asked("capture"), asked("trial"), asked("decision")]
        made = kill_on(site, ids, [*kills[:half], EVERYWHERE["database"]], asked, seed=3)
        first, *_ = wait_for(site, ids[:1])
        ids.append(asked("screen", first.id))
        made += kill_on(site, ids, [EVERYWHERE["bucket"], *kills[half:]], asked, seed=4)
        assert made == len(kills) + 2
        assert_all_ended_alike(site, asked, undisturbed)
    assert set(asked.kinds.values()) == {"capture", "trial", "decision", "screen"}
    assert reader.found == []
    assert reader.looks > 0
