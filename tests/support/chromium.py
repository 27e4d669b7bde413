"""A headless Chromium for tests of pages, and what the live page says of itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

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
