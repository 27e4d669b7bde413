"""Advice at the edges: running jobs, the smallest models and contexts, three tokens a transition, the query first."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

import attnscope
from attnscope.errors import NotCapturedError
from attnscope.measures import Estimate, NotMeasurableError
from attnscope.recommendations.patterns import recency
from attnscope_model.strategies import candidates


@pytest.fixture
def planted(tmp_path, request):
    """Return a function that writes a capture of recent attention and gives advice on it."""
    conftest: ModuleType = request.config.pluginmanager.get_plugin(str(request.path.with_name("conftest.py")))

    def advise(plant="recent", *, budget=None, **options):
        path = conftest.write(tmp_path / f"{plant}-{budget}.zarr", getattr(conftest, plant), **options)
        return attnscope.recommend(attnscope.open(path), budget=budget)

    return advise


@pytest.fixture(autouse=True)
def _few_decisions(monkeypatch):
    """Predict few decisions, so that the tests stay quick."""
    monkeypatch.setattr("attnscope.reading.plan.HISTORIES", 64)


def test_one_layer_one_head_one_environment(planted):
    """The smallest model has its advice; nothing pretends to an interval."""
    advice = planted(envs=1, tasks=1, layers=1, heads=1)
    assert advice.verdict == "undecided"
    assert not any(one.retained.has_interval for one in advice.recommendations)
    assert {one.key for one in advice.recommendations} == {one.key for one in candidates()}


def test_a_context_of_one_token(planted):
    """A policy that sees nothing but the query has nothing to drop, and the error says so."""
    with pytest.raises(NotMeasurableError, match="nothing to drop"):
        planted(plant="uniform", context_length=1)


def test_contexts_that_never_fill_are_advised_on(planted):
    """Ages that no context reaches are left out of the decay, and a rising profile is not said to fall."""
    advice = planted(plant="rising", context_length=200)
    decay = next(claim for claim in advice.claims if claim.key == "decay")
    assert decay.numbers["rate"] < 0
    assert "changes by exp(+0." in decay.sentence


def test_what_was_resampled_is_said_of_patterns_and_strategies(planted):
    """Two rollouts a task leave one to judge by: tasks are resampled there, and the text says so."""
    advice = planted()
    scope = next(claim for claim in advice.basis if claim.key == "scope")
    assert advice.recommendations[0].retained.scope == "beyond these tasks"
    assert "within task for patterns and of whole rollouts within task, and tasks for strategies" in scope.sentence


def test_a_running_job_is_advised_on_what_is_committed(planted):
    """An unfinished capture gives advice on its committed steps and says how many they are."""
    advice = planted(until=64, context_length=16)
    sample = next(claim for claim in advice.basis if claim.key == "sample")
    assert sample.numbers["stored"] < 90
    assert advice.verdict == "selective"


def test_nothing_committed_is_said(planted):
    """A capture without a step has no advice, and the error says so."""
    with pytest.raises(NotCapturedError, match="no step is committed"):
        planted(until=0)


@pytest.mark.parametrize("query_slot", ["first", "last"])
def test_three_tokens_of_a_transition_stay_together(planted, query_slot):
    """Budgets are transitions, savings are tokens, and recency is still found, wherever the query is."""
    plant = "recent" if query_slot == "last" else "uniform"
    advice = planted(plant=plant, tokens_per_transition=3, context_length=31, query_slot=query_slot)
    found = {one.key: one for one in advice.recommendations}
    assert found["none"].tokens <= 10
    assert found["recency"].share <= found["recency"].budget + 1e-9
    if query_slot == "last":
        assert advice.recommendations[0].key == "recency"
        assert found["recency"].retained.value > found["recency"].retained.baseline
    else:
        assert advice.verdict == "flat"
        assert found["recency"].positions == "keep"  # learned positions, as a trial's own default has it


@pytest.mark.parametrize(
    ("value", "baseline", "answer", "words"),
    [
        (0.581, 0.588, "no", "No: the whole interval denies more attention in the newest 10 than the 0.588"),
        (0.7, 0.588, "yes", "Yes: the whole interval says more attention in the newest 10 than the 0.588"),
        (0.581, 0.1, "yes", "Yes: the whole interval says most (0.5) of the attention in the newest 10"),
    ],
)
def test_most_of_a_short_context_is_no_recency(value, baseline, answer, words):
    """Uniform attention holds most of a context that is hardly longer than ten tokens, and is no bias."""
    seen = SimpleNamespace(estimate=Estimate(value, value, value, baseline, 8, reliable=True), lift=None)
    study = SimpleNamespace(quantity=lambda name: seen if name == "recency.10" else None, tally=None)
    found = recency(study)
    assert found.answer == answer
    assert words in found.claims[-1].sentence
