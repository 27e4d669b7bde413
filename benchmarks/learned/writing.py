"""The tables of the page on learned compression, computed from the published arrays and the logs of the trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from attnscope.measures.intervals import Estimate
from attnscope.trials.costs import operations, tokens
from attnscope.trials.recipes import ArmOfRecipe
from attnscope.trials.results import TrialResults
from benchmarks.learned.ages import BANDS, LEFT, by_age, published_ages
from benchmarks.learned.comparing import answer, by_episode, compared
from benchmarks.learned.running import everything
from benchmarks.learned.settings import RUN, SEARCH, SETTINGS, SWEEP, Setting
from benchmarks.learned.subjects import ARTIFACTS, TRAINEES
from benchmarks.study2.writing import rewritten, table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "learned-compression.md"

Ages = Mapping[str, np.ndarray[Any, Any]]


def tables(trials: Mapping[str, TrialResults], ages: Ages) -> dict[str, str]:
    """Return every table of the page by the name of its mark."""
    found = {
        f"{setting.key}-answers": table(
            ("", "arm", "against", "gain kept, these policies", "so", "over training seeds", "the recipe"),
            _answers(setting, trials[setting.key]),
        )
        for setting in SETTINGS
    }
    found |= {
        f"{setting.key}-returns": table(
            ("arm", "by training seed", *_phases(setting), "tokens", "million operations"),
            _returns(setting, trials[setting.key]),
        )
        for setting in RUN
    }
    found["ages"] = table(
        ("arm", "decisions", *(f"age {_span(band)}" for band in BANDS)),
        _ages({SWEEP.key: trials[SWEEP.key], SEARCH.key: trials[SEARCH.key]}, ages),
    )
    found["trainings"] = table(("recipe", "seed", "step", "CPU seconds", "validation returns, by step"), _trainings())
    return found


def write() -> Path:
    """Write the page's tables and return the page."""
    made = tables(everything(), published_ages())
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    return PAGE


def _answers(setting: Setting, results: TrialResults) -> Iterator[tuple[str, ...]]:
    for number, question in enumerate(setting.questions, 1):
        found = compared(results, question)
        names = setting.names[question.arm], setting.names[question.reference]
        over = _over_seeds(found, names[1])
        yield (f"{number}", *names, _interval(found.these.kept), answer(found.these), over, _of_the_recipe(found))


def _over_seeds(found: ArmOfRecipe, reference: str) -> str:
    """Return the interval over training seeds, or the reason why there is none."""
    if found.recipe.kept.has_interval:
        return _interval(found.recipe.kept)
    if found.training_seeds == 1 or found.reference_seeds == 1:
        return "none: one seed"
    return f"none: the gain of {reference} is not shown over {found.reference_seeds} seeds"


def _of_the_recipe(found: ArmOfRecipe) -> str:
    """Return the registered answer on the recipe, where the trial says any."""
    if found.recipe.reason is not None or not found.recipe.kept.has_interval:
        return "no word"
    return answer(found.recipe)


def _phases(setting: Setting) -> tuple[str, str]:
    first = "episode 1" if setting.growing == 1 else f"episodes 1–{setting.growing}"
    return first, f"episodes {setting.growing + 1}–{setting.episodes}"


def _returns(setting: Setting, results: TrialResults) -> Iterator[tuple[str, ...]]:
    for arm, name in enumerate(setting.names):
        returns = by_episode(results, arm)
        places = [one.index for one in results.conditions if one.arm == arm]
        work = np.mean([operations(results, place)[0] for place in places]) / 1e6
        kept = np.mean([tokens(results, place) for place in places])
        yield (
            name,
            " ".join(f"{value:.2f}" for value in returns.mean(axis=1)),
            f"{returns[:, : setting.growing].mean():.2f}",
            f"{returns[:, setting.growing :].mean():.2f}",
            f"{kept:.1f}",
            f"{work:.1f}",
        )


def _ages(trials: Mapping[str, TrialResults], ages: Ages) -> Iterator[tuple[str, ...]]:
    """Yield each judged way to pack, over all training seeds of its recipe."""
    for setting, results in ((SWEEP, trials[SWEEP.key]), (SEARCH, trials[SEARCH.key])):
        own = [one for one in TRAINEES if one.recipe in LEFT and one.recipe in setting.recipes]
        place = next(one.index for one in results.conditions if one.arm == 1)
        for way, arm in enumerate((1, 4)):
            policy, newest = results.policy_of(place), LEFT[own[0].recipe][way]
            departures = np.concatenate([ages[one.name][way] for one in own])
            found = {band: f"{values.mean():.3f}" for band, values in by_age(departures, policy, newest)}
            yield setting.names[arm], f"{departures.size:,}", *(found.get(band, "") for band in BANDS)


def _span(band: tuple[int, int]) -> str:
    return f"{band[0]}" if band[0] == band[1] else f"{band[0]}–{band[1]}"


def _trainings() -> Iterator[tuple[str, ...]]:
    for one in TRAINEES:
        lines = (ARTIFACTS / one.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        log = [told for told in map(json.loads, lines) if told["step"] <= one.step]
        seconds = spent([told["cpu_seconds"] for told in log if "cpu_seconds" in told])
        validated = {told["step"]: told["validation_return"] for told in log if "validation_return" in told}
        returns = ", ".join(f"{value:.1f} ({step:,})" for step, value in validated.items())
        yield one.recipe, str(one.seed), f"{one.step:,}", f"{seconds:.0f}", returns


def _interval(kept: Estimate) -> str:
    return f"{kept.value:.3f} [{kept.low:.3f}, {kept.high:.3f}]"


def spent(told: list[float]) -> float:
    """Return the CPU seconds of a run, whose count begins anew each time that it goes on."""
    following = [*told[1:], 0.0]
    return sum(one for one, after in zip(told, following, strict=True) if after < one)
