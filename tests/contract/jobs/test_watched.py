"""A real job is watched in a real browser from its first commit to its end, its service killed meanwhile."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope_server.root.paths import capture_path
from attnscope_storage.reading.reader import CaptureReader
from chromium import chromium, rest, text

SECONDS = 180
"""Seconds that each change may take on a busy machine."""


class Jobs:
    """The jobs of a service that is killed and started again: always of the one that runs."""

    def __init__(self, server) -> None:
        self.server = server
        self.client = server.start()

    def kill(self) -> None:
        """Kill the service with -9."""
        self.server.kill()

    def back(self) -> None:
        """Start it again where it was."""
        self.client = self.server.start(urlsplit(self.client.address).port)


@pytest.mark.parametrize("steps", [600, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_job_is_watched_over_the_death_of_its_service(server, tmp_path, steps):
    """The band grows without a reload; the page says that the service is away, goes on, and says the end."""
    running = Jobs(server)
    chosen = {"checkpoint": "AD-darkroom", "tasks": {"split": "test", "indices": [2]}, "maps": {"count": 0}}
    job = running.client.submit(**chosen, steps=steps)
    watched = running.client.job(job.id)
    worker = halted_after_a_commit(server, job)
    with (
        chromium(tmp_path / "profile") as chrome,
        served(running.client.address, lambda _: Subject.of_job(watched), folder=tmp_path / "state") as page,
    ):
        wait = WebDriverWait(chrome, SECONDS, 0.05)
        chrome.get(page.show(Subject.of_job(watched)).address)
        wait.until(lambda _: committed(chrome) > 0)
        chrome.execute_script("window.mine = true")
        first = committed(chrome)
        assert first < steps
        worker.resume()
        running.kill()
        wait.until(lambda _: "does not answer" in text(chrome, "banner"))
        assert committed(chrome) >= first
        running.back()
        wait.until(lambda _: not chrome.find_element("id", "banner").is_displayed())
        wait.until(lambda _: committed(chrome) == steps)
        wait.until(lambda _: text(chrome, "state") == "complete")
        rest(chrome)
        assert text(chrome, "band-words").startswith(f"Steps 0 to {steps - 1:,}")
        assert text(chrome, "heads-title") == f"Heads at step {steps - 1}"
        assert chrome.execute_script("return window.mine") is True
        assert CaptureReader.open(capture_path(server.root, str(job.id))).steps_committed == steps

        endless = running.client.submit(**chosen, steps=1_000_000)
        chrome.get(page.show(Subject.of_job(running.client.job(endless.id))).address)
        wait.until(lambda _: committed(chrome) > 0)
        endless.cancel()
        wait.until(lambda _: text(chrome, "state").startswith("cancelled at step "))
        assert text(chrome, "state") == f"cancelled at step {committed(chrome)}"


def halted_after_a_commit(server, job):
    """Return the worker, which stands still from the first commit on: a short job would end before it is watched."""
    path, deadline = capture_path(server.root, str(job.id)), time.monotonic() + SECONDS
    while not (path / "zarr.json").exists() or not CaptureReader.open(path).steps_committed:
        assert time.monotonic() < deadline, "nothing was committed in time"
        time.sleep(0.005)
    worker = server.worker()
    worker.suspend()
    return worker


def committed(chrome) -> int:
    """Return the committed steps that the page knows of."""
    return int(chrome.execute_script("return document.body.dataset.committed || 0"))
