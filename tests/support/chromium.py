"""A headless Chromium for tests of pages, and what the live page says of itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import matplotlib as mpl
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

NEEDED = (
    "pages are tested in a real browser: install Chromium and its driver, e.g. on Debian "
    "`apt-get install chromium chromium-driver` (as root `make browser` does it)"
)
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
)


def chromium(profile: Path, size: str = "1240,1700") -> webdriver.Chrome:
    """Start a headless Chromium with a profile of its own; fails the test where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.fail(NEEDED, pytrace=False)
    options = Options()
    options.binary_location = program
    for flag in (*FLAGS, f"user-data-dir={profile}", f"window-size={size}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def shown(browser) -> int:
    """Return how many views were answered."""
    return browser.execute_script("return Number(document.body.dataset.shown || 0)")


def rest(browser) -> None:
    """Wait until no view is asked for."""
    quiet = "return document.querySelectorAll('[aria-busy]').length === 0"
    WebDriverWait(browser, 30, 0.05).until(lambda _: browser.execute_script(quiet))


def view_of(browser) -> dict[str, str]:
    """Return the view that the address holds."""
    return {name: values[0] for name, values in parse_qs(urlsplit(browser.current_url).fragment).items()}


def text(browser, name: str) -> str:
    """Return an element's text."""
    return browser.find_element(By.ID, name).text


def press(browser, css: str) -> None:
    """Click an element, once it stands in the middle of the window, where nothing lies over it."""
    found = browser.find_element(By.CSS_SELECTOR, css)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    found.click()


@contextmanager
def as_wide(browser, width: int) -> Iterator[None]:
    """Let the window be so many pixels wide, until the block ends."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def scrolled(browser) -> int:
    """Return how many pixels a page's content is wide."""
    return int(browser.execute_script("return document.documentElement.scrollWidth"))


def look(browser, **view: object) -> None:
    """Go to a view of the same capture by the address, as a link would, and wait until nothing is asked any more."""
    name = view_of(browser)["at"]
    said = "&".join([f"at={name}", *(f"{key}={value}" for key, value in view.items())])
    script = "history.pushState(null, '', '#' + arguments[0]); dispatchEvent(new PopStateEvent('popstate'))"
    browser.execute_script(script, said)
    rest(browser)


def colours(browser, canvas) -> np.ndarray:
    """Return the pixels of a canvas, an element or a selector."""
    script = (
        "const c = typeof arguments[0] === 'string' ? document.querySelector(arguments[0]) : arguments[0];"
        "return [c.width, c.height, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    )
    width, height, data = browser.execute_script(script, canvas)
    return np.array(data, np.uint8).reshape(height, width, 4)


def viridis(shades: np.ndarray, top: int) -> np.ndarray:
    """Return viridis of bytes whose largest is `top`, as the page rounds."""
    place = np.minimum(255, np.floor(255 * shades.astype(np.float64) / top + 0.5)).astype(int)
    return np.rint(255 * mpl.colormaps["viridis"](place)[..., :3]).astype(np.uint8)


def violations(browser) -> list[str]:
    """Return the rules of axe-core that a page breaks, with the elements that break them."""
    browser.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
    run = "const done = arguments[0]; axe.run(document).then(done, (error) => done({error: String(error)}))"
    found = browser.execute_async_script(run)
    assert "error" not in found, found["error"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']][:4]}" for one in found["violations"]]
