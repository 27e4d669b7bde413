"""The report's page in a real headless Chromium, from a file, without a network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import attnscope
from attnscope.report import write_report
from attnscope.report.page import _colours
from chromium import chromium

EVIL = "</script><img src=x onerror=window.hacked=1>&amp;\u2028$title"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    """Return a headless Chromium."""
    with chromium(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def page(planted, tmp_path_factory, browser) -> webdriver.Chrome:
    """Return the browser with the page of a capture whose policy has a hostile name."""
    out = tmp_path_factory.mktemp("report")
    write_report(attnscope.open(planted(name=EVIL)), out)
    browser.get((out / "report.html").as_uri())
    WebDriverWait(browser, 30).until(lambda b: b.execute_script("return document.body.dataset.ready") == "true")
    return browser


def text(page, name: str) -> str:
    """Return an element's text."""
    return page.find_element(By.ID, name).text


def pixel(page, canvas: str, x: float, y: float) -> list[int]:
    """Return the colour at a place, in shares of the canvas."""
    script = (
        "const c = document.getElementById(arguments[0]);"
        "return Array.from(c.getContext('2d').getImageData(arguments[1] * c.width, arguments[2] * c.height, 1, 1).data)"
    )
    return page.execute_script(script, canvas, x, y)[:3]


def test_the_page_says_what_it_is_and_runs_nothing_of_the_capture(page):
    """A hostile name is shown as it is written; nothing of it runs, and nothing is fetched."""
    assert page.find_element(By.TAG_NAME, "h1").text.startswith("Attention of </script><img src=x")
    assert page.execute_script("return window.hacked") is None
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert text(page, "state") == "60 of 60 steps, complete"
    assert "mask stated by user" in page.find_element(By.CLASS_NAME, "provenance").text


def test_the_map_has_the_colours_of_its_weights(page):
    """The last query's own cell of head 0.0 at the last step is the planted weight, on the shared scale."""
    slider = page.find_element(By.ID, "step")
    slider.send_keys(Keys.END)
    assert text(page, "stepname") == "59 of 60"
    weight = np.exp(-np.arange(12) / 4)
    root = np.rint(254 * np.sqrt(weight[0] / weight.sum()))
    expected = _colours()[int(np.rint(255 * root / 254))]  # the first row's only weight is 1: the scale's top
    assert np.abs(np.array(pixel(page, "map", 11.5 / 12, 11.5 / 12)) - expected).max() <= 4


def test_steps_and_heads_are_picked_with_the_keyboard_alone(page):
    """Arrow keys move the slider, the head and the cursor; the readout follows."""
    slider = page.find_element(By.ID, "step")
    slider.send_keys(Keys.HOME)
    assert text(page, "stepname") == "0 of 60"
    slider.send_keys(Keys.ARROW_RIGHT)
    assert text(page, "stepname") == "30 of 60"
    page.find_element(By.CSS_SELECTOR, '.heads [aria-checked="true"]').send_keys(Keys.ARROW_RIGHT)
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    chosen = page.find_element(By.CSS_SELECTOR, '.heads [aria-checked="true"]')
    assert chosen.get_attribute("aria-label") == "layer 1, head 1"
    assert page.switch_to.active_element == chosen
    canvas = page.find_element(By.ID, "map")
    canvas.send_keys(Keys.ARROW_UP)
    canvas.send_keys(Keys.ARROW_UP)
    assert "layer 1, head 1" in text(page, "readout")
    assert "query slot 10 (transition 29)" in text(page, "readout")


def test_hovering_tells_weight_and_lift(page):
    """The middle of the map is a cell, with its weight beside uniform attention."""
    ActionChains(page).move_to_element(page.find_element(By.ID, "map")).perform()
    assert "× uniform" in text(page, "readout")
    ActionChains(page).move_to_element(page.find_element(By.ID, "time")).perform()
    assert "transition" in text(page, "readout")


def test_the_timeline_is_linked_to_the_step(page):
    """A click at its right end shows the last sampled map."""
    time = page.find_element(By.ID, "time")
    page.execute_script("arguments[0].scrollIntoView()", time)
    ActionChains(page).move_to_element_with_offset(time, time.size["width"] // 2 - 3, 0).click().perform()
    assert text(page, "stepname") == "59 of 60"


def test_a_screenshot_shows_a_page(page, tmp_path):
    """It is a picture with many colours, not a blank one."""
    path = tmp_path / "page.png"
    assert page.save_screenshot(str(path))
    assert path.stat().st_size > 20_000
