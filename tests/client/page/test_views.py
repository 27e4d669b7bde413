"""Views hold the array's own bytes, remote and downloaded alike, within their budget."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

import attnscope
from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.page import rollouts, views
from attnscope.page.frames import Frame, numbers
from attnscope.page.rollouts import Rollout, transitions
from attnscope.page.subjects import Subject, environments
from attnscope.service import Service
from attnscope_storage.kinds.capture import overview
from attnscope_storage.shades import ABSENT, as_u8


@pytest.fixture(scope="module")
def folder(planted):
    """Return the folder of a capture of two layers and two heads."""
    return planted(steps=90, slots=30)


@pytest.fixture(scope="module")
def capture(folder):
    """Return that capture, downloaded."""
    return attnscope.open(folder)


def all_of(capture, place: int = 0) -> Rollout:
    """Return the rollout of an environment."""
    return Rollout(capture, place)


def test_a_band_is_the_mean_row_of_every_step(capture):
    """Each column is the mean over layers and heads, at drawing precision; past the context it is absent."""
    frame = views.band(capture, all_of(capture, 1), 0, 90)
    means = capture.rows.mean((slice(0, 90), 1), ("layer", "head"))
    assert np.array_equal(frame.shades, as_u8(means))
    assert frame.head["steps"] == list(range(90))
    assert frame.head["lengths"][:40] == [min(step + 1, 30) for step in range(40)]
    assert (frame.shades[3, 4:] == ABSENT).all()


def test_a_band_of_one_head_and_some_steps(capture):
    """It is that head's rows between the two steps, which are moved into what is committed."""
    frame = views.band(capture, all_of(capture), 70, 500, (1, 0))
    assert np.array_equal(frame.shades, as_u8(capture.rows[70:90, 0, 1, 0]))
    assert (frame.head["first"], frame.head["last"]) == (70, 90)
    assert frame.head["boundaries"] == [80]
    assert frame.head["returns"] == [[79, 7.0], [89, 8.0]]


def test_a_long_band_has_columns_at_equal_distances(capture, monkeypatch):
    """No more columns and bins than the view allows; rewards of the steps between are in the column before."""
    monkeypatch.setattr(views, "COLUMNS", 20)
    monkeypatch.setattr(views, "BINS", 8)
    frame = views.band(capture, all_of(capture), 0, 90)
    assert frame.head["every"] == 5
    assert frame.head["steps"] == list(range(0, 90, 5))
    assert frame.shades.shape == (18, 8)
    assert sum(frame.head["rewards"]) == capture.rollout.reward[:, 0].sum()
    last = capture.rows.view((85, 0, ..., slice(0, 30)), over=("layer", "head"))
    assert frame.head["unit"] == 4
    assert frame.shades[17, 0] == as_u8(np.array([last[:4].mean()]))[0]


@pytest.mark.parametrize("until", [None, 4])
def test_a_long_capture_is_shown_by_its_overview(planted, monkeypatch, until):
    """The stored columns are the rows at their steps; a column that is not whole yet is made of its first row."""
    monkeypatch.setattr(overview, "COLUMNS", 10)
    monkeypatch.setattr(views, "LEAST_COLUMNS", 3)
    long = attnscope.open(planted(steps=60, until=until, name="AD-overview@1"))
    committed = long.steps_committed
    frame = views.band(long, all_of(long, 1), 0, committed)
    steps = list(range(0, committed, 6))
    assert frame.head["steps"] == steps
    assert frame.head["entries"] == [0, 6 * len(steps), 6]
    means = long.rows.mean((slice(0, committed, 6), 1), ("layer", "head"))
    assert np.abs(frame.shades.astype(int) - as_u8(means)).max() <= 1  # a mean is rounded to float16 before
    assert sum(frame.head["rewards"]) == long.rollout.reward[:, 1].sum()


def test_few_steps_of_a_long_capture_are_shown_by_their_rows(planted, monkeypatch):
    """A view within few columns, and a view of one head, have rows of their own."""
    monkeypatch.setattr(overview, "COLUMNS", 10)
    monkeypatch.setattr(views, "LEAST_COLUMNS", 3)
    long = attnscope.open(planted(steps=60, name="AD-overview@1"))
    assert views.band(long, all_of(long), 7, 20).head["steps"] == list(range(7, 20))
    assert views.band(long, all_of(long), 0, 60, (1, 1)).head["every"] == 1


def test_a_fine_band_has_every_slot_and_ends_where_it_is_full(capture, monkeypatch):
    """Rows of one head are whole; the steps that do not fit are left for the next question."""
    monkeypatch.setattr(views, "BINS", 8)
    monkeypatch.setattr(views, "VIEW_BYTES", 300)
    frame = views.band(capture, all_of(capture), 60, 90, (1, 0), fine=True)
    assert (frame.head["first"], frame.head["last"], frame.head["unit"]) == (60, 70, 1)
    assert np.array_equal(frame.shades, as_u8(capture.rows[60:70, 0, 1, 0]))


def test_a_commit_adds_its_steps_to_a_rollout(planted, monkeypatch):
    """Steps that were read are not read again, and all of it is that of the finished capture."""
    early, late = attnscope.open(planted(until=2)), attnscope.open(planted())
    before = all_of(early, 1)
    asked: list[tuple[str, slice]] = []
    column = rollouts.column
    monkeypatch.setattr(rollouts, "column", lambda *given: asked.append((given[1], given[2])) or column(*given))
    grown = Rollout(late, 1, before)
    assert {steps.start for _, steps in asked} == {16}
    whole = all_of(late, 1)
    assert all(np.array_equal(grown.kept[name], whole.kept[name]) for name in rollouts.KEPT)
    assert (grown.returns, grown.begins.tolist()) == (whole.returns, whole.begins.tolist())


def test_many_episodes_are_told_by_their_means(capture, monkeypatch):
    """No border is told any more, and a return is the mean of adjacent episodes."""
    monkeypatch.setattr(rollouts, "MOST_EPISODES", 4)
    told = all_of(capture, 0).within(0, 90)
    assert (told["boundaries"], told["episodes"]) == ([], 3)
    one_by_one = [value for _, value in all_of(capture, 0).returns]
    assert [value for _, value in told["returns"]] == pytest.approx(
        [np.mean(one_by_one[at : at + 3]) for at in (0, 3, 6)]
    )


@pytest.mark.parametrize("step", [0, 7, 80, 89])
def test_rows_of_every_head_are_the_arrays(capture, step):
    """Byte by byte."""
    frame = views.heads(capture, all_of(capture, 2), step, "rows")
    n = min(step + 1, 30)
    assert np.array_equal(frame.shades, as_u8(capture.rows[step, 2, ..., :n]))
    assert frame.head["length"] == n
    assert frame.head["boundaries"] == capture.episode_boundaries(step, 2).tolist()
    assert frame.head["start"] == max(0, step + 1 - 30)


def test_maps_of_every_head_are_the_arrays(capture):
    """Stored ones, with the masked triangle absent; one head's map is a cut of it."""
    frame = views.heads(capture, all_of(capture), 89, "maps")
    whole = as_u8(capture.map(89))
    assert np.array_equal(frame.shades[..., *np.tril_indices(30)], whole[..., *np.tril_indices(30)])
    assert (frame.shades[..., *np.triu_indices(30, 1)] == ABSENT).all()
    assert np.array_equal(views.one_map(capture, all_of(capture), 89, (1, 1)).shades, frame.shades[1, 1])
    assert frame.head["source"] == "stored"


def test_every_view_is_within_its_budget(planted):
    """Also of many heads over a long context: maps are pooled, and say so."""
    wide = attnscope.open(planted(layers=6, heads=8, slots=300, steps=320, envs=1, map_steps=(319,), kind="uniform"))
    frames = [views.band(wide, all_of(wide), 0, 320), views.heads(wide, all_of(wide), 319, "rows")]
    frames += [views.heads(wide, all_of(wide), 319, "maps"), views.one_map(wide, all_of(wide), 319, (0, 0))]
    assert max(len(frame.encode()) for frame in frames) <= 200_000
    assert frames[2].head["unit"] == 6
    assert frames[2].shades.shape == (6, 8, 50, 50)
    assert frames[0].shades.shape == (320, 150)


def test_remote_and_downloaded_views_are_equal(folder, capture, serve):
    """The service reduces as the laptop does; a map that is not stored is replayed there."""
    server = serve(folder)
    with Service(Transport(Connection(server.url, "right-key", "a test"))) as service:
        remote = service.job("last").capture()
        asked = [
            lambda one: views.band(one, all_of(one, 1), 10, 90),
            lambda one: views.band(one, all_of(one, 1), 10, 90, (0, 1)),
            lambda one: views.heads(one, all_of(one, 1), 50, "rows"),
            lambda one: views.heads(one, all_of(one, 1), 45, "maps"),
        ]
        for ask in asked:
            near, far = ask(capture), ask(remote)
            assert far.head == near.head
            assert np.array_equal(far.shades, near.shades)
        replayed = views.heads(remote, all_of(remote, 1), 50, "maps")
        assert replayed.head["source"] == "replayed"
        assert replayed.shades.shape == (2, 2, 30, 30)


def test_without_rows_there_are_still_returns(planted):
    """The band is empty and says why; decision rows cannot be asked for."""
    bare = attnscope.open(planted(rows=False, steps=40))
    frame = views.band(bare, all_of(bare), 0, 40)
    assert frame.shades.size == 0
    assert len(frame.head["returns"]) == 4
    with pytest.raises(LookupError, match="decision rows"):
        views.heads(bare, all_of(bare), 3, "rows")


def test_rows_beyond_the_commit_are_not_looked_for(folder, hostile_root, tmp_path):
    """A document that claims a thousand million rows costs no more than the committed ones."""

    def claim(_: dict, arrays: dict) -> None:
        arrays["attention/rows"]["shape"][0] = 10**9

    lying = attnscope.open(hostile_root(folder, tmp_path / "lying.zarr", claim))
    assert len(views.row_steps(lying)) == 90
    assert np.array_equal(views.heads(lying, all_of(lying), 89, "rows").shades, as_u8(lying.rows[89, 0, ..., :30]))


def test_heads_that_nobody_could_show_are_refused(folder, hostile_root, tmp_path):
    """A policy of a thousand million layers is a damaged document, and no list of that length is made."""

    def claim(document: dict, _: dict) -> None:
        document["attributes"]["policy"]["layers"] = 10**9

    with pytest.raises(LookupError, match="1000000000 layers"):
        Subject.of_folder(hostile_root(folder, tmp_path / "lying.zarr", claim)).about()


def test_a_transition_is_told_by_its_fields(capture):
    """State, action, reward and episode of each step; no step that is not committed."""
    told = transitions(capture, all_of(capture, 1), 85, 4000)
    assert (told["first"], told["last"]) == (85, 90)
    assert told["reward"] == capture.rollout.reward[85:90, 1].tolist()
    assert told["observation"] == capture.rollout.observation[85:90, 1].tolist()
    assert told["episode"] == [8] * 5


def test_a_frame_is_read_back():
    """Length, JSON, bytes; NaN is null."""
    content = Frame({"a": numbers(np.array([np.nan, 1.5]))}, np.arange(6, dtype=np.uint8).reshape(2, 3)).encode()
    (length,) = struct.unpack("<I", content[:4])
    assert json.loads(content[4 : 4 + length]) == {"a": [None, 1.5], "shape": [2, 3]}
    assert content[4 + length :] == bytes(range(6))


def test_environments_are_told_apart(capture):
    """Several rollouts of one task are numbered."""
    assert environments(capture) == [f"goal (5, 4) · rollout {number}" for number in range(3)]


def test_an_imported_capture_has_what_its_file_says(tmp_path):
    """Three tokens a transition, the query first, no rollout: the rows are there, and the rest is null or unsaid."""
    weights = np.full((12, 1, 2, 2, 10), np.nan)
    lengths = np.array([[3 * min(step, 3) + 1] for step in range(12)])
    for step, (n,) in enumerate(lengths):
        weights[step, ..., :n] = np.arange(1, n + 1) / np.arange(1, n + 1).sum()
    options = {"tokens_per_transition": 3, "query_slot": "first", "out": tmp_path / "mine.zarr"}
    options["episodes"] = np.arange(12)[:, None] // 2
    attnscope.import_arrays(weights, lengths, **options)
    subject = Subject.of_folder(tmp_path / "mine.zarr")
    about = subject.about()
    assert (about["tokens"], about["queryFirst"], about["causal"], about["mapSteps"]) == (3, True, None, [])
    assert "the reward of each step" in about["unsaid"]
    with subject.reading() as capture:
        frame = views.band(capture, all_of(capture), 0, 12)
        told = transitions(capture, all_of(capture), 0, 5)
        boundaries = [all_of(capture).context(step)["boundaries"] for step in range(12)]
        assert boundaries == [capture.episode_boundaries(step).tolist() for step in range(12)]
    assert frame.head["rewards"] is None
    assert frame.head["starts"][-1] == 8
    assert np.array_equal(frame.shades[11], as_u8(weights[11, 0, 0, 0].astype(np.float16)))
    assert told["action"] is None
    assert environments(capture) == ["environment 0"]


def test_a_folder_keeps_its_name(folder, capture):
    """Two openings of one folder are one subject; its address holds no path."""
    one, other = Subject.of_folder(folder), Subject.of_folder(folder)
    assert one.name == other.name
    assert folder.name not in one.name
    assert one.about()["title"] == capture.resolved.checkpoint_name
