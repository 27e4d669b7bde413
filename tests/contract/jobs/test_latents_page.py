"""The page of a policy that packs its history, in a real headless Chromium: latents are told, and drawn, as latents."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import attnscope
from attnscope.page.latents import latents_of
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope.report.page import page as report_page
from attnscope.study import study
from attnscope.study.latents import LatentStudy
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.shades import as_u8
from attnscope_storage.wire import CaptureSpec
from chromium import as_wide, chromium, colours, look, press, rest, scrolled, shown, text, violations, viridis
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "cad"
STEPS = 60
AFTER = 53
"""A step three after the second compression, which is after step 50: seven latents, two transitions, the query."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a capture of the golden policy, one environment, past two compressions."""
    root = tmp_path_factory.mktemp("packed")
    registry, path = CheckpointRegistry(root / "registry"), root / "cad.zarr"
    (root / "cad.pt").write_bytes(lzma.decompress((GOLDEN / "ckpt-50000.pt.xz").read_bytes()))
    with reading_here():
        info = registry.add(root / "cad.pt", name="cad")
    asked = {"checkpoint": "cad", "tasks": {"goals": [(1, 2)]}, "steps": STEPS, "maps": {"count": 0}}
    spec = CaptureSpec.model_validate(asked)
    order = CaptureOrder("packed", "me", spec, resolve(spec, registry), path, durable=False)
    run_capture(order, load_policy(registry.folder(info.id), torch.device("cpu")), info, torch.device("cpu"))
    return path


@pytest.fixture(scope="module")
def chrome(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    """Return a headless Chromium."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(folder, chrome, tmp_path) -> Iterator[webdriver.Chrome]:
    """Return the browser at the page of that capture; nothing fails in it."""
    with served("latents", Subject.of_folder, folder=tmp_path) as server:
        chrome.get("about:blank")  # so that no other test's page asks any more
        chrome.get_log("browser")
        chrome.get(server.show(Subject.of_folder(folder)).address)
        WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
        yield chrome
        assert [entry for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_latent_is_told_as_what_it_stands_for(page, folder):
    """Under the cursor it is a summary of transitions with its generation; a transition since is itself; the row is the
    stored one.
    """
    capture = attnscope.open(folder)
    assert (capture.length(AFTER), str(capture.summary(AFTER))) == (10, "summary of transitions 0–50, generation 2")
    look(page, step=AFTER, age=6, layer=1, head=2)
    rest(page)
    assert text(page, "place-title") == f"Step {AFTER}: a latent, summary of transitions 0–50, generation 2"
    said = text(page, "fields")
    assert "summary of transitions 0–50, generation 2" in said
    weight = float(capture.rows.view((AFTER, 0, 1, 2, 3)))
    assert f"{weight:.2g}, {10 * weight:.2g} × uniform" in said
    look(page, step=AFTER, age=1)
    assert text(page, "place-title") == f"Step {AFTER}: transition 52"
    shades = as_u8(np.asarray(capture.rows[AFTER, 0], np.float64))
    first = page.find_element("css selector", "#metrics tbody tr:first-child th").text
    layer, head = map(int, first.split("."))
    drawn = colours(page, "#metrics tbody tr:first-child canvas")
    assert np.array_equal(drawn[0, :10, :3], viridis(shades[layer, head, :10], int(shades[..., :10].max())))


def test_the_lone_query_has_no_latent(page, folder):
    """Right after a compression the context is the query alone."""
    assert attnscope.open(folder).length(51) == 1
    look(page, step=51)
    assert text(page, "place-title") == "Step 51: the query"
    assert "latent" not in text(page, "fields")


def packed_column(browser, found, latent: int, column: int) -> np.ndarray:
    """Return the colour of a cell of the picture of latents."""
    box = browser.execute_script("const c = document.getElementById('latents'); return [c.width, c.height]")
    left, right, top, below = 58, 82, 8, 44
    count, columns = found.shades.shape
    x = left + (column + 0.5) / columns * (box[0] - left - right)
    y = top + (latent + 0.5) / count * (box[1] - top - below)
    return colours(browser, "#latents")[int(y), int(x), :3]


def test_the_latents_of_a_decision_are_drawn_down_to_transitions(page, folder):
    """The picture has the bytes of the traced shares, the table a row a latent; both follow the step."""
    read = LatentStudy(attnscope.open(folder))
    look(page, step=AFTER)
    assert text(page, "latents-title") == "Latents of compression 2, after step 50"
    found = latents_of(read, 1, "traced")
    assert found.shades.shape == (7, 51)
    assert found.head["begins"] == [29]
    for latent, column in ((3, 12), (5, 44)):
        drawn = packed_column(page, found, latent, column)
        assert np.array_equal(drawn, viridis(found.shades[latent, column : column + 1], int(found.shades.max()))[0])
    rows = page.find_elements(By.CSS_SELECTOR, "#latents-table tbody tr")
    assert len(rows) == 7
    low, high, most, share = found.head["spans"][2]
    weight = attnscope.open(folder).rows.view((AFTER, 0))[..., 2].mean()
    cells = [cell.text for cell in rows[2].find_elements(By.TAG_NAME, "td")]
    assert cells[:2] == [f"{low}–{high}", f"{most}: {share}"]
    assert float(cells[2].split()[0]) == pytest.approx(10 * float(weight), rel=0.06)
    assert "They stand for transitions 0–50; 29–50 were packed last, with 7 latents of before." in text(
        page, "latents-words"
    )
    look(page, step=AFTER, shows="looked")
    looked = latents_of(read, 1, "looked")
    drawn = packed_column(page, looked, 1, 20)
    assert np.array_equal(drawn, viridis(looked.shades[1, 20:21], int(looked.shades.max()))[0])


def test_before_and_right_after_a_compression_the_pane_says_what_there_is(page):
    """No latents before the first; the lone query does not see those that were just made."""
    look(page, step=10)
    assert text(page, "latents-note") == "No latents yet: the first compression comes after step 28."
    assert not page.find_element(By.ID, "latents").is_displayed()
    look(page, step=51)
    assert text(page, "latents-words").startswith(
        "The query stands alone at step 51: it sees these latents from the next"
    )
    assert page.find_elements(By.CSS_SELECTOR, "#latents-table tbody td")[2].text == "–"


def test_latents_are_walked_by_keys_and_stand_on_a_narrow_screen(page):
    """Arrows choose latent and transition, and the sentence tells them; no phone is too narrow; axe is content."""
    look(page, step=AFTER)
    canvas = page.find_element(By.ID, "latents")
    for key in (Keys.ARROW_DOWN, Keys.ARROW_LEFT):
        canvas.send_keys(key)
    WebDriverWait(page, 10).until(lambda _: text(page, "words").startswith("Latent 1 of compression 2: share "))
    assert "on transition 49, state (" in text(page, "words")
    assert page.find_element(By.CSS_SELECTOR, "#latents-table tr.chosen th").text == "1"
    press(page, "#latents-table tbody tr:nth-child(5) button")
    assert page.find_element(By.CSS_SELECTOR, "#latents-table tr.chosen th").text == "4"
    with as_wide(page, 400):
        assert scrolled(page) <= 400
        assert page.find_element(By.ID, "latents").size["width"] > 250
    assert violations(page) == []


def test_a_file_holds_the_latents(chrome, folder, tmp_path):
    """The report's page draws the same bytes without a service, and says so before the first compression."""
    (tmp_path / "report.html").write_text(report_page(study(attnscope.open(folder)), [], {}, "none"))
    chrome.get_log("browser")
    chrome.get((tmp_path / "report.html").as_uri())
    WebDriverWait(chrome, 30).until(lambda _: chrome.find_elements(By.CSS_SELECTOR, "#latents-table tbody tr"))
    assert text(chrome, "latents-title") == "Latents of compression 2, after step 50"
    found = latents_of(LatentStudy(attnscope.open(folder)), 1, "traced")
    drawn = packed_column(chrome, found, 3, 12)
    assert np.array_equal(drawn, viridis(found.shades[3, 12:13], int(found.shades.max()))[0])
    number = chrome.find_element(By.ID, "number")
    number.clear()
    number.send_keys("10", Keys.ENTER)
    first = "No latents yet: the first compression comes after step 28."
    WebDriverWait(chrome, 10).until(lambda _: text(chrome, "latents-note") == first)
    assert [entry for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"] == []
