"""Everything that reads rows, on every form of them: the f16 answer within a stated bound, or what is missing.

Figures, measures, views and verbs are found by the client's own lists, so a new one is tested or named here.
"""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from typer.testing import CliRunner

import attnscope
from attnscope import measures
from attnscope.cli.main import app
from attnscope.page import views
from attnscope.page.frames import Frame
from attnscope.page.rollouts import Rollout
from attnscope.study import study
from attnscope_model.acting.replay import check, read_moment, replay
from attnscope_server.serving import serve_background
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import from_u8
from reduced.captures import CHECKPOINT, CPU, FORMS, Captured, capture_every_form, flatten
from reduced.drawn import AGAINST, figures_of, judge, taken
from reduced.screens import screened

LOOKING = ("tova", "h2o")
"""Rules that look at attention."""

SHADE = 0.01
"""Distance between two weights as the page shows them, at most: two neighbours on its scale."""

STEP = 239
"""The last step of every capture; its whole map is stored."""

MORE = {
    "mass_on": lambda rows, length: {"mark": np.tile(np.arange(rows.shape[-1]) % 7 == 0, (*length.shape, 1))},
    "transition_timeline": lambda rows, length: {"start": np.zeros_like(length), "first": 0, "last": rows.shape[-1]},
}
"""Further arguments of measures of rows, where there are some."""

LINES = {
    "summary": "summary JOB",
    "heatmap": "heatmap JOB --out OUT",
    "recommend": "recommend JOB",
    "report": "report JOB --out OUT --heatmaps 0",
    "compare": "compare WHOLE JOB --out OUT",
    "fetch": "fetch JOB --out OUT/c.zarr",
    "screen": "screen JOB --dry-run",
    "trial": "trial --recommended JOB --dry-run",
    "decide": f"decide {CHECKPOINT} --from JOB --dry-run",
}
"""By verb that reads a capture's rows, how it is asked. The page's own views are tested by themselves."""

OTHERS = {
    *("submit", "list", "status", "watch", "keep", "retry", "cancel", "delete", "checkpoints", "environments"),
    *("strategies", "demo", "check-loop", "open", "place", "look", "import", "influence"),
}
"""Verbs that read no stored rows, or show them by `views`; `influence` runs the policy, as `replay` does."""

NO_ROWS = "decision rows"

SAID = {
    ("bins", "screen"): (0, "rules that look at attention are not screened"),
    ("none", "screen"): (0, "rules that look at attention are not screened"),
    ("none", "recommend"): (1, NO_ROWS),
    ("none", "trial"): (1, NO_ROWS),
}
"""By form and verb, status and words where a verb refuses or says what it leaves out; every other one ends with 0."""

LONG = {"report", "compare"}
"""Verbs that take seconds each."""


@pytest.fixture(scope="module")
def where(service_settings):
    """Return the settings of a data root for every form's capture."""
    return service_settings(worker_start_seconds=3600, housekeeping_seconds=3600)


@pytest.fixture(scope="module")
def captured(where) -> Captured:
    """Return one rollout, captured in every form."""
    return capture_every_form(where)


@pytest.fixture(scope="module")
def captures(captured, tmp_path_factory):
    """Return the capture of every form, and ``flat``, whose rows are the means of their age bins."""
    edges = CaptureReader.open(captured.path("bins")).array("attention/bin_edge")[:]
    assert np.diff(edges).max() > 1, "bins that hold one token each would lose nothing"
    flat = flatten(captured.path("f16"), edges, tmp_path_factory.mktemp("flat") / "c.zarr")
    return {form: captured.open(form) for form in FORMS} | {"flat": attnscope.open(flat)}


@pytest.fixture(scope="module")
def screens(captured):
    """Return the results of the same small screen of every form's capture."""
    return {form: screened(captured, form, ("none", "recency", "random", *LOOKING)) for form in FORMS}


@pytest.mark.parametrize("kind", ["Study", "Capture"])
def test_every_figure_is_that_of_the_rows_or_says_what_is_missing(captures, kind):
    """Panel by panel, every number that is drawn from a reduced form is near the one drawn from whole rows."""
    subjects = {form: study(one) for form, one in captures.items()} if kind == "Study" else captures
    wrong = []
    for name, draw in figures_of(kind).items():
        made = {form: taken(draw, subject, STEP) for form, subject in subjects.items()}
        for form, (whole, _) in AGAINST.items():
            wrong += [f"{name} of {one}" for one in judge(form, made[whole], made[form])]
    assert not wrong, "\n".join(wrong)
    assert len(figures_of(kind)) >= 4


def numbers_of(found: object) -> dict[str, np.ndarray]:
    """Return the arrays of a measure's answer, by name."""
    if dataclasses.is_dataclass(found):
        return {field.name: np.asarray(getattr(found, field.name)) for field in dataclasses.fields(found)}
    return {"": np.asarray(found)}


def mean_over_decisions(values: np.ndarray) -> np.ndarray:
    """Return the mean over steps and rollouts, absent numbers left out; 0 where all are absent."""
    held = np.isfinite(values)
    return np.where(held, values, 0).sum(axis=(0, 1)) / np.maximum(held.sum(axis=(0, 1)), 1)


def of_rows() -> dict[str, object]:
    """Return the measures of rows: the public functions whose first parameter they are."""
    functions = {name: one for name in measures.__all__ if inspect.isfunction(one := getattr(measures, name))}
    first = {name: next(iter(inspect.signature(one).parameters), None) for name, one in functions.items()}
    return {name: one for name, one in functions.items() if first[name] == "rows" and name != "check_rows"}


@pytest.mark.parametrize("form", ["u8", "bins"])
def test_every_measure_is_that_of_the_rows(captures, form):
    """Of 20 decisions of every rollout, each measure's mean is within the bound of what it measures on whole rows."""
    length = captures["f16"].context.length[150:170]
    whole, near = (np.asarray(captures[one].rows[150:170]) for one in (AGAINST[form][0], form))
    found = of_rows()
    assert {"entropy", "cost_curve", "coverage", "recency_mass", "mass_on", "head_divergence"} <= found.keys()
    for name, measure in found.items():
        more = MORE.get(name, lambda *_: {})(whole, length)
        asked = {"length": length} | more
        pair = [numbers_of(measure(rows, **asked)) for rows in (whole, near)]
        for part, values in pair[0].items():
            off = np.abs(mean_over_decisions(values) - mean_over_decisions(pair[1][part]))
            assert off.max() <= AGAINST[form][1] * np.nanmax(np.abs(values)), (name, part)


def test_the_screens_of_every_form_agree(screens):
    """Blind rules depart by the same on every form; rules that look are left out, in words, where rows are gone."""
    departs = {form: departures(results) for form, results in screens.items()}
    blind = {key: value for key, value in departs["f16"].items() if key[0].split("(")[0] not in LOOKING}
    assert len(blind) > 2
    for form in FORMS:
        assert {key: departs[form][key] for key in blind} == pytest.approx(blind, abs=1e-6)
    for form in ("bins", "none"):
        assert departs[form].keys() == blind.keys()
        assert any("rules that look at attention are not screened" in note for note in screens[form].notes)
    assert departs["u8"].keys() == departs["f16"].keys()
    assert departs["u8"] == pytest.approx(departs["f16"], abs=AGAINST["u8"][1])


def departures(results) -> dict[tuple[str, str], float]:
    """Return the mean departure of every arm by its name and its way to stand."""
    return {(arm.text, arm.positions): float(by) for arm, by in zip(results.arms, results.tv_live.value, strict=True)}


def test_every_figure_of_a_screen_is_that_of_the_rows(screens):
    """Of bytes within the bound; a screen without attention draws what it knows."""
    found = figures_of("ScreenResults")
    assert len(found) >= 4
    for name, draw in found.items():
        whole = taken(draw, screens["f16"], STEP)
        assert not judge("u8", whole, taken(draw, screens["u8"], STEP)), name
        for form in ("bins", "none"):
            made = taken(draw, screens[form], STEP)
            assert not isinstance(made, str) or NO_ROWS in made, name


@pytest.mark.parametrize("form", FORMS)
def test_every_view_of_the_page_is_that_of_the_rows(captures, form):
    """The page's band, heads and maps, found by what they return, show the same weights or say what is missing."""
    shown = {name: one for name, one in inspect.getmembers(views, inspect.isfunction) if views_frame(one)}
    assert shown.keys() == {"band", "heads", "one_map"}
    asked = {
        "band": lambda capture, rollout: views.band(capture, rollout, 0, STEP + 1),
        "heads": lambda capture, rollout: views.heads(capture, rollout, STEP, "rows"),
        "one_map": lambda capture, rollout: views.one_map(capture, rollout, STEP, (0, 1)),
    }
    whole = captures[AGAINST[form][0] if form in AGAINST else form]
    for name, ask in asked.items():
        if (form, name) == ("none", "heads"):
            with pytest.raises(AttnscopeError, match=NO_ROWS):
                ask(captures[form], Rollout(captures[form], 3))
            continue
        frame = ask(captures[form], Rollout(captures[form], 3))
        if (form, name) == ("none", "band"):
            assert frame.head["steps"] == []
            continue
        off = np.abs(from_u8(frame.shades) - from_u8(ask(whole, Rollout(whole, 3)).shades))
        assert np.nanmax(off) <= SHADE, name


def views_frame(function) -> bool:
    """Return whether a function is a public view of the page."""
    public = not function.__name__.startswith("_") and function.__module__ == views.__name__
    return public and inspect.signature(function).return_annotation == Frame.__name__


@pytest.mark.parametrize("form", FORMS)
def test_a_replay_is_compared_with_what_each_form_keeps(captured, form):
    """The replayed decision agrees with everything that is stored of it."""
    reader, chunks = CaptureReader.open(captured.path(form)), DecodedChunks()
    check(replay(captured.policy, read_moment(chunks, reader, 165, 1), CPU), chunks, reader)


@pytest.fixture(scope="module")
def said(where, captured, tmp_path_factory):
    """Return a function that runs a verb on a form's job through a running service."""
    with serve_background(where) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSCOPE_URL", running.url)
        patch.setenv("ATTNSCOPE_API_KEY", running.key)

        def run(verb: str, form: str):
            out = str(tmp_path_factory.mktemp(f"{verb}-{form}"))
            known = {"JOB": captured.jobs[form], "WHOLE": captured.jobs["f16"]}
            words = [known.get(word, word.replace("OUT", out)) for word in LINES[verb].split()]
            return CliRunner().invoke(app, words)

        yield run


def test_every_verb_is_known_to_these_tests():
    """A verb that is new reads rows and is tested on every form, or is named as one that reads none."""
    known = {one.name or one.callback.__name__ for one in app.registered_commands}
    assert known == LINES.keys() | OTHERS


@pytest.mark.parametrize(
    ("form", "verb"),
    [
        pytest.param(form, verb, marks=[pytest.mark.slow] if verb in LONG else [])
        for form in FORMS
        for verb in sorted(LINES)
    ],
)
def test_every_verb_takes_every_form_or_says_what_is_missing(said, form, verb):
    """It ends with 0, or with a sentence that names the rows."""
    ran = said(verb, form)
    status, words = SAID.get((form, verb), (0, ""))
    assert ran.exit_code == status, ran.output
    assert words in ran.output + str(ran.exception)
