"""The report's page in a real headless Chromium, from a file, without a network: the page's own modules run there."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import attnscope
from attnscope.page import rollouts
from attnscope.recommendations.beside import Beside
from attnscope.report import write_report
from attnscope.report.page import page as report_page
from attnscope.study import study
from attnscope_storage.shades import as_u8
from chromium import as_wide, chromium, rest, scrolled, text, violations
from evidence import card_of, screened

EVIL = "</script><img src=x onerror=window.hacked=1>&amp;\u2028$title"
SLOTS = 12


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    """Return a headless Chromium."""
    with chromium(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def capture(planted):
    """Return a capture whose policy has a hostile name."""
    return attnscope.open(planted(name=EVIL))


@pytest.fixture(scope="module")
def page(capture, tmp_path_factory, browser) -> webdriver.Chrome:
    """Return the browser with the report of that capture, a decision and a screen beside it."""
    out = tmp_path_factory.mktemp("report")
    write_report(capture, out, beside=Beside(decision=card_of(), screen=screened()))
    browser.get((out / "report.html").as_uri())
    WebDriverWait(browser, 30).until(lambda b: b.execute_script("return !document.getElementById('main').hidden"))
    rest(browser)
    return browser


def choose(page, name: str, value: object) -> None:
    """Set a control, as a reader would, and wait for the view."""
    script = (
        "const [id, value] = arguments; const one = document.getElementById(id);"
        "one.value = String(value); one.dispatchEvent(new Event('input')); one.dispatchEvent(new Event('change'));"
    )
    page.execute_script(script, name, value)
    rest(page)


def drawn(page, css: str) -> np.ndarray:
    """Return the pixels of a canvas."""
    script = (
        "const c = document.querySelector(arguments[0]);"
        "return [c.width, c.height, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    )
    width, height, data = page.execute_script(script, css)
    return np.array(data, np.uint8).reshape(height, width, 4)


def test_the_page_says_what_it_is_and_runs_nothing_of_the_capture(page):
    """Hostile names are shown as they are written; nothing of them runs, and nothing is fetched."""
    assert page.find_element(By.TAG_NAME, "h1").text.startswith("Attention of </script><img src=x")
    assert page.execute_script("return window.hacked") is None
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert text(page, "condition") == "60 of 60 steps, complete"
    assert "mask stated by user" in page.find_element(By.CLASS_NAME, "provenance").text


def test_the_answer_comes_first(page):
    """The sentence of the decision, then ladder and map, then the table of rules, then attention."""
    places = [
        page.find_element(By.CSS_SELECTOR, css).location["y"]
        for css in (".lead .sentence", ".rungs canvas", "table.map", ".rules table", "#band")
    ]
    assert places == sorted(places)
    assert page.find_element(By.CSS_SELECTOR, ".lead .sentence").text.startswith("Compress to recency 20. <img")
    assert page.find_elements(By.CSS_SELECTOR, "#answer img") == []
    assert [one.text for one in page.find_elements(By.CSS_SELECTOR, "figcaption .verdict")] == [
        "non-inferior",
        "inferior",
    ]


@pytest.mark.parametrize(("env", "step"), [(0, 7), (2, 59), (1, 31)])
def test_any_step_of_any_environment_is_there(page, capture, env, step):
    """Each head's picture is its decision row, pixel by weight, on the scale of all heads."""
    choose(page, "env", env)
    choose(page, "step", step)
    assert text(page, "heads-title") == f"Heads at step {step}"
    rows = as_u8(capture.rows[step, env, ..., : min(step + 1, SLOTS)])
    for place in range(4):
        shades = rows[place // 2, place % 2].astype(np.float64)
        at = np.minimum(255, np.floor(255 * shades / rows.max() + 0.5)).astype(int)
        wanted = np.rint(255 * mpl.colormaps["viridis"](at)[..., :3]).astype(np.uint8)
        assert np.array_equal(drawn(page, f"#heads button:nth-child({place + 1}) canvas")[0, :, :3], wanted)


def test_a_map_is_there_where_it_was_sampled(page):
    """Another step names those that are held; a click on one shows it."""
    choose(page, "env", 0)
    choose(page, "step", 31)
    page.find_element(By.CSS_SELECTOR, '[data-choice="kind"] option[value="maps"]').click()
    rest(page)
    assert "no map of step 31" in text(page, "heads-note")
    page.find_element(By.CSS_SELECTOR, "#stored button:last-child").click()
    rest(page)
    assert text(page, "heads-title") == "Heads at step 59"
    assert not page.find_element(By.ID, "heads-note").is_displayed()
    page.find_element(By.CSS_SELECTOR, '[data-choice="kind"] option[value="rows"]').click()
    rest(page)


def test_the_transition_under_the_cursor_is_told(page, capture):
    """The keys put the cursor on the query, then on the transition before it, whose words and weight are right."""
    choose(page, "env", 1)
    choose(page, "step", 45)
    focus = page.find_element(By.ID, "focus")
    focus.send_keys(Keys.ARROW_LEFT)
    focus.send_keys(Keys.ARROW_LEFT)
    WebDriverWait(page, 10).until(lambda _: "transition 44" in text(page, "words"))
    weight = float(capture.rows.view((45, 1, 0, 0, SLOTS - 2)))
    assert f"weight {weight:.2g}" in text(page, "words")


def test_a_cell_of_the_screen_s_map_is_told_and_chooses_its_curve(page):
    """By pointer and by keys: departures with their interval, tokens kept; hostile words beside it stay text."""
    first = page.find_element(By.CSS_SELECTOR, "table.map td[tabindex='0']")
    page.execute_script("arguments[0].scrollIntoView({ block: 'center' })", first)
    ActionChains(page).move_to_element(first).click().perform()
    assert text(page, "words").startswith("uniform at 50%: 1.00 (1.00 to 1.00) actions of an episode that differ")
    first.send_keys(Keys.ARROW_DOWN)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    rule = page.execute_script("return document.activeElement.parentElement.cells[0].textContent")
    assert page.find_element(By.CSS_SELECTOR, ".answer select").get_attribute("value") == rule
    assert f"{rule} at 10:" in text(page, "words")


def test_a_look_of_the_ladder_is_told(page):
    """The keys go from look to look; a limit that does not exist is said."""
    canvas = page.find_element(By.CSS_SELECTOR, ".rungs canvas")
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert "look 1 at 5 seeds a task: undecided. It keeps 1 (without limit to 1.02)" in text(page, "words")
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert "look 2 at 10 seeds a task: non-inferior" in text(page, "words")


def test_metrics_of_a_step_are_those_of_its_row(page, capture):
    """The bytes that are drawn give every statistic to about two digits; means over the run are the stored ones."""
    choose(page, "env", 2)
    choose(page, "step", 47)
    cells = "return [...document.querySelectorAll('#metrics tbody tr')]"
    cells += ".map((row) => [...row.cells].slice(2).map((one) => one.textContent))"
    shown = np.array(page.execute_script(cells))
    names = page.execute_script(
        "return [...document.querySelectorAll('#metrics thead button')].map((one) => one.firstChild.textContent)"
    )
    for column, name in enumerate(names[1:]):
        if name.startswith("recency"):
            window = list(capture.stats.window[:]).index(int(name.split()[1]))
            stored = capture.stats.recency[47, 2, ..., window].ravel()
        else:
            stored = capture[f"stats/{name}"][47, 2].ravel()
        drawn = [0.0 if text.startswith("<") else float(text) for text in shown[:, column]]
        assert np.allclose(drawn, stored, rtol=0.02, atol=2e-3), name
    page.find_element(By.CSS_SELECTOR, '[data-choice="over"] option[value="run"]').click()
    rest(page)
    assert "means over every step" in text(page, "metrics-words")
    page.find_element(By.CSS_SELECTOR, '[data-choice="over"] option[value="step"]').click()
    rest(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page, scheme):
    """The report breaks no rule of accessibility in either scheme."""
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    assert violations(page) == []
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_paper_is_white(page):
    """A reader of the dark scheme prints in the colours of the light one, and has the dark ones again."""
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
    seen = "dispatchEvent(new Event(arguments[0]));"
    seen += "return getComputedStyle(document.querySelector('#band')).getPropertyValue('--ink')"
    assert page.execute_script(seen, "beforeprint").strip() == "#1b2330"
    assert page.execute_script(seen, "afterprint").strip() == "#e8ecf2"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_is_cut_on_paper(page):
    """The table of the heads stays within its pane at the width of A4, and nothing is framed that holds no picture."""
    with as_wide(page, 717):
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        right = "(css) => document.querySelector(css).getBoundingClientRect().right"
        ends = f"return ['#metrics', '.pane.metrics'].map({right})"
        table, pane = page.execute_script(ends)
        framed = page.find_element(By.CSS_SELECTOR, ".pane.influence").is_displayed()
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert table <= pane
    assert not framed


@pytest.mark.parametrize("width", [1600, 800, 400])
def test_nothing_is_cut_at_any_width(page, width):
    """The page never scrolls sideways."""
    with as_wide(page, width):
        assert scrolled(page) <= width


def test_means_of_many_episodes_say_so(browser, planted, tmp_path, monkeypatch):
    """A file holds returns as the live page has them, with the number of episodes of each."""
    monkeypatch.setattr(rollouts, "MOST_EPISODES", 2)
    file = tmp_path / "report.html"
    file.write_text(report_page(study(attnscope.open(planted())), [], {}, "nothing is known"), encoding="utf-8")
    browser.get(file.as_uri())
    WebDriverWait(browser, 30).until(lambda b: b.execute_script("return !document.getElementById('main').hidden"))
    rest(browser)
    assert "; a return is the mean of 3 episodes" in text(browser, "band-words")
