"""The page of a policy that packs its history, in a real headless Chromium: latents are told, and drawn, as latents."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

import attnscope
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.shades import as_u8
from attnscope_storage.wire import CaptureSpec
from chromium import chromium, colours, look, rest, shown, text, viridis
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
