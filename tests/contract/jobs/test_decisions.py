"""Decisions over a real socket: one command to one answer, killed and going on, cancelled, on planted policies."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from operator import attrgetter
from uuid import UUID

import numpy as np
import psutil
import pytest
import torch
from typer.testing import CliRunner

import attnscope
from attnscope.cli.app import app
from attnscope.errors import ConflictError, JobCancelledError, NotFoundError, RequestRefusedError
from attnscope.page.answers import QUESTIONS
from attnscope.page.opened import subject_of
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import KeyStore
from attnscope_server.root.backup import back_up
from attnscope_server.root.doctor import examine
from attnscope_server.root.paths import capture_path
from attnscope_server.root.rebuild import rebuild_database
from attnscope_server.root.restoring import restore
from attnscope_server.serving import serve_background
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from attnscope_storage.wire.specifications.decisions import CARD_SCHEMA, DecisionCard, DecisionSpec
from planted import Planted, write_planted
from reading_here import reading_here

CLOSE = [[4, 5], [5, 4], [3, 4], [4, 3]]
"""Goals beside the start, which a policy that stays where it was rewarded soon finds."""

NEAR = [[3, 3], [5, 5], [3, 5], [5, 3]]
"""Goals two steps from it."""

ASKED = {
    "checkpoint": "stays",
    "tasks": {"goals": CLOSE},
    "screening": {"goals": NEAR},
    "episodes": 3,
    "budgets": [8],
    "positions": ["reindex"],
    "screened": 64,
}
"""A small decision on a policy that stays on the goal because of the reward one step back: 8 transitions are enough."""


@pytest.fixture(scope="module")
def running(service_settings, tmp_path_factory):
    """Return a service with two planted policies: one stays on the goal, one acts without regard to it."""
    settings, folder = service_settings(), tmp_path_factory.mktemp("planted")
    registry = CheckpointRegistry(settings.checkpoints_folder)
    for name, planted, preset in (
        ("stays", Planted(back=1, reads="reward"), "darkroom-toymeta"),
        ("wanders", Planted(back=5, reads="action"), "darkroom-reference"),
    ):
        write_planted(folder / name, planted, name=name, preset=preset)
        with reading_here():
            registry.add(folder / name)
    with serve_background(settings) as running:
        yield running


@pytest.fixture
def client(running):
    """Return a client of it."""
    with attnscope.connect(running.url, running.key) as connected:
        yield connected


@pytest.fixture(scope="module")
def decided(running):
    """Return the finished decision on the policy that stays."""
    with attnscope.connect(running.url, running.key) as connected:
        yield connected.submit(DecisionSpec.model_validate(ASKED)).wait()


def reader_of(running, job) -> CaptureReader:
    """Return a reader of a job's store."""
    return CaptureReader.open(capture_path(running.settings.data_root, str(job.id)))


def worker() -> psutil.Process:
    """Return the worker's process."""
    children = psutil.Process().children()
    [found] = [one for one in children if "attnscope_server.running.worker" in " ".join(one.cmdline())]
    return found


def test_a_decision_ends_in_the_right_answer(running, decided):
    """The planted policy looks one step back, so keeping the newest 8 transitions changes nothing; the card says so."""
    decision = decided.decision()
    card = decision.card
    assert card.answer == "compress to"
    assert (card.chosen.strategy, card.chosen.budget) == ("recency", 8)
    assert decision.answer == card.sentence == card.lines[-1]
    assert card.sentence.startswith("Compress to recency 8, reindex: it changes almost nothing (at most ")
    assert [look.verdict for look in decision.looks] == ["non-inferior"]
    assert "recency" in {arm.strategy for arm in decision.arms}
    assert (card.card_schema, card.job) == (CARD_SCHEMA, str(decided.id))
    assert decision.complete
    report = verify(reader_of(running, decided))
    assert report.ok, report.problems


def test_a_decision_travels_to_a_spawned_process(running, decided, monkeypatch, tmp_path):
    """Remote and downloaded: a process that shares nothing with this one reads the same card."""
    monkeypatch.setenv("ATTNSCOPE_URL", running.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", running.key)
    remote = decided.decision()
    local = attnscope.open_decision(remote.download(tmp_path / "decision.zarr"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for decision in (remote, local):
            there = pool.apply(attrgetter("card", "answer", "state"), (decision,))
            assert there == (local.card, local.answer, "complete")


def test_every_rollout_is_stored_and_counted(running, decided):
    """The card counts the stored rollouts, no (arm, task, seed) is run twice, and judges never screened."""
    card, reader = decided.decision().card, reader_of(running, decided)
    arm, task, seed = (reader.array(f"decision/{name}")[:] for name in ("arm", "task", "seed"))
    there = arm >= 0
    keys = set(zip(arm[there].tolist(), task[there].tolist(), seed[there].tolist(), strict=True))
    assert there.sum() == len(keys) == card.rollouts
    resolved = decided.info.resolved
    judges = {cell.index for cell in resolved.tasks}
    assert judges.isdisjoint(cell.index for cell in resolved.screening_tasks)
    assert set(task[0][arm[0] >= 0].tolist()).isdisjoint(judges)
    assert np.isfinite(reader.array("decision/return")[:][there]).all()


def test_the_pasted_lines_run(decided):
    """The lines for one's own loop keep of a torch window what the chosen arm keeps."""
    window = torch.arange(2 * 32 * 3, dtype=torch.float32).view(2, 32, 3)
    made: dict[str, object] = {"window": window}
    exec(decided.decision().card.paste, made)  # noqa: S102 - lines of our own
    assert torch.equal(made["tokens"], window[:, -9:])  # the newest 8 and the query


LOOP = """
from pathlib import Path

import torch
from attnscope_model.checkpoints.native import load_policy

POLICY = load_policy(Path({folder!r}), torch.device("cpu"))


def tokens_of(history):
    keys = ("observation", "action", "reward", "next_observation")
    parts = [torch.from_numpy(history[key]) for key in keys]
    parts[2] = parts[2].float()
    return POLICY.embed_transition(parts[0], parts[1].long(), parts[2], parts[3])


@torch.inference_mode()
def distributions(history):
    past, found = tokens_of(history), []
    for step in range(len(past)):
        query = POLICY.embed_query(torch.from_numpy(history["observation"][step : step + 1]))
        window = past[{kept}].transpose(0, 1)
        found.append(torch.softmax(POLICY(torch.cat([window, query], dim=1))[0], dim=-1).numpy())
    return found
"""
"""A loop of somebody's own, which keeps some of the transitions before a step."""


def test_a_right_loop_is_told_from_a_wrong_one(running, decided, tmp_path, monkeypatch):
    """A loop that keeps the newest 8 acts as the arm; one that leaves the newest out does not, with exit status 1."""
    monkeypatch.setenv("ATTNSCOPE_URL", running.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", running.key)
    folder = running.settings.checkpoints_folder / decided.info.resolved.checkpoint_id
    words = ["check-loop", str(decided.id), "--loop"]
    for name, kept, status in (
        ("right", "max(0, step - 8) : step", 0),
        ("wrong", "max(0, step - 8) : max(0, step - 1)", 1),
    ):
        path = tmp_path / f"{name}.py"
        path.write_text(LOOP.format(folder=str(folder), kept=kept))
        ran = CliRunner().invoke(app, [*words, str(path)])
        assert ran.exit_code == status, ran.output
        assert ("acts as the trial did" in ran.output) == (status == 0)
    history = tmp_path / "history.npz"
    assert CliRunner().invoke(app, ["check-loop", str(decided.id), "--export", str(history)]).exit_code == 0
    assert np.load(history)["action"].shape == (60,)


def test_a_killed_decision_goes_on_to_the_same_bits(running, client, decided, differing):
    """After kill -9 of the worker in the middle, the store is that of the uninterrupted decision but for its names."""
    job = client.submit(DecisionSpec.model_validate(ASKED))
    while job.refresh().info.progress.steps_committed < 3 * job.info.resolved.steps:
        assert not job.state.final, job.info.failure
    worker().kill()
    assert job.wait().state is JobState.SUCCEEDED
    assert job.info.attempts == decided.info.attempts + 1  # every look gives the slot back, and takes it again
    paths = [capture_path(running.settings.data_root, str(one.id)) for one in (decided, job)]
    assert differing(*paths) == ["decision/document"]
    first, second = (handle.decision().card for handle in (decided, job))
    apart = {"job", "speed", "children", "attempt", "earlier", "lines", "sentence"}
    assert first.model_dump(exclude=apart) == second.model_dump(exclude=apart)
    assert second.lines[1:-1] == first.lines[:-1]  # but for the first line and the answer's end, which count decisions
    assert second.lines[0].startswith(f"decision number {second.attempt} on this checkpoint")
    assert second.sentence == f"{first.sentence} This is decision number {second.attempt} on this policy here."
    for name in decided.decision().card.children:
        parts = [
            capture_path(running.settings.data_root, handle.decision().card.children[name]) for handle in (decided, job)
        ]
        assert differing(*parts) in ([], ["cost/seconds"]), name
    card = job.decision().card
    assert card.attempt == 2
    assert [one.job for one in card.earlier] == [str(decided.id)]


def test_parts_are_read_by_the_verbs_of_their_kinds(running, client, decided, tmp_path, monkeypatch):
    """JOB/capture is a capture, JOB/screen a screen, JOB/rung-1/look-1 a trial: summary, report, another screen."""
    monkeypatch.setenv("ATTNSCOPE_URL", running.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", running.key)
    capture = client.job(f"{decided.id}/capture")
    assert capture.info.resolved.envs == 32
    assert capture.capture().returns().shape == (32, 3)
    assert client.job(f"{decided.id}/screen").screen().complete
    look = client.job(f"{decided.id}/rung-1/look-1").trial()
    assert [one.strategy for one in look.conditions] == ["none", "recency"]
    program = [sys.executable, "-c", "from attnscope.cli.main import main; main()"]
    for words in (["summary", f"{decided.id}/screen"], ["report", f"{decided.id}/rung-1/look-1", "--out", "look"]):
        subprocess.run([*program, *words], capture_output=True, check=True, cwd=tmp_path)
    again = client.submit(
        kind="screen", capture=str(capture.id), decisions=32, budgets=[8], strategies=[{"name": "recency"}]
    )
    assert again.wait().screen().complete
    assert str(capture.id) not in {str(job.id) for job in client.jobs()}


def test_parts_belong_to_their_owner_and_go_with_their_decision(running, client):
    """Another owner's key reads no part; a part is not deleted alone, and is gone with the decision."""
    job = client.submit(DecisionSpec.model_validate(ASKED | {"quick": True})).wait()
    part = client.job(f"{job.id}/capture")
    with pytest.raises(ConflictError, match="a part of job"):
        part.delete()
    keys = KeyStore(Database.open(running.settings.database_path))
    with attnscope.connect(running.url, keys.create("other")) as other, pytest.raises(NotFoundError):
        other.job(part.id)
    path = capture_path(running.settings.data_root, str(part.id))
    assert path.exists()
    job.delete()
    assert not path.exists()
    with pytest.raises(NotFoundError):
        client.job(part.id)


def test_parts_are_backed_up_and_known_to_doctor_and_rebuild(running, decided, tmp_path):
    """A backup holds the parts, doctor knows whose they are, and a database made anew enters no part as a job."""
    parts = set(decided.decision().card.children.values())
    manifest = back_up(running.settings, tmp_path / "backup")
    assert parts <= set(manifest.captures)
    strays = [found for found in examine(running.settings, quick=True) if "no job has" in found.said]
    assert strays == []
    restore(tmp_path / "backup", tmp_path / "root")
    settings = running.settings.model_copy(update={"data_root": tmp_path / "root"})
    settings.database_path.unlink()
    rebuild_database(settings)
    database = Database.open(settings.database_path)
    jobs = JobStore(database)
    assert jobs.get(decided.id) is not None
    assert [part for part in parts if jobs.get(UUID(part)) is not None] == []
    database.close()


def test_a_linked_capture_is_read_and_never_copied(client, decided):
    """A decision from another decision's capture owns none itself, says so, and screens the same arms."""
    capture = client.job(f"{decided.id}/capture")
    asked = {name: value for name, value in ASKED.items() if name != "screening"}
    job = client.submit(DecisionSpec.model_validate(asked | {"capture": str(capture.id), "quick": True})).wait()
    card = job.decision().card
    assert (card.capture, list(card.children)) == (str(capture.id), ["screen"])
    assert [arm.departure for arm in card.arms] == [arm.departure for arm in decided.decision().card.arms]
    job.delete()
    assert capture.refresh().capture().complete
    with pytest.raises(NotFoundError, match="no job"):
        client.submit(DecisionSpec.model_validate(asked | {"capture": str(UUID(int=1))}))
    judging = {"goals": [*NEAR, *CLOSE[:3]]}
    with pytest.raises(RequestRefusedError, match="at least 4 are needed"):
        client.submit(DecisionSpec.model_validate(asked | {"tasks": judging, "capture": str(capture.id)}))


def test_between_looks_others_go_first(running, client):
    """On one slot, a job of another owner begins before the decision that ran when it was submitted has ended."""
    job = client.submit(DecisionSpec.model_validate(ASKED | {"label": "goes on"}))
    while not job.refresh().info.progress.steps_committed:
        assert not job.state.final, job.info.failure
    key = KeyStore(Database.open(running.settings.database_path)).create("another")
    with attnscope.connect(running.url, key) as another:
        captured = another.submit(checkpoint="stays", tasks={"goals": CLOSE[:1]}, steps=5).wait()
    decided = job.wait()
    assert decided.info.attempts == 4  # one for every look
    assert captured.info.started_at < decided.info.finished_at


def test_a_policy_that_is_not_better_than_random_is_not_raced(client):
    """The gate ends the decision after the capture alone, and says so."""
    card = client.submit(DecisionSpec(checkpoint="wanders", episodes=3)).wait().decision().card
    assert card.answer == "not better than random here"
    assert card.arms == ()
    assert card.rollouts == 32
    assert "nothing to compress" in card.sentence


def test_a_quick_decision_never_calls_an_arm_safe(client):
    """Gate and screen only: arms with their departures, no verdict, no arm chosen."""
    card = client.submit(DecisionSpec.model_validate(ASKED | {"quick": True})).wait().decision().card
    assert (card.answer, card.chosen, card.rungs) == (None, None, ())
    assert card.sentence.startswith("Screened only")
    assert all(arm.departure is not None and arm.raced_return is None for arm in card.arms)


def test_a_cancelled_decision_keeps_what_it_committed(running, client):
    """Cancelled while it runs, it ends, and its committed requests verify."""
    job = client.submit(DecisionSpec.model_validate(ASKED | {"episodes": 40}))
    while not job.refresh().info.progress.steps_committed:
        assert not job.state.final, job.info.failure
    with pytest.raises(JobCancelledError):
        job.cancel().wait()
    reader = reader_of(running, job)
    assert not reader.complete
    assert verify(reader).ok


def test_too_few_judges_are_refused(client):
    """Three tasks that could judge are too few, and the service says how many are needed."""
    with pytest.raises(RequestRefusedError, match="at least 4 are needed"):
        client.submit(DecisionSpec.model_validate(ASKED | {"tasks": {"goals": CLOSE[:3]}}))


def test_the_command_prints_lines_the_answer_and_the_card(running, tmp_path, monkeypatch):
    """One command: progress in words, one answer sentence, lines to paste; the same card as JSON; an estimate first."""
    monkeypatch.setenv("ATTNSCOPE_URL", running.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", running.key)
    goals = [word for row, column in CLOSE for word in ("--goal", f"{row},{column}")]
    goals += [word for row, column in NEAR for word in ("--screening-goal", f"{row},{column}")]
    words = ["decide", "stays", *goals, "--episodes", "3", "--budget", "8", "--positions", "reindex"]
    words += ["--screened", "64", "--margin", "5%", "--worth", "2x"]
    guessed = CliRunner().invoke(app, [*words, "--dry-run"])
    assert guessed.exit_code == 0, guessed.output
    assert "rollouts of 60 steps" in guessed.output
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    for told in ("gate: The policy learns", "rung 1 of 1", "ANSWER  Compress to recency 8", "ContextCompressor"):
        assert told in ran.output
    again = next(line for line in ran.output.splitlines() if line.startswith("again"))
    assert "attnscope decide" in again
    program = [sys.executable, "-c", "from attnscope.cli.main import main; main()"]
    printed = subprocess.run([*program, "summary", "last", "--json"], capture_output=True, text=True, check=True)
    card = DecisionCard.model_validate(json.loads(printed.stdout))
    assert card.answer == "compress to"
    shown = CliRunner().invoke(app, ["decide", "show", "last", "--out", str(tmp_path / "report")])
    assert shown.exit_code == 0, shown.output
    assert card.sentence in shown.output
    written = json.loads((tmp_path / "report" / "decision_card.json").read_text())
    assert written["sentence"] == card.sentence
    assert set(written) <= set(
        json.loads((tmp_path / "report" / "decision_card.schema.json").read_text())["properties"]
    )
    assert (tmp_path / "report" / "decision_card.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report" / "decision_card.html").read_text()
    assert '<section id="decision">' in page
    assert "<script" not in page


def test_the_page_opens_a_decision_and_its_parts(client, decided):
    """A decision comes with its capture, its answer and its screen; its parts open as any capture or screen."""
    subject = subject_of(client, str(decided.id))
    for _ in range(2):
        subject._look_now()
    told = QUESTIONS["answer"](subject, {})
    assert told["decision"]["sentence"] == decided.decision().answer
    assert told["screen"]["rollouts"][0] == told["screen"]["rollouts"][1] > 0
    about, news = QUESTIONS["about"](subject, {}), subject.news()
    assert about["rows"]
    assert (news["ended"], news["state"]) == (True, "succeeded")
    assert news["committed"] > 0
    screen = subject_of(client, str(decided.decision().card.children["screen"]))
    screen._look_now()
    assert QUESTIONS["answer"](screen, {})["screen"]["maps"] == told["screen"]["maps"]
    assert QUESTIONS["about"](screen, {})["title"] == about["title"]
