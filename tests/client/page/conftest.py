"""A page server over a planted capture, and browsers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from attnscope.page.opening import served
from attnscope.page.server import PageServer
from attnscope.page.subjects import Subject
from chromium import chromium
from page_browser import Browser


@pytest.fixture(scope="package")
def chrome(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    """Return a headless Chromium."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def state_folder(tmp_path_factory) -> Path:
    """Return a folder for state files, so that no test touches the user's own."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def page(planted, state_folder) -> Iterator[PageServer]:
    """Return a running page server that shows a downloaded capture of four layers and four heads."""
    folder = planted(layers=4, heads=4, slots=30, steps=120, map_steps=(60, 119))
    with served(None, lambda name: Subject.of_folder(Path(name)), folder=state_folder) as server:
        server.show(Subject.of_folder(folder))
        yield server


@pytest.fixture
def browser(page) -> Browser:
    """Return a browser that has entered."""
    found = Browser(page)
    assert found.enter(page.entry.new_code()).status == 200
    return found


@pytest.fixture
def stranger(page) -> Callable[[], Browser]:
    """Return a function that makes another browser, which has no access."""
    return lambda: Browser(page)
