"""The views of one step and of a pair in a real headless Chromium, and what axe-core says of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import attnscope
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope_storage.shades import as_u8
from chromium import as_wide, colours, look, press, rest, scrolled, shown, text, view_of, violations, viridis

STEPS, SLOTS = 120, 30
BLUE, MIDDLE, ORANGE = ([0, 114, 178], [242, 242, 240], [213, 94, 0])


@pytest.fixture(scope="module")
def folder(planted):
    """Return a capture of two layers and two heads."""
    return planted(slots=SLOTS, steps=STEPS, map_steps=(60, 119))


@pytest.fixture(scope="module")
def other(planted):
    """Return another capture, of a shorter context and more heads."""
    return planted(slots=12, steps=STEPS, heads=3, name="AD-other@2")


@pytest.fixture(scope="module")
def entered(folder, other, state_folder, chrome) -> Iterator[webdriver.Chrome]:
    """Return the browser at the page of the first capture; the second was opened too."""
    with served("panes", Subject.of_folder, folder=state_folder) as server:
        chrome.get("about:blank")  # so that no other test's page asks any more
        chrome.get_log("browser")
        server.show(Subject.of_folder(other))
        chrome.get(server.show(Subject.of_folder(folder)).address)
        WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
        yield chrome


@pytest.fixture
def page(entered) -> Iterator[webdriver.Chrome]:
    """Return the page at its first view; whatever a test does, nothing fails in the browser."""
    look(entered)
    yield entered
    assert [entry for entry in entered.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_page_that_is_not_shown_fails_nowhere(page):
    """A hidden place, as another tab of a notebook has it, has no width; pictures wait, and come back as they were."""
    look(page, step=45)
    before = colours(page, "#room")
    frames = "const done = arguments[1]; document.querySelector('main').style.display = arguments[0];"
    frames += "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
    page.execute_async_script(frames, "none")
    page.execute_async_script(frames, "")
    assert np.array_equal(colours(page, "#room"), before)


def test_a_step_is_told_and_stands_on_the_grid(page, folder):
    """Episode, state, action and weights in words; the agent's cell has the colour of all attention to it."""
    look(page, step=45, layer=1, head=1)
    rest(page)
    said = text(page, "fields")
    weight = float(attnscope.open(folder).rows.view((45, 0, 1, 1, 29)))
    assert "45, the query itself" in said
    assert "4, its step 5 of 10" in said
    assert "its return" in said
    assert said.partition("its return")[2].split()[0] == "4", "episode 4 is rewarded four times"
    assert f"{weight:.2g}, {weight * SLOTS:.2g} × uniform" in said
    shades = as_u8(np.asarray(attnscope.open(folder).rows.view((45, 0, 1, 1, slice(0, SLOTS)))))
    assert f"transition {16 + int(shades.argmax())}, state (" in said.partition("most of 1.1")[2]
    look(page, step=45, age=3)
    assert "42, 3 before the query" in text(page, "fields")
    assert text(page, "place-title") == "Step 45: transition 42"
    drawn = colours(page, "#room")
    cell = (drawn.shape[1] - 46 - 82) / 5  # as wide as the room's five columns allow
    cell = min(cell, 300 / 6)
    rows = attnscope.open(folder).rows.view((45, 0, ..., slice(0, SLOTS)))
    total = min(254, round(254 * float(rows.mean(axis=(0, 1)).sum()) ** 0.5))
    assert np.array_equal(drawn[int(8 + cell * 0.12), int(46 + cell * 0.12), :3], viridis(np.array([total]), total)[0])
    assert "goal (5, 4)" in text(page, "room-words")


def test_heads_are_sorted_by_a_metric_with_their_pictures(page, folder):
    """A click on a column sorts table and small pictures; the address and the focus follow."""
    look(page, step=70)
    press(page, "#metrics th:nth-child(6) button")
    rest(page)
    assert view_of(page)["sort"] == "entropy"
    assert page.switch_to.active_element.text.startswith("entropy")
    entropy = attnscope.open(folder).stats.entropy[70, 0]
    order = [f"{layer}.{head}" for layer, head in sorted(np.ndindex(2, 2), key=lambda at: -entropy[at])]
    assert [one.text for one in page.find_elements(By.CSS_SELECTOR, "#metrics tbody th")] == order
    named = [one.text.split(" · ") for one in page.find_elements(By.CSS_SELECTOR, "#heads span")]
    assert [name for name, _ in named] == order
    assert np.allclose([float(value) for _, value in named], sorted(entropy.ravel())[::-1], rtol=0.05)
    rows = as_u8(attnscope.open(folder).rows[70, 0])
    layer, head = map(int, order[0].split("."))
    drawn = colours(page, "#metrics tbody tr:first-child canvas")
    assert np.array_equal(drawn[0, :, :3], viridis(rows[layer, head], int(rows.max())))
    press(page, "#metrics tbody tr:first-child button")
    rest(page)
    assert page.switch_to.active_element.text == order[0], "the table was made anew, and the keys stay where they were"
    assert (int(view_of(page).get("layer", 0)), int(view_of(page).get("head", 0))) == (layer, head)
    look(page, step=70, sort="entropy", over="run")
    assert "means over every step" in text(page, "metrics-words")


def seek(page, button: str) -> str:
    """Press a button that looks for a step, and return what is said once it was found or not."""
    press(page, button)
    rest(page)
    WebDriverWait(page, 30).until(lambda _: text(page, "seek-told") not in {"", "searching …"})
    return text(page, "seek-told")


def test_the_first_step_at_which_a_head_looks_at_a_reward_is_found(page, folder):
    """The first step whose largest weight on a rewarded transition is so many times uniform; then the next one."""
    look(page, layer=1, head=0)
    capture = attnscope.open(folder)
    shades, rewarded = as_u8(capture.rows[:, 0, 1, 0]), capture.rollout.reward[:, 0] > 0
    lifts = []
    for step in range(STEPS):
        start = max(0, step + 1 - SLOTS)
        lift = (shades[step].astype(float) / 254) ** 2 * (step + 1 - start)
        seen = [lift[at - start] for at in range(start, step) if rewarded[at]]
        lifts.append(max(seen, default=0.0))
    for times in (1, 4):
        field = page.find_element(By.ID, "seek-times")
        field.clear()
        field.send_keys(str(times))
        found = [step for step, lift in enumerate(lifts) if lift >= times]
        assert seek(page, "#seek-first").startswith(f"Step {found[0]}: transition ")
        assert view_of(page)["step"] == str(found[0])
        assert seek(page, "#seek-next").startswith(f"Step {found[1]}: transition ")
    field.clear()
    field.send_keys("1000")
    assert seek(page, "#seek-first") == "No step does."


def lifted(shades: np.ndarray, seen: int, reach: int) -> np.ndarray:
    """Return the colours of bytes on the scale of lift, as the page mixes them."""
    weight = (shades.astype(np.float64) / 254) ** 2
    part = np.clip(0.5 + np.log2(np.maximum(1e-9, weight * seen)) / (2 * reach), 0, 1) * 2 - 1
    ends = np.where(part[:, None] < 0, BLUE, ORANGE)
    return np.floor(np.array(MIDDLE) + (ends - np.array(MIDDLE)) * np.abs(part)[:, None] + 0.5).astype(np.uint8)


def test_lift_is_attention_over_uniform(page, folder):
    """The same rows on a scale around uniform attention: blue below it, orange above."""
    look(page, step=80, scale="lift")
    rows = as_u8(attnscope.open(folder).rows[80, 0])
    most = np.abs(np.log2((int(rows.max()) / 254) ** 2 * SLOTS))
    reach = min(6, max(2, int(np.ceil(most / 2)) * 2))
    for layer, head in np.ndindex(2, 2):
        drawn = colours(page, f"#heads button:nth-child({2 * layer + head + 1}) canvas")
        assert np.array_equal(drawn[0, :, :3], lifted(rows[layer, head], SLOTS, reach)), (layer, head)


def test_the_overview_zooms_by_keys_and_its_bar_moves(page):
    """Plus and minus keep the chosen step inside; the bar below slides the shown steps along the run."""
    look(page, step=60)
    band = page.find_element(By.ID, "band")
    band.send_keys("+")
    rest(page)
    assert (view_of(page)["from"], view_of(page)["to"]) == ("30", "90")
    wide = band.size["width"] - 140
    middle, rail = 58 + wide / 2 - band.size["width"] / 2, band.size["height"] / 2 - 10
    ActionChains(page).move_to_element_with_offset(band, int(middle), int(rail)).click_and_hold().move_by_offset(
        int(wide / 4), 0
    ).release().perform()
    rest(page)
    assert (view_of(page)["from"], view_of(page)["to"]) == ("60", "120")
    assert text(page, "band-words") == "Steps 60 to 119."
    band.send_keys("-")
    rest(page)
    assert "from" not in view_of(page)


SAVES = """
const make = URL.createObjectURL.bind(URL);
URL.createObjectURL = (content) => { window.saved = content; return make(content); };
HTMLAnchorElement.prototype.click = () => {};
"""
COPIES = "navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }"


@pytest.mark.parametrize("by", ["mean", "head"])
def test_the_copied_python_of_the_overview_gives_its_numbers(page, folder, by):
    """The line runs as it stands, and is what the band shows."""
    look(page, by=by, head=1, env=2, **{"from": 20, "to": 60})
    page.execute_script(COPIES)
    press(page, ".overview .take button")
    given = eval(page.execute_script("return window.copied"), {"attnscope": attnscope})  # noqa: S307 - our own line
    held = attnscope.open(folder).rows
    wanted = held[20:60, 2, 0, 1] if by == "head" else held.mean((slice(20, 60), 2), held.dims[2:4])
    assert np.array_equal(given, wanted, equal_nan=True)


def test_a_saved_svg_holds_the_picture(page, folder):
    """It is a document of its own: axes as texts, weights as one picture of pixels."""
    look(page, step=60, kind="maps", layer=1)
    page.execute_script(SAVES)
    press(page, "#save-svg")
    document = page.execute_async_script("const done = arguments[0]; window.saved.text().then(done)")
    root = ET.fromstring(document)  # noqa: S314 - our own page wrote it
    space = "{http://www.w3.org/2000/svg}"
    assert {"30", "60", "key: transition attended to"} - {one.text for one in root.iter(f"{space}text")} <= {"30", "60"}
    (image,) = root.iter(f"{space}image")
    content = base64.b64decode(image.get("href").partition("base64,")[2])
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    whole = as_u8(attnscope.open(folder).map(60))
    below = np.tril(np.ones((SLOTS, SLOTS), bool))
    assert np.array_equal(pixels[below][:, :3], viridis(whole[1, 0], int(whole.max()))[below])


def inside(page, side: int, css: str):
    """Return an element of one side of a pair."""
    host = page.find_elements(By.CSS_SELECTOR, ".side")[side]
    return host.shadow_root.find_element(By.CSS_SELECTOR, css)


def test_two_captures_stand_side_by_side_with_linked_cursors(page, other):
    """Step, head and cursor are those of both; each side has its own numbers."""
    page.execute_script("document.getElementById('with').focus()")
    WebDriverWait(page, 10).until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "#with option")) == 2)
    name = page.find_elements(By.CSS_SELECTOR, "#with option")[1].get_attribute("value")
    assert name == Subject.of_folder(other).name
    look(page, step=50, **{"with": name})
    wait = WebDriverWait(page, 20)
    wait.until(lambda _: [inside(page, side, "#heads-title").text for side in (0, 1)] == ["Heads at step 50"] * 2)
    assert [inside(page, side, "#title").text for side in (0, 1)] == ["AD-planted@1", "AD-other@2"]
    page.execute_script("arguments[0].click()", inside(page, 1, "#on"))
    wait.until(lambda _: inside(page, 0, "#heads-title").text == "Heads at step 51")
    wait.until(lambda _: inside(page, 1, "#heads-words").text == "12 tokens")
    for _ in range(3):
        inside(page, 0, "#focus").send_keys(Keys.ARROW_LEFT)
    wait.until(lambda _: "transition 49, 2 before the query" in inside(page, 1, "#words").text)
    weight = float(attnscope.open(other).rows.view((51, 0, 0, 0, 9)))
    assert f"weight {weight:.2g}, {weight * 12:.2g} × uniform" in inside(page, 1, "#words").text
    assert violations(page) == []
    with as_wide(page, 720):
        assert scrolled(page) <= 720
    page.back()
    page.back()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", [{"step": 60}, {"step": 60, "kind": "maps", "scale": "lift", "sort": "entropy"}])
def test_axe_finds_nothing(page, scheme, view):
    """Roles, names, order and contrast, in both themes."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    look(page, **view)
    assert violations(page) == []
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_focus_passes_the_controls_in_their_order(page):
    """Tab goes from the title's links to the step, the overview, the heads, the large picture; each is seen."""
    page.execute_script("document.getElementById('env').focus()")
    passed = []
    for _ in range(30):
        page.switch_to.active_element.send_keys(Keys.TAB)
        script = "const at = document.activeElement; return [at.id, getComputedStyle(at).outlineStyle]"
        name, outline = page.execute_script(script)
        passed.append(name)
        assert outline == "solid", name
    order = ["back", "step", "on", "number", "band", "focus", "copy-python"]
    assert [name for name in passed if name in order] == order
