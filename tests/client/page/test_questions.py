"""The questions about one step besides its weights: the grid, the metrics of the heads, influence; and the jobs."""

from __future__ import annotations

import numpy as np
import pytest

import attnscope
from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.page import answers, jobs
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope.reading import reading
from attnscope.reading.opening import read
from attnscope.service import Service
from page_browser import Browser


@pytest.fixture(scope="module")
def folder(planted):
    """Return the folder of a capture of two layers and two heads."""
    return planted(steps=90, slots=30)


@pytest.fixture(scope="module")
def subject(folder) -> Subject:
    """Return it as the page shows it."""
    return Subject.of_folder(folder)


@pytest.fixture
def service(serve, folder):
    """Return a connected service with one job, that capture's."""
    with Service(Transport(Connection(serve(folder).url, "right-key", "a test"))) as connected:
        yield connected


def ask(subject: Subject, question: str, **asked: object):
    """Ask as the page does, in texts."""
    return answers.QUESTIONS[question](subject, {name: str(value) for name, value in asked.items()})


def test_a_grid_of_unknown_size_reaches_to_what_was_visited(subject):
    """The planted agent stays in its corner; the goal of its task is marked and inside."""
    found = ask(subject, "room", env=1)
    assert (found["low"], found["high"], found["known"]) == ([0, 0], [5, 4], False)
    assert found["marks"] == [{"name": "goal", "at": [5, 4]}]


@pytest.mark.parametrize(("size", "high", "known"), [(9, [8, 8], True), ("9", [5, 4], False), (10**9, [5, 4], False)])
def test_a_grid_is_as_large_as_its_environment_says(folder, hostile_root, tmp_path, size, high, known):
    """A size that is none, or that nobody could draw, is not believed."""

    def say(document: dict, _: dict) -> None:
        document["attributes"]["resolved"]["environment_kwargs"] = {"size": size}

    found = ask(Subject.of_folder(hostile_root(folder, tmp_path / "sized.zarr", say)), "room", env=0)
    assert (found["high"], found["known"]) == (high, known)


def test_metrics_of_a_step_are_the_stored_ones(subject, folder):
    """Every number of every head, as the capture holds it."""
    found = ask(subject, "metrics", env=2, step=50, over="step")
    held = attnscope.open(folder)
    at = dict(zip(found["names"], found["values"], strict=True))
    assert np.allclose(at["entropy"], held.stats.entropy[50, 2], rtol=1e-6)
    assert np.allclose(at["sink"], held.stats.sink[50, 2], rtol=1e-6)
    assert np.allclose(at["recency 5"], held.stats.recency[50, 2][..., list(held.stats.window[:]).index(5)], rtol=1e-6)
    assert len(found["names"]) == len(found["units"]) == len(found["values"])


def test_metrics_of_a_near_step_are_there_already(serve, folder):
    """Statistics of adjacent steps come at once: the next step asks the service for nothing."""
    server = serve(folder)
    with Service(Transport(Connection(server.url, "right-key", "a test"))) as connected:
        subject = Subject.of_job(connected.job("last"))
        ask(subject, "metrics", env=1, step=40, over="step")
        before = len(server.asked)
        found = ask(subject, "metrics", env=1, step=41, over="step")
        assert len(server.asked) == before
    entropy = found["values"][found["names"].index("entropy")]
    assert np.allclose(entropy, attnscope.open(folder).stats.entropy[41, 1], rtol=1e-6)


def test_metrics_of_a_run_are_those_of_the_one_reading(subject, folder):
    """The page says what the report says."""
    found = ask(subject, "metrics", env=1, step=0, over="run")
    wanted = read(attnscope.open(folder)).statistics["effective"][1]
    assert np.allclose(found["values"][found["names"].index("effective")], wanted, rtol=1e-6)


def test_means_over_a_run_are_taken_once(folder, monkeypatch):
    """They are of every environment, so another one and a column that sorts read nothing."""
    taken = []
    mean = reading.mean_statistic
    monkeypatch.setattr(reading, "mean_statistic", lambda *asked, **more: taken.append(1) or mean(*asked, **more))
    subject = Subject.of_folder(folder)
    first = ask(subject, "metrics", env=0, step=0, over="run")
    before = len(taken)
    assert ask(subject, "metrics", env=1, step=5, over="run")["names"] == first["names"]
    assert len(taken) == before > 0


def test_metrics_of_a_step_that_is_not_committed_are_refused(subject):
    """As every view of it."""
    with pytest.raises(LookupError, match="step 90 is not committed"):
        ask(subject, "metrics", env=0, step=90, over="step")


def test_influence_stands_beside_the_attention_of_its_transitions(service):
    """The service computes the losses; attention is the share of each transition, of all heads or of one."""
    subject = Subject.of_job(service.job("last"))
    every = ask(subject, "influence", env=0, step=50)
    one = ask(subject, "influence", env=0, step=50, layer=1, head=0)
    assert (every["start"], len(every["lost"]), every["lost"][:3]) == (21, 29, [0.0, 1.0, 2.0])
    assert sum(one["attention"]) == pytest.approx(1, abs=1e-5)
    assert one["agreement"] is None, "the fake service's attention is uniform, so it has no ranks"


@pytest.mark.parametrize(("step", "why"), [(0, "no transition to leave out"), (90, "not committed")])
def test_influence_that_cannot_be_is_refused(service, step, why):
    """In words that the page shows."""
    with pytest.raises(LookupError, match=why):
        ask(Subject.of_job(service.job("last")), "influence", env=0, step=step)


def test_influence_of_a_folder_is_refused(subject):
    """Nothing is there to run the policy."""
    with pytest.raises(ValueError, match="the checkpoint is needed"):
        ask(subject, "influence", env=0, step=50)


def test_jobs_of_a_service_are_listed_and_opened(service, state_folder):
    """Each with its state and progress; one that was not opened is opened by its id, and nothing else is."""
    with served(
        service.address, lambda name: Subject.of_job(service.job(name)), folder=state_folder, list_jobs=service.jobs
    ) as server:
        browser = Browser(server)
        assert browser.send("GET", "/api/jobs").status == 401
        browser.enter(server.entry.new_code())
        found = browser.send("GET", "/api/jobs").json()
        (job,) = found["jobs"]
        assert (job["state"], job["done"], job["total"], job["kind"], job["opens"]) == (
            "succeeded",
            90,
            90,
            "capture",
            True,
        )
        assert browser.send("GET", f"/api/about?at={job['id']}").json()["title"] == "AD-planted@1"
        for name in ("last", job["id"][:8], "../x", "%2Ftmp"):
            assert browser.send("GET", f"/api/about?at={name}").status == 404, name


def test_folders_that_were_opened_are_listed(browser, folder):
    """A folder is never opened by its path from a browser."""
    (listed,) = browser.send("GET", "/api/jobs").json()["jobs"]
    assert (listed["checkpoint"], listed["state"], listed["opens"]) == ("AD-planted@1", "succeeded", True)
    assert browser.send("GET", f"/api/about?at={folder}").status == 404


def test_a_list_is_news_when_it_differs():
    """Its mark says so; the same list is held until the time is over."""
    lists = iter([{"jobs": [1]}, {"jobs": [1]}, {"jobs": [2]}])
    slept = []
    seen = jobs.marked({"jobs": [1]})["mark"]
    assert jobs.wait(lambda: next(lists), seen, 60, slept.append)["jobs"] == [2]
    assert len(slept) == 2
