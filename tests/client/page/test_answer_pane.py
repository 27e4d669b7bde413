"""The answer on the live page: it grows while a decision runs, and hostile words in it are text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from attnscope.page.answered import Evidence
from attnscope.page.evidence import Answers, Given
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from chromium import as_wide, rest, scrolled, shown, text, violations
from evidence import EVIL, card_of, evidence, screened


class Growing(Given):
    """Evidence that a test exchanges."""

    still = False

    def become(self, mark: str, **known: object) -> None:
        """Take further evidence, under another mark."""
        self._evidence, self.mark = Evidence(**known), mark


@pytest.fixture(scope="module")
def growing() -> Growing:
    """Return evidence of a decision that has committed nothing."""
    return Growing(Evidence(running=True))


@pytest.fixture(scope="module")
def page(planted, state_folder, chrome, growing) -> Iterator[webdriver.Chrome]:
    """Return the browser on the page of a capture beside that decision."""
    subject = Subject.of_folder(planted())
    subject.answers = Answers(growing, subject.captured)
    with served("the answer", Subject.of_folder, folder=state_folder) as server:
        chrome.get("about:blank")  # so that no other test's page asks any more
        chrome.get_log("browser")
        chrome.get(server.show(subject).address)
        WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 3)
        rest(chrome)
        yield chrome


def test_the_answer_grows_without_a_reload(page, growing):
    """Progress in words, then the screen's map, then the ladder and the sentence; each stays text."""
    page.execute_script("window.sameness = 1")
    pane = page.find_element(By.CSS_SELECTOR, ".answer")
    sentence = page.find_element(By.CSS_SELECTOR, ".answer .sentence")
    assert sentence.text.startswith("A decision is on its way.")
    begun = card_of(answer=None, sentence=None, chosen=None, rungs=(), looks=(), arms=(), lines=(f"gate: {EVIL}",))
    growing.become("begun", card=begun, running=True)
    WebDriverWait(page, 30).until(lambda _: sentence.text == "No answer yet.")
    assert page.find_element(By.CSS_SELECTOR, ".answer .lines").text == f"gate: {EVIL}"
    assert page.find_elements(By.CSS_SELECTOR, ".answer .rung") == []
    growing.become("screening", card=growing.evidence().card, running=True, screen=screened(), rollouts=(2, 8))
    WebDriverWait(page, 30).until(lambda _: page.find_elements(By.CSS_SELECTOR, ".answer table.map"))
    assert "2 of 8 rollouts so far." in pane.text
    whole = evidence()
    growing.become("answered", card=whole.card, screen=whole.screen, rollouts=(8, 8))
    WebDriverWait(page, 30).until(lambda _: page.find_elements(By.CSS_SELECTOR, ".answer .rung"))
    assert page.find_element(By.CSS_SELECTOR, ".answer .sentence").text == whole.card.sentence
    assert "rollouts so far" not in pane.text
    assert page.execute_script("return [window.sameness, window.hacked]") == [1, None]
    assert page.find_elements(By.CSS_SELECTOR, ".answer img") == []
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_answer_breaks_no_rule_of_accessibility(page):
    """Tables, pictures, headings and colours, in every part of the pane."""
    page.find_element(By.CSS_SELECTOR, ".answer summary").click()
    assert violations(page) == []


@pytest.mark.parametrize("width", [1600, 800, 400])
def test_nothing_of_the_answer_is_cut(page, width):
    """Wide tables scroll in their own place, and the page never scrolls sideways."""
    with as_wide(page, width):
        assert scrolled(page) <= width
    assert text(page, "heads-title") == "Heads at step 59"
