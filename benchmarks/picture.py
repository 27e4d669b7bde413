"""`make picture [CAPTURE=folder.zarr]`: photograph the live page of the shipped policy for the README."""

from __future__ import annotations

import importlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from selenium.webdriver.support.ui import WebDriverWait

from attnscope.demo import CHECKPOINT
from attnscope.own_service import own_service
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope_storage.wire import CaptureSpec, TaskChoice
from benchmarks.gallery import quantised

chromium: Any = importlib.import_module("tests.support.chromium")
"""The tests' Chromium."""

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "page.png"
WIDTH, HEIGHT = 1280, 1350
"""Pixels of the window."""
LARGEST = 250_000
"""Bytes of the picture, at most."""
VIEW = "&step=171&layer=1&head=2"
"""The step that the picture shows: it lies in the ninth episode, and its context is full."""
SPEC = CaptureSpec(
    checkpoint=CHECKPOINT,
    tasks=TaskChoice(split="validation", indices=(1, 5)),
    episodes=12,
    replicas=2,
    label="picture",
)


def capture(folder: Path) -> Path:
    """Capture the shipped policy on two of its validation goals."""
    with own_service(folder) as service:
        return service.submit(SPEC).wait().capture().download(folder / "picture.zarr")


def photograph(path: Path, folder: Path) -> bytes:
    """Return a picture of the page that shows a capture, in 256 colours."""
    subject = Subject.of_folder(path)
    with served(None, Subject.of_folder, folder=folder) as server, chromium.chromium(folder / "profile") as chrome:
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        chrome.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        chrome.get(server.show(subject).address + VIEW)
        WebDriverWait(chrome, 60).until(lambda _: chromium.shown(chrome) >= 2)
        chromium.rest(chrome)
        chrome.find_element("id", "focus").send_keys("\ue012")  # the left arrow: a cursor, and its sentence
        chrome.find_element("id", "focus").send_keys("\ue012")
        WebDriverWait(chrome, 60).until(lambda _: "uniform" in chromium.text(chrome, "words"))
        chrome.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
        shot = io.BytesIO(chrome.get_screenshot_as_png())
    return quantised(shot)


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else capture(folder)
        content = photograph(path, folder)
    assert len(content) <= LARGEST, f"the picture has {len(content)} bytes"
    PICTURE.write_bytes(content)
    print(f"wrote {PICTURE}, {len(content)} bytes")


if __name__ == "__main__":
    main()
