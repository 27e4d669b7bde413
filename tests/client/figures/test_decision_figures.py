"""Figures of a decision: they draw the card's numbers, and say so where nothing was judged."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pytest

from attnscope.figures.decisions.card import decision_card
from attnscope.figures.decisions.kept import kept_by_tokens
from attnscope.figures.decisions.ladder import ladder
from attnscope.figures.style import pixels, save
from attnscope_storage.wire.specifications.cards import CardLook
from attnscope_storage.wire.specifications.decisions import CardArm, CardRung, DecisionCard
from canvas import HOSTILE, faults, in_a_cell

NAMES = ("recency 64, keep", "recency 32, keep", "sinks 32, keep")

SAFE = (5.59, 3.96, 2.80, 1.98)


def look(arm: str, number: int, verdict: str, kept: float, low: float, score: float) -> CardLook:
    """Return one look of a plan of 8 tasks."""
    return CardLook(
        arm=arm, number=number, tasks=8, seeds=5 * 2 ** (number - 1), verdict=verdict, kept=kept, low=low, high=1.02,
        score=score, safe=SAFE[number - 1], harm=2.41, may_be_safe=number > 1,
    )  # fmt: skip


@pytest.fixture
def card() -> DecisionCard:
    """Return a card whose first arm holds at its second look and whose second arm is inferior at its first."""
    arms = [
        CardArm(name=name, strategy="recency", budget=n, tokens=n, positions="keep", departures_per_episode=departs)
        for name, n, departs in (
            ("recency 64, keep", 64, 0.4),
            ("recency 32, keep", 32, 2.0),
            ("sinks 32, keep", 32, 3.0),
        )
    ]
    looks = [
        look("recency 64, keep", 1, "undecided", 1.0, -math.inf, 1.1),
        look("recency 64, keep", 2, "non-inferior", 0.99, 0.96, 4.2),
        look("recency 32, keep", 1, "inferior", 0.7, 0.6, -3.0),
    ]
    rungs = [
        CardRung(
            arm=one.arm, tokens=tokens, verdict=one.verdict, kept=one.kept, low=one.low, high=one.high, tasks=8,
            seeds=one.seeds, words="",
        )
        for one, tokens in zip(looks[1:], (64, 32), strict=True)
    ]  # fmt: skip
    return DecisionCard(
        job="d" * 36, checkpoint_id="c" * 64, checkpoint_name="toy", environment_id="e", answer="compress to",
        sentence="Compress.", margin=0.05, worth=2.0, scope="these 8 tasks", chosen=arms[0], rungs=tuple(rungs),
        looks=tuple(looks), arms=tuple(arms), rollouts=100, command="attnscope decide c",
    )  # fmt: skip


def drawn(axes, gid: str) -> list[list[float]]:
    """Return the ordinates of every line with a name."""
    return [np.asarray(line.get_ydata(), float).tolist() for line in axes.lines if line.get_gid() == gid]


def test_the_ladder_draws_each_look_beside_its_bounds(card, tmp_path):
    """A column an arm: kept shares and repeated intervals above, scores between the bounds of their looks below."""
    figure = ladder(card)
    first, second, scores = figure.axes[0], figure.axes[1], figure.axes[2]
    assert drawn(first, "kept") == [[1.0], [0.99]]
    assert drawn(first, "interval")[1] == [0.96, 1.02]
    assert drawn(first, "interval")[0][0] == pytest.approx(first.get_ylim()[0])  # a limit that does not exist
    assert drawn(first, "border") == [[0.95, 0.95]]
    assert drawn(second, "kept") == [[0.7]]
    assert drawn(scores, "score") == [[1.1, 4.2]]
    assert [label.get_text() for label in scores.get_xticklabels()] == ["5", "10"]
    bound = np.asarray(scores.lines[0].get_ydata(), float)
    assert np.isnan(bound[0])  # at the first look nothing may be called safe
    assert bound[1] == SAFE[1]
    assert save(figure, tmp_path / "ladder.png").exists()


def test_the_picture_of_a_card_holds_its_sentence(card):
    """However long the answer, no text leaves the canvas; it begins at the left edge and not at that of the axes."""
    long = [
        rung.model_copy(update={"arm": f"{rung.arm}, every 10, with a long name of its own"}) for rung in card.rungs
    ]
    sentence = "Compress to recency 64, keep: it keeps what it should. " * 6
    said = card.model_copy(update={"sentence": sentence, "rungs": tuple(long)})
    figure = decision_card(said)
    assert not faults(figure)
    texts = [text for part in figure.subfigs for text in part.texts]
    assert [text.get_position()[0] for text in texts] == [0.015]
    assert texts[0].get_text().startswith("Compress to recency 64")


def test_a_card_without_looks_is_drawn_by_its_rungs(card):
    """Cards of earlier versions tell the last look of each arm; scores are not drawn then."""
    figure = ladder(card.model_copy(update={"looks": ()}))
    assert len(figure.axes) == 2
    assert drawn(figure.axes[0], "kept") == [[0.99]]


def test_the_chosen_arm_is_marked_among_those_that_were_judged(card):
    """Kept against tokens, a ring around the answer; below, departures of all that raced."""
    above, below = kept_by_tokens(card).axes
    assert drawn(above, "rung") == [[0.99], [0.7]]
    assert drawn(above, "chosen") == [[0.99]]
    assert drawn(below, "raced") == [[0.4], [2.0], [3.0]]
    assert drawn(below, "chosen") == [[0.4]]


def test_where_nothing_was_judged_the_figures_say_so(card):
    """A decision that ended at its gate has no ladder."""
    none = card.model_copy(update={"rungs": (), "looks": (), "chosen": None})
    for draw in (ladder, kept_by_tokens):
        assert [text.get_text() for text in draw(none).axes[0].texts] == ["no arm was judged"]


LONG = "attention-sinks-of-the-first-episode {tokens}, keep, every 4 steps, first_rewarded=True"


@pytest.fixture
def long_card(card) -> DecisionCard:
    """Return a card of eight arms with long names and near budgets, each looked at four times."""
    tokens = (160, 80, 40, 39, 38, 20, 10, 5)
    names = [LONG.format(tokens=count) for count in tokens]
    arms = [card.arms[0].model_copy(update={"name": name, "tokens": n}) for name, n in zip(names, tokens, strict=True)]
    looks = [look(name, 1 + at, "undecided", 0.97, 0.9 + 0.01 * at, 1.0 + at) for name in names for at in range(4)]
    rungs = [
        card.rungs[0].model_copy(update={"arm": name, "tokens": count})
        for name, count in zip(names, tokens, strict=True)
    ]
    changed = {"arms": tuple(arms), "looks": tuple(looks), "rungs": tuple(rungs), "chosen": arms[3]}
    return card.model_copy(update=changed | {"checkpoint_name": "AD-absolute-darkroom-reference-seed0@6000"})


@pytest.mark.parametrize("draw", [ladder, kept_by_tokens])
@pytest.mark.parametrize("asked", ["card", "long_card", "no looks", "nothing judged"])
def test_the_figures_are_whole(draw, asked, card, long_card):
    """No text leaves the canvas and no two ticks are equal or over each other; a cell shows each figure."""
    found = {
        "card": card,
        "long_card": long_card,
        "no looks": long_card.model_copy(update={"looks": ()}),
        "nothing judged": card.model_copy(update={"rungs": (), "looks": (), "chosen": None}),
    }[asked]
    figure = draw(found)
    assert faults(figure) == []
    assert in_a_cell(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [ladder, kept_by_tokens])
def test_the_users_settings_are_not_seen(draw, card):
    """The same pixels, whatever another's matplotlibrc says."""
    plain = pixels(draw(card))
    with mpl.rc_context(HOSTILE):
        assert np.array_equal(pixels(draw(card)), plain)


@pytest.mark.parametrize("text", ["$\\frac{$ and $x_$", "a\n" * 5000, "long " * 5000, "<img src=x> {0} %s"])
def test_no_text_of_a_card_is_a_formula_or_makes_a_picture_large(card, text):
    """A card may come from a service that is not trusted: its texts are drawn as they are, and so are few of them."""
    rung = card.rungs[0].model_copy(update={"arm": text, "verdict": text})
    told = {"sentence": text, "scope": text, "command": text, "checkpoint_name": text, "rungs": (rung,) * 3000}
    figure = decision_card(card.model_copy(update=told))
    assert figure.get_size_inches().prod() < 6.4 * 40
    assert pixels(figure, 20).size
