"""Each figure's structure, and the data behind it against captures of known attention."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import attnscope
from attnscope.figures.comprehensive import comprehensive
from attnscope.figures.decision_rows import decision_rows
from attnscope.figures.growth import draw_growth
from attnscope.figures.layer_head import draw_heads, draw_matrix, layer_head
from attnscope.figures.look import styled
from attnscope.figures.over_time import draw_by_slot, draw_by_transition
from attnscope.figures.potential import draw_potential, even_curve, positions_for
from attnscope.figures.profile import draw_profile
from attnscope.figures.recency import draw_recent, uniform_parts
from attnscope.figures.similarity import draw_similarity, similarity
from attnscope.figures.style import pixels, save
from attnscope.figures.timeline import lifetime_lift
from attnscope.figures.trials.cost_curves import cost_curves
from attnscope.figures.trials.learning import learning
from attnscope.measures import RolloutMean, relative_profile, weights
from attnscope.measures.intervals import Interval
from attnscope.reading.tally import averaged
from attnscope.report.report import FIGURES
from attnscope.study import study


def axes_of_one():
    """Return empty axes."""
    return Figure().subplots()


def by_gid(axes, gid):
    """Return the y data of the line with this id."""
    (line,) = [line for line in axes.lines if line.get_gid() == gid]
    return np.asarray(line.get_ydata(), float)


def certain(values):
    """Return values without spread as an interval."""
    held = np.asarray(values, float)
    return Interval(held, held, held, reliable=True)


@pytest.fixture(scope="module")
def read(planted):
    """Return the study of a planted capture."""
    return study(attnscope.open(planted()))


def test_by_slot_draws_rows_and_leaves_the_absent_hatched():
    """A step's row stands in its column, newest slot on top; past the context nothing is drawn over the hatch."""
    rows = np.array([[1.0, np.nan], [0.25, 0.75]])
    axes, image = draw_by_slot(axes_of_one(), np.array([0, 1]), rows)
    assert image.get_array().filled(-1).tolist() == [[1.0, 0.25], [-1.0, 0.75]]
    assert any(patch.get_gid() == "absent" and patch.get_hatch() for patch in axes.patches + axes.artists)


def test_by_transition_marks_rewards_that_are_in_view():
    """Rewarded transitions outside the drawn range get no mark."""
    axes, _ = draw_by_transition(axes_of_one(), range(5, 7), np.ones((2, 3)), 4, np.array([1, 5, 6, 9]))
    assert by_gid(axes, "rewards").tolist() == [5, 6]


def test_uniform_parts_sum_to_one_and_follow_the_context():
    """The dashed lines are uniform attention over the same context."""
    parts = uniform_parts(np.array([1.0, 10.0, 100.0]), 20)
    assert parts.sum(axis=1) == pytest.approx([1, 1, 1])
    assert parts[:, 0] == pytest.approx([0, 0.9, 0.2])


def test_recent_draws_masses_beside_uniform():
    """The lines hold the numbers given, the dashed ones those of uniform attention."""
    masses = np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]])
    axes = draw_recent(axes_of_one(), np.array([1.0, 2.0]), masses, masses, masses, np.array([50.0, 100.0]), 20)
    assert by_gid(axes, "recent").tolist() == [0.5, 0.6]
    assert by_gid(axes, "recent-uniform").tolist() == [0.4, 0.2]


def test_growth_says_from_when_the_window_is_full():
    """The title names the step; the dashed line is the full length."""
    axes = draw_growth(axes_of_one(), np.array([[1], [2], [3], [3]]), 3, 20)
    assert "full from step 2" in axes.get_title()
    assert by_gid(axes, "full").tolist() == [3, 3]


def test_profile_leaves_the_own_slot_out():
    """Age 0 is not on a logarithmic axis; uniform attention is 1 ÷ tokens."""
    axes = draw_profile(axes_of_one(), {"mean": certain([0.9, 0.06, 0.04])}, 3.0, {"mean": "k"})
    assert by_gid(axes, "profile-mean").tolist() == [0.06, 0.04]
    assert by_gid(axes, "uniform")[0] == pytest.approx(1 / 3)


def test_potential_marks_each_step_and_fixed_positions_apart():
    """A choice at every step needs fewer positions than a fixed one; both are marked at 80 and 90 %."""
    per_step, fixed = np.array([0.85, 0.95, 1.0]), np.array([0.5, 0.82, 1.0])
    axes = draw_potential(axes_of_one(), certain(per_step), fixed, even_curve(np.array([3]), 3))
    marks = [line for line in axes.lines if line.get_gid() == "mark-80%"]
    assert [line.get_xdata()[0] for line in marks] == [1, 2]
    assert [positions_for(per_step, 0.9), positions_for(fixed, 0.9)] == [2, 3]


def test_uniform_potential_is_that_of_every_context_length():
    """Contexts of one and of two tokens: the first position holds all of one and half of the other."""
    assert even_curve(np.array([1, 2, 2, 1]), 3) == pytest.approx([0.75, 1.0, 1.0])


def test_fixed_positions_of_growing_contexts_hold_what_they_held():
    """An age that only one of two steps reaches counts half, so that fixed positions hold all attention and no more."""
    rows = np.array([[1.0, np.nan, np.nan, np.nan], [0.25, 0.25, 0.25, 0.25]], np.float16)[:, None, None, None]
    length = np.array([[1], [4]])
    profile = RolloutMean()
    profile.add(relative_profile(rows, length)[:, :, 0, 0])
    assert averaged(profile) == pytest.approx(np.array([[0.625, 0.125, 0.125, 0.125]]))


def test_small_shares_have_a_third_digit():
    """0.006 beside a uniform 0.008 is not written as 0.01."""
    axes, _ = draw_matrix(axes_of_one(), np.array([[0.006]]), "t", high=0.1)
    assert axes.texts[0].get_text() == "0.006"


def test_matrix_writes_its_numbers():
    """Every cell says its value; what is absent says so."""
    axes, image = draw_matrix(axes_of_one(), np.array([[0.25, np.nan]]), "t")
    assert [text.get_text() for text in axes.texts] == ["0.25", "–"]
    assert image.get_array().mask.tolist() == [[False, True]]


def test_phases_are_drawn_by_episode_and_by_return(planted, monkeypatch):
    """The two lower panels differ where returns do not rise: the best episode may be an early one."""
    capture = attnscope.open(planted())
    earned = np.tile([0.0, 5, 1, 4, 3, 2], (3, 1))
    monkeypatch.setattr(type(capture), "returns", lambda _: earned)
    made = study(capture)
    episode = made.episode[made.tally.row_steps]
    share = weights(capture.rows[:][made.tally.row_steps], made.length[made.tally.row_steps])
    profile = share[..., ::-1].mean(axis=(2, 3))[..., 1:]
    full = made.length[made.tally.row_steps] >= made.least
    counted = np.flatnonzero([full[episode == one].mean() >= 0.5 for one in range(6)])
    third = len(counted) // 3
    ordered = counted[np.argsort(earned[0, counted])]
    figure = learning(made)
    for place, parted in ((1, (counted[:third], counted[-third:])), (2, (ordered[:third], ordered[-third:]))):
        lines = [line for line in figure.axes[place].lines if str(line.get_gid()).startswith("profile-")]
        for line, episodes in zip(lines, parted, strict=True):
            chosen = full & np.isin(episode, episodes)
            expected = profile[chosen].mean(axis=0)
            assert line.get_ydata() == pytest.approx(np.maximum(expected, 1e-5), rel=2e-3, abs=1e-5)
        assert len(lines) == 2
    assert [axes.get_title(loc="left") for axes in figure.axes[1:]] == [
        "Attention early and late",
        "Attention by the episodes' return",
    ]


def test_equal_returns_have_no_phases(planted, monkeypatch):
    """The panel by return is refused with the reason, the one by episode is drawn."""
    capture = attnscope.open(planted())
    monkeypatch.setattr(type(capture), "returns", lambda _: np.ones((3, 6)))
    by_episode, by_return = learning(study(capture)).axes[1:]
    assert by_episode.lines
    assert "thirds of one return" in " ".join(by_return.texts[0].get_text().split())


@pytest.mark.parametrize("spread_of", [0.3, 0.02, 0.0], ids=["apart", "crowded", "one place"])
def test_names_of_heads_cover_no_name_and_no_head(spread_of):
    """However crowded: names keep apart from each other and from every mark, and what has no name is counted."""
    random = np.random.default_rng(1)
    spread, recency = 0.5 + spread_of * random.random((2, 4, 4))
    figure = Figure(figsize=(3, 2.6), dpi=150)
    with styled():
        axes = draw_heads(figure.subplots(), spread, recency, np.zeros((4, 4)), 0.45, 20)
    pixels(figure, 150)
    names = [text for text in axes.texts if text.get_gid() == "head"]
    boxes = [text.get_window_extent() for text in [*names, *(t for t in axes.texts if t not in names)]]
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])
    marks = axes.transData.transform(np.column_stack([spread.ravel(), recency.ravel()]))
    assert not any(box.contains(*mark) for box in boxes for mark in marks)
    said = axes.get_title(loc="left")
    assert (f"{16 - len(names)} of 16 unnamed" in said) == (len(names) < 16)
    assert len(names) >= {0.3: 14, 0.02: 4, 0.0: 1}[spread_of]


def test_heads_are_named_by_layer_and_head():
    """The scatter has a point a head and the uniform line."""
    spread = np.array([[0.2, 0.4], [0.6, 0.8]])
    axes = draw_heads(axes_of_one(), spread, spread, np.zeros((2, 2)), 0.2, 20)
    named = {text.get_text() for text in axes.texts if text.get_gid() == "head"}
    assert named == {"0.0", "0.1", "1.0", "1.1"}
    assert by_gid(axes, "uniform").tolist() == [0.2, 0.2]


def test_similarity_frames_groups():
    """Heads of a group stand beside each other inside one frame."""
    far = np.array([[0, 0.9, 0.01], [0.9, 0, 0.9], [0.01, 0.9, 0]])
    axes, image = draw_similarity(axes_of_one(), far, ["a", "b", "c"], np.array([0, 1, 0]))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "c", "b"]
    assert image.get_array()[0].tolist() == [0, 0.01, 0.9]
    assert [patch.get_width() for patch in axes.patches if patch.get_gid() == "group"] == [2.0]


def test_lifetime_lift_is_one_for_uniform_attention():
    """A transition that is never seen has no lift."""
    weights = np.array([[0.5, 0.5, np.nan], [0.5, 0.5, np.nan]])
    lift = lifetime_lift(weights, np.array([2.0, 2.0]))
    assert lift[:2].tolist() == [1, 1]
    assert np.isnan(lift[2])
    three = np.full((2, 2), 3 / 7)  # two transitions of three tokens each, and the query
    assert lifetime_lift(three, np.array([7.0, 7.0]), tokens=3).tolist() == [1, 1]


def test_a_narrow_logarithmic_axis_keeps_its_numbers():
    """Within one decade all ticks are named, in one way; over several the powers of ten are."""
    for low, named in ((0.02, True), (0.0002, False)):
        axes = axes_of_one()
        even = np.linspace(0.04, low, 8)
        draw_profile(axes, {"all": Interval(even, even, even, reliable=True)}, 22, {"all": "#000000"})
        axes.set_ylim(low * 0.9, 0.045)
        axes.figure.canvas.draw()
        between = [label.get_text() for label in axes.get_yticklabels(minor=True)]
        assert any(between) is named
        assert not any(text.startswith("10") for text in between)
        powers = [label.get_text() for label in axes.get_yticklabels()]
        assert all(text.startswith("0.") == named for text in powers)


@pytest.mark.parametrize("draw", FIGURES.values())
def test_figures_say_where_they_come_from(read, draw):
    """Checkpoint, mask and who stated it, environment, seeds, steps and what was read stand below each figure."""
    (caption,) = [text for text in draw(read).texts if text.get_gid() == "provenance"]
    told = " ".join(caption.get_text().split())
    for needed in ("AD-planted@1", "mask stated by user", "attnscope/Darkroom-v0", "seeds 0", "60 of 60 steps"):
        assert needed in told


@pytest.mark.parametrize(("form", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figure_gives_the_same_bytes(read, form, head, tmp_path):
    """In every format, and it is of that format."""
    figure = similarity(read)
    path, again = save(figure, tmp_path / f"a.{form}"), save(figure, tmp_path / f"b.{form}")
    assert path.read_bytes() == again.read_bytes()
    assert path.read_bytes().startswith(head)


def test_comprehensive_shows_the_planted_decay(read):
    """Mean attention by age is that of the rows: the planted exponentials, averaged over heads."""
    (axes,) = [a for a in comprehensive(read).axes if a.get_title(loc="left") == "Attention by relative position"]
    sharp = 1 + np.arange(4)[:, None]
    expected = np.exp(-np.arange(12) * sharp / 4)
    expected = (expected / expected.sum(axis=1, keepdims=True)).mean(axis=0)[1:]
    assert by_gid(axes, "profile-mean of all heads") == pytest.approx(np.maximum(expected, 1e-5), rel=2e-3, abs=1e-5)


def test_layer_head_shows_the_stored_statistics(read):
    """The normalised entropy in the first panel is that of the planted rows."""
    axes = layer_head(read).axes[0]
    sharp = 1 + np.arange(4)[:, None]
    weight = np.exp(-np.arange(12) * sharp / 4)
    weight /= weight.sum(axis=1, keepdims=True)
    expected = -(weight * np.log(weight)).sum(axis=1) / np.log(12)
    assert [float(text.get_text()) for text in axes.texts] == pytest.approx(expected, abs=0.006)


def test_learning_shows_returns_of_episodes(read):
    """The returns are those of the rollout: episode n earns n."""
    axes = learning(read).axes[0]
    assert by_gid(axes, "return").tolist() == [0, 1, 2, 3, 4, 5]
    assert by_gid(axes, "optimum")[0] == 20


def test_cost_curves_lose_least_where_each_head_chooses(read):
    """Own best ≤ shared best ≤ newest, and nothing is lost where everything is kept."""
    for axes in cost_curves(read).axes:
        own, shared, newest = (by_gid(axes, name) for name in ("own", "shared", "newest"))
        assert (own <= shared + 1e-3).all()
        assert (own <= newest + 1e-3).all()
        assert [own[-1], newest[-1]] == pytest.approx([0, 0], abs=1e-3)


def test_decision_rows_draw_a_step_without_a_map(planted):
    """A panel a layer and head, each with its uniform line, for any step."""
    figure = decision_rows(attnscope.open(planted(maps=False)), 17)
    assert len(figure.axes) == 4
    assert all(by_gid(axes, "uniform")[0] == pytest.approx(1 / 12) for axes in figure.axes)
    reached = figure.axes[0].collections[0].get_paths()[0].vertices[:, 0]
    assert reached.min() <= -0.5  # the first and the last slot are as wide as the others
    assert reached.max() >= 11.5


def test_a_png_is_what_was_drawn(tmp_path, read):
    """Another program's decoder reads the pixels and the resolution back."""
    figure = similarity(read)
    with Image.open(save(figure, tmp_path / "a.png", dpi=120)) as decoded:
        assert np.array_equal(np.asarray(decoded), pixels(figure, 120))
        assert decoded.info["dpi"] == pytest.approx((120, 120), abs=0.02)
