"""Single modules of the page in a real headless Chromium, given what no planted capture holds, or a late answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ABOUT = "{layers: [0], heads: [0, 1], axes: [], rows: true, causal: false, queryFirst: false, tokens: 1}"


@pytest.fixture
def run(chrome, page) -> Callable[[str, str], Any]:
    """Return a function that runs a script with a module of the page, and returns what it returns."""

    def found(module: str, script: str) -> Any:
        address = f"http://127.0.0.1:{page.port}/"
        if not chrome.current_url.startswith(address):
            chrome.get(address)
        begin = "const done = arguments[arguments.length - 1]; const about = " + ABOUT + ";"
        body = f"import('/{module}').then(async (found) => {{ {script} }})"
        return chrome.execute_async_script(f"{begin} {body}.then(done, (error) => done(String(error)));")

    return found


def test_an_address_may_name_what_every_object_has(run):
    """It is no value of the view, and the others are taken."""
    script = "return found.valuesOf('constructor=1&__proto__=2&toString=x&step=7').step;"
    assert run("view.js", script) == 7


def test_a_whole_map_is_of_the_chosen_head(run):
    """While that of another head is asked for, its pooled map is shown, never the whole map of the head before."""
    script = """
        const frame = {shape: [1, 2, 1, 1], unit: 2, length: 2, step: 1, start: 0, shades: new Uint8Array([9, 8])};
        const ask = async () => ({shape: [2, 2], unit: 1, shades: new Uint8Array(4).fill(7)});
        const values = {kind: 'maps', scale: 'shared', age: -1};
        const shared = {about, head: [0, 0], values, view: {cursor: null}, env: 0, step: 1, source: {ask}};
        const focus = new found.Focus(shared, {frame});
        await focus.ask();
        const whole = Array.from(focus.shown().shades);
        shared.head = [0, 1];
        return [whole, Array.from(focus.shown().shades)];
    """
    assert run("panes/focus.js", script) == [[7, 7, 7, 7], [8]]


SEEKING = """
    let answer;
    const moves = [];
    const view = {change: (found) => moves.push(found)};
    const source = {ask: () => new Promise((resolve) => { answer = resolve; })};
    const shared = {about, env: 0, head: [0, 0], headName: '0.0', step: 1, news: {committed: 2}, view, source};
    const one = (transition, reward) => ({transition, reward, episode: 0, observation: null});
    const seeking = new found.Seeking(shared, {between: async () => [one(0, 1), one(1, 0)]});
    const rows = {steps: [0, 1], starts: [0, 0], lengths: [1, 2], shape: [2, 2], last: 2};
    seeking.show();
    const sought = seeking.seek(0);
"""


def test_a_step_that_was_looked_for_is_found(run):
    """It is chosen and told; of another head it says nothing any more."""
    script = """
        answer({...rows, shades: new Uint8Array([254, 255, 200, 200])});
        await sought;
        const told = seeking.told.textContent;
        shared.head = [0, 1];
        seeking.show();
        return [moves, told, seeking.told.textContent];
    """
    moves, told, after = run("panes/seeking.js", SEEKING + script)
    assert moves == [{"step": 1, "age": 1}]
    assert told.startswith("Step 1: transition 0")
    assert after == ""


def test_a_latent_is_no_transition_that_is_looked_for(run):
    """It stands for many, so the transitions behind it are counted from the context's own start."""
    script = """
        answer({...rows, summaries: [0, 1], starts: [0, 0], lengths: [1, 3], shape: [2, 3],
          shades: new Uint8Array([254, 255, 255, 254, 100, 100])});
        await sought;
        return moves;
    """
    assert run("panes/seeking.js", SEEKING + script) == []


@pytest.mark.parametrize("other", ["head = [0, 1]", "env = 1"])
def test_a_search_ends_with_its_head_and_environment(run, other):
    """An answer that comes late moves no view of another head or environment."""
    script = f"""
        shared.{other};
        seeking.show();
        answer({{...rows, shades: new Uint8Array([254, 255, 200, 200])}});
        await sought;
        return [moves.length, seeking.told.textContent, seeking.element.hasAttribute('aria-busy')];
    """
    assert run("panes/seeking.js", SEEKING + script) == [0, "", False]


def test_the_overview_says_of_how_many_its_cells_are_means(run):
    """Also under the cursor, where one transition is named for all tokens of the cell."""
    script = """
        let told;
        const columns = {steps: [0, 2], lengths: [4, 4], starts: [0, 0], shades: new Uint8Array([1, 2, 3, 4])};
        const data = {...columns, first: 0, last: 4, every: 2, unit: 2, shape: [2, 2]};
        const values = {y: 'age', by: 'mean', from: -1};
        const view = {shownSteps: () => [0, 4]};
        const source = {ask: async () => data};
        const tell = (one) => { told = one; };
        const shared = {about, env: 0, head: [0, 0], news: {total: 4, committed: 4}, values, view, source, tell};
        const overview = new found.Overview(shared);
        await overview.ask();
        overview.picture.range = [0, 4];
        overview.point(60, 200);
        const { sentence } = await import('/words.js');
        const transitions = {at: async () => null};
        const sentences = [told, {...told, query: 3}].map((one) => sentence(one, shared, transitions));
        return [overview.words.textContent, ...(await Promise.all(sentences))];
    """
    words, said, of_map = run("panes/overview.js", script)
    assert words == "Steps 0 to 3; a column is one stored step in 2; a cell is the mean of 2 tokens."
    assert said.endswith("(mean of 2 tokens).")
    assert of_map.endswith("(mean of 2 × 2).")


STEPS = """
    const went = [];
    const go = (to) => { went.push(to); shared.step = Math.min(8, to); };
    const shared = {about: {}, news: {committed: 9, total: 9}, step: 1, there: true, values: {env: 0}, view: {}, go};
    const steps = new found.Steps(shared);
"""


def test_a_wide_table_keeps_its_arrows(run):
    """They scroll it; elsewhere they are steps."""
    script = """
        const ended = new AbortController();
        const table = document.createElement('div');
        table.className = 'wide';
        document.body.append(table);
        steps.listen(window, ended.signal);
        const pressed = (target) => {
          const event = new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true, cancelable: true});
          target.dispatchEvent(event);
          return event.defaultPrevented;
        };
        const taken = [pressed(table), pressed(document.body)];
        ended.abort();
        table.remove();
        return [taken, went];
    """
    assert run("steps.js", STEPS + script) == [[False, True], [2]]


def test_a_number_that_is_typed_stays_while_the_capture_grows(run):
    """It is gone to once it is whole, and moved into what is committed."""
    script = """
        steps.show();
        const before = steps.number.value;
        steps.number.value = '30';
        steps.number.dispatchEvent(new Event('input'));
        steps.show();
        const typed = steps.number.value;
        steps.number.dispatchEvent(new Event('change'));
        return [before, typed, steps.number.value, went];
    """
    assert run("steps.js", STEPS + script) == ["1", "30", "8", [30]]


def test_the_ends_of_a_scale_of_lift_are_open(run):
    """Weights near none have the colour of the lower end, so its number is no value of theirs."""
    script = "return new found.LiftScale(2).marks();"
    assert run("drawing/scale.js", script) == [[0, "≤1\u20444×"], [0.5, "1×"], [1, "≥4×"]]


def test_the_python_of_the_grid_gives_the_states_of_the_context(run):
    """All whose cells are drawn, not the last two."""
    script = """
        const shared = {about: {...about, python: 'c', entries: [5]}, decision: {start: 11}, env: 0, step: 40};
        return new found.Place(shared, {}).python();
    """
    assert run("panes/place.js", script) == "c.rollout.observation[11:41, 5]"


@pytest.mark.parametrize(("weights", "said"), [([0.2, 0.5, 0.3], ""), ([0.2, 0.4, 0.4], "; 1 more with the same byte")])
def test_transitions_of_one_byte_share_the_most_attention(run, weights, said):
    """A byte each does not tell which of them has the most."""
    script = f"return new found.Place({{about, decision: {{start: 7, step: 9}}}}, {{}}).most({weights}, []);"
    assert run("panes/place.js", script) == f"transition 8: {max(weights):.2f}{said}"
