"""The first lines of advice: gate, decision, screen or the command; never an oracle, never more than 80 lines."""

from __future__ import annotations

import html
import json
from types import ModuleType, SimpleNamespace

import pytest

import attnscope
from attnscope.cli.verbs.trials import WITHOUT_SPLITS, follow
from attnscope.errors import NotCapturedError
from attnscope.measures import NotMeasurableError
from attnscope.proposal import ProposalError, propose
from attnscope.recommendations.beside import Beside
from attnscope.report import write_report
from led import SENTENCE, decided, screened

LINES = 80
"""Lines of the file, at most."""


@pytest.fixture(scope="module", autouse=True)
def _few_decisions():
    """Predict few decisions: words are looked at, not numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnscope.reading.plan.HISTORIES", 64)
        yield


@pytest.fixture(scope="module")
def make(request, tmp_path_factory):
    """Return a function that writes a capture of recent attention, made once for the same options."""
    conftest: ModuleType = request.config.pluginmanager.get_plugin(str(request.path.with_name("conftest.py")))
    folder, made = tmp_path_factory.mktemp("led"), {}

    def make(**options):
        name = json.dumps(options)
        if name not in made:
            made[name] = conftest.write(folder / f"{len(made)}.zarr", conftest.recent, **options)
        return attnscope.open(made[name])

    return make


@pytest.fixture(scope="module")
def gaining(make):
    """Return a capture of a policy that earns 1 an episode where uniform actions earn 0.2."""
    return make(random=0.2)


def lines_of(text: str) -> list[str]:
    """Return a text's lines, checked to be few enough."""
    lines = text.splitlines()
    assert len(lines) <= LINES, f"{len(lines)} lines"
    return lines


def test_without_evidence_the_command_leads(gaining):
    """Nothing leads but the commands that give an answer, and attention is said to predict nothing."""
    advice = attnscope.recommend(gaining)
    lines = lines_of(advice.text)
    assert advice.lead.kind == "none"
    assert lines[lines.index("NO ANSWER YET") + 1].startswith("Attention says where this policy looks, not what it may")
    commands = [command for _, command in advice.lead.commands]
    assert commands == ["attnscope decide 'AD-<b>toy</b>@1'", f"attnscope screen {gaining.job}"]
    assert all(any(line.endswith(command) for line in lines) for command in commands)


def test_a_policy_without_a_gain_is_ranked_by_nothing(make):
    """If uniform actions earn as much, the first sentence says so; no rule has a rank, and nothing is proposed."""
    capture = make(random=1.0)
    advice = attnscope.recommend(capture, screen=screened(capture))
    first = " ".join(lines_of(advice.text)[2:5])
    assert "The policy acts no better than uniform actions here" in first
    assert "no rule is ranked" in first
    assert advice.verdict == "no gain"
    assert {one.rank for one in advice.recommendations} == {None}
    assert not advice.headline
    assert "in no order" in advice.table.title
    assert "by departure:" not in advice.text
    with pytest.raises(ProposalError, match="acts no better than uniform actions"):
        propose(advice.to_json())


def test_a_policy_that_seldom_earns_is_ranked_by_nothing(make):
    """A quarter of the rollouts never finds a reward: neither attention nor a screen orders rules of such a policy."""
    capture = make(random=0.2, earning=0.75)
    advice = attnscope.recommend(capture, screen=screened(capture, earning=0.75))
    assert "Only 75 % of the rollouts earn anything" in " ".join(lines_of(advice.text)[2:5])
    assert advice.verdict == "no gain"
    assert advice.proposal.basis is None


def test_a_screen_leads_where_nothing_is_decided(gaining):
    """The votes are named with their numbers, equal rules are one, and no oracle is among them."""
    advice = attnscope.recommend(gaining, screen=screened(gaining))
    text, lines = advice.text, lines_of(advice.text)
    assert advice.lead.kind == "screened"
    assert text.index("SCREENED, NOT DECIDED") < text.index("RULES THAT COULD BE DEPLOYED")
    assert [line.split(":")[0].strip() for line in lines if line.startswith("  by ")] == [
        "by departure",
        "by signed loss",
        "by retained attention",
    ]
    assert "recency (= rewards)" in text
    assert not any(line.startswith("rewards") for line in lines)
    assert any(line.startswith("tova every 10") for line in lines)
    assert "it calls no rule harmless" in text
    assert not any(line.startswith("none ") for line in lines)


def test_a_screen_proposes_the_first_of_each_vote_as_they_were_screened(gaining):
    """Each with its own best budget and positions; rules by attention with their interval, in trials of their own."""
    document = attnscope.recommend(gaining, screen=screened(gaining)).to_json()
    found = propose(document)
    named = {strategy.name for trial in found.trials for strategy in trial.strategies}
    first = {arm["strategy"]["name"] for vote in document["proposal"]["votes"].values() for arm in vote[:3]}
    assert named == first
    assert {trial.budget for trial in found.trials} == {0.4}  # 60 % of a full context saves less than a half
    guided = propose(document, first=30)
    every = {one.interval for one in guided.trials if any(rule.name == "tova" for rule in one.strategies)}
    assert every == {10}
    oracles = [(one.interval, rule.name) for one in guided.trials for rule in one.strategies if one.interval == 1]
    assert not {name for _, name in oracles} & {"tova", "h2o", "snapkv", "nucleus", "threshold", "redundancy"}


def test_an_answer_leads(gaining):
    """The sentence of the decision comes first, with its scope; a refused rung is named; the screen is the table."""
    advice = attnscope.recommend(gaining, decision=decided(gaining), screen=screened(gaining))
    text, lines = " ".join(advice.text.split()), lines_of(advice.text)
    assert lines[3] == ""
    assert lines[4] == "THE ANSWER, BY ROLLOUTS"
    assert SENTENCE in text
    assert "these 8 tasks, margin 5 %" in text
    assert "Judged too: recency 6, keep inferior (kept 0.610 [0.400, 0.800], 20 seeds)." in text
    assert text.count("SCREENED, NOT DECIDED") == 0
    assert advice.to_json()["lead"]["claims"][0]["sentence"] == SENTENCE
    assert "keep: each kept token keeps the position that it had in the whole window." in " ".join(text.split())


def test_an_answer_of_another_policy_is_refused(gaining):
    """A decision on another checkpoint, or in another environment, says nothing of this one."""
    for change in ({"checkpoint_id": "d" * 64}, {"environment_id": "attnscope/DarkKeyToDoor-v0"}):
        with pytest.raises(NotMeasurableError, match="expected a decision on"):
            attnscope.recommend(gaining, decision=decided(gaining, **change))


def test_the_report_leads_with_the_same_words_on_its_page(gaining, tmp_path):
    """Text, JSON and page hold the same sentences; the screen's map is among the figures; all of it stays short."""
    beside = Beside(decided(gaining), None, screened(gaining), "e" * 36)
    files = [path.name for path in write_report(gaining, tmp_path, beside=beside)]
    assert {"screen_map.png", "decision_ladder.png", "decision_kept_by_tokens.png"} <= set(files)
    text = (tmp_path / "compression_recommendations.txt").read_text()
    page = (tmp_path / "report.html").read_text()
    written = json.loads((tmp_path / "compression_recommendations.json").read_text())
    lines_of(text)
    assert written["lead"]["claims"][0]["sentence"] == SENTENCE
    claims = [one["sentence"] for one in written["lead"]["claims"]]
    assert len(claims) >= 3
    assert [one for one in claims if html.escape(one) not in page] == []
    assert [one for one in claims if one not in " ".join(text.split())] == []


def test_a_screen_leads_a_capture_without_rows(make, tmp_path):
    """The votes lead, its rules are proposed, and attention is said to be unread; alone, the capture names a screen."""
    capture = make(random=0.2, rows=False)
    screen = screened(capture)
    advice = attnscope.recommend(capture, screen=screen)
    lines = lines_of(advice.text)
    assert (advice.lead.kind, advice.verdict, advice.recommendations) == ("screened", "not read", ())
    assert "SCREENED, NOT DECIDED" in lines
    assert "Nothing is said of attention: recommendations rest on decision rows" in " ".join(lines)
    assert {name for name, _ in advice.proposal.votes.items()} == {"departure", "signed loss", "retained attention"}
    assert propose(advice.to_json()).trials
    write_report(capture, tmp_path, beside=Beside(screen=screen))
    assert "RULES THAT COULD BE DEPLOYED" in (tmp_path / "compression_recommendations.txt").read_text()
    with pytest.raises(NotCapturedError, match=f"submit with --rows, or screen it: attnscope screen {capture.job}"):
        attnscope.recommend(capture)


@pytest.mark.parametrize("beside", ["nothing", "a screen"])
def test_nothing_is_proposed_for_a_policy_that_remembers(make, beside):
    """A trial of its rules would be refused, so the reason stands where a proposal would."""
    capture = make(random=0.2, window="memory")
    advice = attnscope.recommend(capture, screen=screened(capture) if beside == "a screen" else None)
    assert advice.proposal.basis is None
    with pytest.raises(ProposalError, match="nothing is proposed: The policy keeps inputs of layers"):
        propose(advice.to_json())


@pytest.mark.parametrize(
    ("split", "asked", "tasks"),
    [
        (None, {}, {"split": "all", "indices": (0, 1, 2, 3)}),
        (None, {"tasks": {"split": "all"}}, None),
        ("validation", {}, None),
    ],
)
def test_advice_is_tried_on_the_captures_tasks_where_there_are_no_splits(make, split, asked, tasks):
    """Without splits there are no test tasks: the capture's are taken, and that is said, unless others are named."""
    capture = make(random=0.2, split=split)
    job = SimpleNamespace(capture=lambda: capture)
    service = SimpleNamespace(job=lambda _name: job, jobs=lambda kind: [] if kind else None)
    proposal, more = follow(service, capture.job, asked, 2)
    assert more.get("tasks") == tasks
    assert (WITHOUT_SPLITS in proposal.words) == (tasks is not None)
    assert set(more["seeds"]).isdisjoint(capture.spec.seeds)


def test_a_capture_without_rows_still_leads_with_its_answer(make, tmp_path):
    """If attention says nothing the decision does, and without one the command is there."""
    capture = make(random=0.2, rows=False)
    write_report(capture, tmp_path / "with", beside=Beside(decided(capture)))
    text = (tmp_path / "with" / "compression_recommendations.txt").read_text()
    assert "THE ANSWER, BY ROLLOUTS" in lines_of(text)[:6]
    assert "RULES THAT COULD BE DEPLOYED" not in text
    write_report(capture, tmp_path / "without")
    text = (tmp_path / "without" / "compression_recommendations.txt").read_text()
    assert "attnscope decide" in text
    assert lines_of(text)[0].startswith("No recommendation: ")


def test_documents_of_earlier_versions_propose_what_looks_at_no_attention(gaining):
    """Their lists began with oracles; those are passed over."""
    document = attnscope.recommend(gaining).to_json()
    del document["proposal"]
    document["recommendations"].sort(key=lambda one: one["online"])
    found = propose(document, first=2)
    (trial,) = found.trials
    assert not {one.name for one in trial.strategies} & {"tova", "h2o", "nucleus"}
    assert len(trial.strategies) == 2
