"""The widget in a bare page of a real Chromium, with a fake model whose messages the widget's own class answers."""

from __future__ import annotations

import base64
import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import attnscope
from attnscope.page.bundling import bundled
from attnscope.page.widget import Look, look

pytestmark = pytest.mark.notebook

EVIL = "</script><img src=x onerror=window.hacked=3>"

MODEL = """
<!doctype html><meta charset="utf-8"><div class="jp-OutputArea"><div class="jp-OutputArea-child" id="still">
<div class="jp-RenderedImage">a picture</div></div><div id="cell"></div></div><script>
"use strict";
const heard = new Set();
window.sent = [];
window.model = {
  get: (name) => window.traits[name],
  on: (_, hear) => heard.add(hear),
  off: (_, hear) => heard.delete(hear),
  send: (content) => window.sent.push(content),
};
window.reply = (content, packed) => {
  const bytes = (one) => Uint8Array.from(atob(one), (letter) => letter.charCodeAt(0));
  const buffers = packed.map((one) => new DataView(bytes(one).buffer));
  for (const hear of [...heard]) hear(content, buffers);
};
window.listening = () => heard.size;
</script>
"""


@pytest.fixture(scope="module")
def widget(planted) -> Look:
    """Return the widget of a downloaded capture of a policy with a hostile name."""
    return look(attnscope.open(planted(name=EVIL, layers=2, heads=2, slots=12, steps=60)), None, env=1, step=30)


def answered(chrome, widget: Look, *, until: str) -> list[dict]:
    """Answer the page's messages as a kernel would, until a condition holds; return them."""
    asked: list[dict] = []

    def step(_driver) -> bool:
        for content in chrome.execute_script("return window.sent.splice(0)"):
            asked.append(content)
            answer, buffers = widget.answer(content["question"], content["asked"])
            packed = [base64.b64encode(one).decode() for one in buffers]
            chrome.execute_script("reply(arguments[0], arguments[1])", {"number": content["number"], **answer}, packed)
        return chrome.execute_script(f"return {until}")

    WebDriverWait(chrome, 30, 0.05).until(step)
    return asked


@pytest.fixture(scope="module")
def cell(chrome, widget, tmp_path_factory):
    """Return the browser with the widget in a page, as a notebook renders it."""
    page = tmp_path_factory.mktemp("cell") / "cell.html"
    page.write_text(MODEL, encoding="utf-8")
    traits = {"height": widget.height, "style_text": widget.style_text, "view": widget.view}
    chrome.get("about:blank")  # so that no other test's page asks any more
    chrome.get_log("browser")
    chrome.get(page.as_uri())
    chrome.execute_script("window.traits = arguments[0]", traits)
    script = (
        "const done = arguments[arguments.length - 1];"
        "const made = URL.createObjectURL(new Blob([arguments[0]], { type: 'text/javascript' }));"
        "import(made).then(({ default: { render } }) => {"
        "  window.end = render({ model, el: document.getElementById('cell') }); done(); })"
    )
    chrome.execute_async_script(script, bundled("widget.js", exports=("render",)))
    chrome.asked = answered(
        chrome, widget, until="Number(document.querySelector('.attnscope-look').dataset.shown) >= 3"
    )
    return chrome


def inside(chrome, css: str) -> str:
    """Return the text of an element of the widget."""
    script = "return document.querySelector('.attnscope-look').shadowRoot.querySelector(arguments[0]).textContent"
    return chrome.execute_script(script, css)


def test_the_page_stands_in_the_cell(cell):
    """It shows the step and the environment that were asked for, hides the picture, and a hostile name is a text."""
    assert inside(cell, "#title") == EVIL
    assert inside(cell, "#heads-title") == "Heads at step 30"
    assert cell.execute_script("return window.hacked") is None
    assert not cell.find_element(By.ID, "still").is_displayed()
    assert [one for one in cell.get_log("browser") if one["level"] == "SEVERE"] == []


def test_questions_travel_as_messages(cell, widget):
    """A key moves the step, whose rows come as one buffer; the answer's view is asked for too."""
    assert {"about", "news", "band", "heads", "answer"} <= {one["question"] for one in cell.asked}
    cell.execute_script(
        "document.querySelector('.attnscope-look').shadowRoot.querySelector('#band').dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true, composed: true }))"
    )
    until = (
        "document.querySelector('.attnscope-look').shadowRoot.querySelector('#heads-title').textContent.endsWith('31')"
    )
    answered(cell, widget, until=until)


def test_a_kernel_may_compute_influence_for_long(cell):
    """It runs the policy once a transition, so its answer is waited for much longer than that of any other question."""
    script = (
        "const done = arguments[arguments.length - 1];"
        "const made = URL.createObjectURL(new Blob([arguments[0]], { type: 'text/javascript' }));"
        "import(made).then(({ default: { KernelSource } }) => {"
        "  const [waits, own] = [[], setTimeout];"
        "  window.setTimeout = (_, after) => waits.push(after);"
        "  const source = new KernelSource({ on: () => {}, send: () => {} });"
        "  for (const question of ['heads', 'influence']) source.once(question, {});"
        "  window.setTimeout = own;"
        "  done(waits); })"
    )
    assert cell.execute_async_script(script, bundled("widget.js", exports=("KernelSource",))) == [15_000, 600_000]


def test_the_state_of_the_widget_holds_no_word_of_the_capture(widget):
    """A notebook may save scripts, style, a height and two numbers: no key, address, path or name."""
    state = {name: value for name, value in widget.get_state().items() if name not in {"_esm", "style_text"}}
    assert EVIL not in json.dumps(state, default=str)
    assert "c.zarr" not in json.dumps(widget.get_state(), default=str)
    assert state["view"] == {"env": 1, "step": 30}


def test_the_kernel_refuses_in_words(widget):
    """A question that the page does not ask, and a step that is not there."""
    assert "asks no such question" in widget.answer("/etc/passwd", {})[0]["refused"]
    assert "asks no such question" in widget.answer("heads", None)[0]["refused"]
    assert "not committed" in widget.answer("heads", {"env": 0, "step": 999})[0]["refused"]


def test_the_widget_ends_with_its_cell(cell):
    """Once the output is cleared, the page asks nothing more and hears nothing."""
    cell.execute_script("window.end()")
    assert cell.execute_script("return listening()") == 0
