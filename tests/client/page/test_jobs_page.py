"""The list of jobs, and influence that a service computes, in a real headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from attnscope.connecting.connection import Connection
from attnscope.connecting.retry import Backoff
from attnscope.connecting.transport import Transport
from attnscope.page import answers, jobs
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope.service import Service
from chromium import press, rest, shown, text, view_of, violations

EVIL = "<img src=x onerror=window.hacked=1>\u202e[bold]"


@pytest.fixture
def fake(planted, serve):
    """Return a service with one job, whose label is hostile."""
    running = serve(planted(steps=90, slots=30))
    running.label = EVIL
    return running


@pytest.fixture
def page(fake, chrome, state_folder, monkeypatch) -> Iterator:
    """Return the browser at that job's page, in a server that lists the service's jobs."""
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(answers, "WAIT_SECONDS", 0.5)
    connection = Connection(fake.url, "right-key", "a test")
    with (
        Service(Transport(connection, backoff=Backoff(attempts=1))) as service,
        served(
            fake.url, lambda name: Subject.of_job(service.job(name)), folder=state_folder, list_jobs=service.jobs
        ) as server,
    ):
        chrome.get("about:blank")  # so that no other test's page asks any more
        chrome.get_log("browser")
        chrome.get(server.show(Subject.of_job(service.job("last"))).address)
        WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
        rest(chrome)
        yield chrome
        assert [entry for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_jobs_are_listed_filtered_and_opened_by_keys(page, fake):
    """States and progress follow the service; a hostile label is a text; arrows choose and Enter opens."""
    wait = WebDriverWait(page, 20, 0.05)
    page.find_element(By.LINK_TEXT, "all captures").click()
    wait.until(lambda _: "1 of 1 jobs" in text(page, "jobs-words"))
    row = page.find_element(By.CSS_SELECTOR, "#jobs tbody tr")
    assert "succeeded" in row.text
    assert "90 of 90" in row.text
    assert EVIL.replace("\u202e", "\\u202e") in row.text
    assert page.execute_script("return window.hacked") is None
    assert violations(page) == []
    fake.state = "cancelled"
    first = "return document.querySelector('#jobs .chip').textContent"  # in one step: the list is drawn anew meanwhile
    wait.until(lambda _: page.execute_script(first) == "cancelled")
    filtered = page.find_element(By.ID, "filter")
    filtered.send_keys("no such")
    assert text(page, "jobs-words") == "0 of 1 jobs."
    for _ in range(7):
        filtered.send_keys(Keys.BACKSPACE)
    filtered.send_keys(Keys.ARROW_DOWN)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    wait.until(lambda _: page.find_elements(By.ID, "heads-title"))
    wait.until(lambda _: text(page, "heads-title") == "Heads at step 89")
    page.back()
    wait.until(lambda _: page.find_elements(By.ID, "jobs"))


def test_influence_is_asked_for_and_stands_beside_attention(page, fake):
    """Idle, done with its words and its Python, another step idle again; a refusal is said."""
    wait = WebDriverWait(page, 20, 0.05)
    assert text(page, "influence-state") == ""
    press(page, "#influence-ask")
    wait.until(lambda _: text(page, "influence-state").startswith("done"))
    assert "Largest loss: 28 nats without transition 88." in text(page, "influence-words")
    assert "over 29 transitions" in text(page, "influence-words")
    press(page, "#back")
    rest(page)
    assert view_of(page)["step"] == "88"
    assert text(page, "influence-state") == ""
    fake.replays = False
    press(page, "#influence-ask")
    wait.until(lambda _: text(page, "influence-state") == "refused")
    assert "replays nothing" in text(page, "influence-note")
    (logged,) = page.get_log("browser")
    assert "400" in logged["message"], "a refusal is all that the browser has to say"
    press(page, "#on")
    wait.until(lambda _: text(page, "influence-state").startswith("done"))
    assert not page.find_element(By.ID, "influence-note").is_displayed()
