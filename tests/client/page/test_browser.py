"""The live page in a real headless Chromium: the array's colours, keys, clicks, a hostile label, every width."""

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
from attnscope.page.assets import FIRST, asset
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope_storage.shades import as_u8
from chromium import as_wide, colours, look, rest, shown, text, view_of, viridis

EVIL = "</script><img src=x onerror=window.hacked=1><b>\u202e$title"
STEPS, SLOTS = 120, 30


@pytest.fixture(scope="module")
def folder(planted):
    """Return a capture of four layers and four heads, of a policy with a hostile name."""
    made = planted(layers=4, heads=4, slots=SLOTS, steps=STEPS, map_steps=(60, 119), name=EVIL)
    return made.rename(made.with_name("c');\"$(x)é.zarr"))


@pytest.fixture(scope="module")
def entered(folder, state_folder, chrome) -> Iterator[webdriver.Chrome]:
    """Return the browser, led to the page of that capture."""
    with served(None, Subject.of_folder, folder=state_folder) as server:
        chrome.page_server = server
        chrome.get("about:blank")  # so that no other test's page asks any more
        chrome.get_log("browser")
        chrome.get(server.show(Subject.of_folder(folder)).file.as_uri())  # as `open` leads a browser
        WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
        yield chrome


@pytest.fixture
def page(entered) -> webdriver.Chrome:
    """Return the page at its first view."""
    look(entered)
    return entered


def test_the_page_enters_once_and_keeps_no_code(page, folder):
    """The code is gone from the address, the session is in the tab's storage alone, nothing came from elsewhere."""
    assert view_of(page) == {"at": Subject.of_folder(folder).name}
    assert page.execute_script("return [localStorage.length, document.cookie]") == [0, ""]
    assert page.execute_script("return Object.keys(sessionStorage)") == ["attnscope-token"]
    asked = page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert all(one.startswith(f"http://127.0.0.1:{page.page_server.port}/") for one in asked)
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_hostile_label_is_a_text(page):
    """Nothing of it runs or becomes an element; characters that turn direction are spelled out."""
    assert text(page, "title") == EVIL.replace("\u202e", "\\u202e")
    assert page.execute_script("return window.hacked") is None
    assert page.find_elements(By.CSS_SELECTOR, "h1 *, #source *, main img") == []


def test_actions_and_states_are_words_whatever_they_are(page):
    """One choice, several, a vector, a nested grid, one too large to spell out, and one that is not known."""
    told = page.execute_async_script(
        "import('/words.js').then(({ actionWords, stateWords }) => arguments[0](["
        "actionWords({ action: 3 }), actionWords({ action: [2, 0], wide: {} }),"
        "actionWords({ action: [0.123456, -1] }), stateWords({ observation: [[1, 2], [3, 4]] }),"
        "stateWords({ observation: null, wide: { observation: [5, 5, 2] } }), stateWords({ observation: null })]))"
    )
    assert told == ["3", "(2, 0)", "(0.1235, -1)", "((1, 2), (3, 4))", "of 5 × 5 × 2 numbers", "unknown"]


@pytest.mark.parametrize("step", [7, 119])
def test_heads_have_the_colours_of_the_array(page, folder, step):
    """Each head's picture is its decision row, pixel by weight, on the scale of all heads."""
    look(page, step=step)
    rows = as_u8(attnscope.open(folder).rows[step, 0, ..., : min(step + 1, SLOTS)])
    for layer in range(4):
        for head in range(4):
            drawn = colours(page, f"#heads button:nth-child({4 * layer + head + 1}) canvas")
            assert np.array_equal(drawn[0, :, :3], viridis(rows[layer, head], int(rows.max()))), (layer, head)


def test_each_head_may_have_its_own_scale(page, folder):
    """Then its largest weight has the last colour."""
    look(page, step=119, scale="own")
    rows = as_u8(attnscope.open(folder).rows[119, 0])
    for layer, head in ((0, 0), (3, 3)):
        drawn = colours(page, f"#heads button:nth-child({4 * layer + head + 1}) canvas")
        assert np.array_equal(drawn[0, :, :3], viridis(rows[layer, head], int(rows[layer, head].max())))


def test_maps_have_the_colours_of_the_array(page, folder):
    """A stored map, pixel by weight; masked cells are transparent. The large picture shows the chosen head's."""
    look(page, step=60, kind="maps", layer=1, head=2)
    n, whole = SLOTS, as_u8(attnscope.open(folder).map(60))
    drawn = colours(page, "#heads button:nth-child(7) canvas")
    below = np.tril(np.ones((n, n), bool))
    wanted = viridis(whole[1, 2], int(whole.max()))
    assert np.array_equal(drawn[below][:, :3], wanted[below])
    assert (drawn[~below][:, 3] == 0).all()
    large = colours(page, "#focus")
    side = page.execute_script("return document.getElementById('focus').clientWidth") - 58 - 82
    cell = min(side, 620) / n
    for query, key in ((0, 0), (20, 3), (29, 29), (29, 28)):
        at = large[int(12 + (query + 0.5) * cell), int(58 + (key + 0.5) * cell), :3]
        assert np.array_equal(at, wanted[query, key]), (query, key)


@pytest.mark.parametrize("view", [{"from": 50, "to": 10}, {"from": 5}, {"from": 500, "to": 900}, {"to": 7}])
def test_an_absurd_view_is_the_whole_one(page, view):
    """Steps in the wrong order or past the end show the overview of all steps, and the last step's heads."""
    look(page, step=999_999_999, **view)
    assert text(page, "band-words") == "Steps 0 to 119."
    assert text(page, "heads-title") == "Heads at step 119"
    assert not page.find_element(By.ID, "band-note").is_displayed()
    look(page, env=99)
    assert "env 99 is not stored" in text(page, "heads-note")


@pytest.mark.parametrize("kind", ["rows", "maps"])
def test_the_copied_python_gives_the_array(page, folder, kind):
    """The line runs as it stands, also for a folder whose name would end a text; the link is the address."""
    look(page, step=60, kind=kind, layer=2, head=1, env=1)
    page.execute_script("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.execute_script("document.getElementById('copy-python').scrollIntoView({ block: 'center' })")
    page.find_element(By.ID, "copy-python").click()
    given = eval(page.execute_script("return window.copied"), {"attnscope": attnscope})  # noqa: S307 - our own line
    held = attnscope.open(folder)
    wanted = held.rows[60, 1, 2, 1] if kind == "rows" else held.map(60, 2, 1, 1)
    assert np.array_equal(given, wanted)
    saved = "HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href.slice(0, 5)]; }"
    page.execute_script(saved)
    page.find_element(By.ID, "save-png").click()
    WebDriverWait(page, 10).until(lambda _: page.execute_script("return window.saved"))
    assert page.execute_script("return window.saved") == ["attention-step60-layer2-head1.png", "blob:"]
    page.find_element(By.ID, "copy-link").click()
    assert page.execute_script("return window.copied") == page.current_url


def test_steps_and_heads_are_chosen_by_keys(page):
    """Arrows go a step, Shift ten, Page an episode; in the heads they choose; the address follows."""
    look(page, step=50)
    body = page.find_element(By.ID, "band")
    body.send_keys(Keys.ARROW_RIGHT)
    body.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    assert view_of(page)["step"] == "61"
    body.send_keys(Keys.PAGE_UP)
    assert view_of(page)["step"] == "51"
    body.send_keys(Keys.HOME)
    assert text(page, "heads-title") == "Heads at step 0"
    page.find_element(By.CSS_SELECTOR, '#heads [aria-checked="true"]').send_keys(Keys.ARROW_DOWN)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element.get_attribute("aria-label") == "layer 1, head 1"
    assert {"layer": "1", "head": "1"}.items() <= view_of(page).items()


def test_the_large_picture_tells_what_is_under_its_cursor(page, folder):
    """The keys put the cursor on the query, then on the transition before it, whose words and weight are right."""
    look(page, step=45)
    focus = page.find_element(By.ID, "focus")
    focus.send_keys(Keys.ARROW_LEFT)
    focus.send_keys(Keys.ARROW_LEFT)
    WebDriverWait(page, 10).until(lambda _: "transition 44" in text(page, "words"))
    weight = float(attnscope.open(folder).rows.view((45, 0, 0, 0, 28)))
    said = text(page, "words")
    assert said.startswith("Step 45: transition 44, 1 before the query, episode 4 — state (0, 0), action 0, reward 0.")
    assert f"weight {weight:.2g}, {weight * SLOTS:.2g} × uniform" in said


def test_a_click_in_the_overview_is_a_step_and_a_drag_is_a_zoom(page):
    """The back button undoes either; a double click shows all steps."""
    look(page, step=10)
    band = page.find_element(By.ID, "band")
    width = band.size["width"]
    middle = 58 + (width - 140) / 2 - width / 2
    ActionChains(page).move_to_element_with_offset(band, int(middle), 0).click().perform()
    assert abs(int(view_of(page)["step"]) - STEPS / 2) <= 1
    page.back()
    assert view_of(page)["step"] == "10"
    ActionChains(page).move_to_element_with_offset(band, int(middle), 0).click_and_hold().move_by_offset(
        int((width - 140) / 4), 0
    ).release().perform()
    rest(page)
    zoomed = view_of(page)
    assert abs(int(zoomed["from"]) - 60) <= 1
    assert abs(int(zoomed["to"]) - 91) <= 1
    ActionChains(page).double_click(band).perform()
    rest(page)
    assert "from" not in view_of(page)


def test_a_map_that_cannot_be_replayed_is_said(page):
    """Offline, a step without a stored map says so and offers those that are stored."""
    look(page, step=30, kind="maps")
    assert "no map of step 30 is stored" in text(page, "heads-note")
    page.find_element(By.CSS_SELECTOR, "#stored button").click()
    rest(page)
    assert view_of(page)["step"] == "60"
    assert not page.find_element(By.ID, "heads-note").is_displayed()


@pytest.mark.parametrize("width", [1600, 800, 400])
def test_nothing_is_cut_at_any_width(page, width):
    """The page never scrolls sideways, and every control is inside; a wide table scrolls in its own place."""
    with as_wide(page, width):
        look(page, kind="maps", step=60)
        script = (
            "const named = [...document.querySelectorAll('select, button, input, canvas, .wide')];"
            "const all = named.filter((one) => one.offsetParent && !one.closest('.wide *'));"
            "const ends = all.map((one) => Math.ceil(one.getBoundingClientRect().right));"
            "return [document.documentElement.scrollWidth, ...ends]"
        )
        assert max(page.execute_script(script)) <= width


def test_a_capture_of_one_step_is_shown(chrome, planted, state_folder):
    """Its axes have one place, its cursor one cell, and nothing divides by the distance of its ends."""
    with served("one step", Subject.of_folder, folder=state_folder) as server:
        chrome.get("about:blank")  # so that no other test's page asks any more
        chrome.get_log("browser")
        chrome.get(server.show(Subject.of_folder(planted(steps=1, envs=1))).address)
        WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
        assert (text(chrome, "heads-title"), text(chrome, "band-words")) == ("Heads at step 0", "Steps 0 to 0.")
        focus = chrome.find_element(By.ID, "focus")
        focus.send_keys(Keys.PAGE_DOWN)
        rest(chrome)
        for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT):
            focus.send_keys(key)
        WebDriverWait(chrome, 10).until(lambda _: text(chrome, "words").startswith("Step 0: the query itself"))
        assert "weight 1.0, 1.0 × uniform" in text(chrome, "words")
        ActionChains(chrome).double_click(chrome.find_element(By.ID, "band")).perform()
        rest(chrome)
        assert [entry for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_page_and_modules_are_small():
    """Everything that is loaded before the first view is 150 kB at most."""
    assert sum(len(asset(path)) for path in FIRST) <= 150_000


def test_the_newest_token_is_of_the_step_before(chrome, tmp_path, state_folder):
    """With the query first and three tokens a transition, ages and transitions are still right."""
    weights = np.full((12, 1, 1, 1, 10), np.nan)
    lengths = np.array([[3 * min(step, 3) + 1] for step in range(12)])
    for step, (n,) in enumerate(lengths):
        weights[step, ..., :n] = np.arange(1, n + 1) / np.arange(1, n + 1).sum()
    options = {"tokens_per_transition": 3, "query_slot": "first", "out": tmp_path / "mine.zarr"}
    attnscope.import_arrays(weights, lengths, **options)
    with served("imported", Subject.of_folder, folder=state_folder) as server:
        chrome.get(server.show(Subject.of_folder(tmp_path / "mine.zarr")).address)
        WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
        focus = chrome.find_element(By.ID, "focus")
        focus.send_keys(Keys.ARROW_LEFT)
        WebDriverWait(chrome, 10).until(lambda _: "transition 10, 1 before the query" in text(chrome, "words"))
        for _ in range(9):
            focus.send_keys(Keys.ARROW_LEFT)
        WebDriverWait(chrome, 10).until(lambda _: "the query itself" in text(chrome, "words"))
        assert "uniform" in text(chrome, "words")
        band = chrome.find_element(By.ID, "band")
        right = band.size["width"] // 2 - 84
        ActionChains(chrome).move_to_element_with_offset(band, right, 10 + 236 - 8 - band.size["height"] // 2).perform()
        WebDriverWait(chrome, 10).until(lambda _: "the query itself" in text(chrome, "words"))
        assert "all heads on average" in text(chrome, "words")
