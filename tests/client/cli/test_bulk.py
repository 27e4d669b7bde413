"""Jobs ended one by one and in bulk, Ctrl-C while one is waited for, and names that a shell completes."""

from __future__ import annotations

import json
import sys
from uuid import UUID

import httpx
import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli import completion
from attnscope.cli.main import app, main
from attnscope.connecting.responses import Response
from attnscope.errors import ConnectionFailedError
from attnscope.service import Service

IDS = [str(UUID(int=number + 1, version=4)) for number in range(5)]
STATES = {IDS[0]: "queued", IDS[1]: "running", IDS[2]: "succeeded", IDS[3]: "failed", IDS[4]: "running"}
LABELS = {IDS[0]: "mine", IDS[2]: "mine", IDS[3]: "mine"}


class Memory:
    """A transport that answers from a dictionary of jobs, and notes what would change them."""

    def __init__(self, job: dict) -> None:
        self._job = job
        self.changed: list[tuple[str, str]] = []
        self.interrupted = False

    def close(self) -> None:
        """Do nothing."""

    def _document(self, name: str) -> dict:
        owner = "another" if name == IDS[4] else "o"
        return self._job | {"id": name, "state": STATES[name], "owner": owner, "label": LABELS.get(name)}

    def request(self, method: str, path: str, *, parameters=(), **_: object) -> Response:
        """Answer like the service, whose administrators see the jobs of all owners."""
        asked, name = dict(parameters or ()), path.removeprefix("/v1/jobs/").removesuffix("/cancel")
        if "wait" in asked and self.interrupted:
            raise KeyboardInterrupt
        if method in ("POST", "DELETE"):
            self.changed.append((method, name))
        if path == "/v1/whoami":
            body = {"owner": "o", "key_id": "k", "scopes": ["admin"]}
        elif path == "/v1/jobs":
            every = [self._document(one) for one in IDS]
            body = {"jobs": [one for one in every if asked.get("label", one["label"]) == one["label"]
                             and asked.get("state", one["state"]) == one["state"]]}  # fmt: skip
        elif path in ("/v1/checkpoints", "/v1/strategies"):
            raise ConnectionFailedError("no answer")
        else:
            body = self._document(name if name in STATES else IDS[0])
        return Response(200, httpx.Headers(), json.dumps(body).encode())


@pytest.fixture
def memory(stored, monkeypatch):
    """Return a transport in memory, which the command line takes for the service."""
    root = json.loads((stored / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    job = {"kind": "capture", "spec": root["spec"], "resolved": root["resolved"], "created_at": "2026-01-01T00:00:00Z"}
    job |= {"progress": {"steps_done": 0, "steps_committed": 0, "steps_total": 90, "phase": "waiting"}}
    found = Memory(job)
    monkeypatch.setattr(attnscope, "connect", lambda: Service(found))
    return found


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("cancel --all", [IDS[0], IDS[1]]),
        ("cancel --label mine", [IDS[0]]),
        ("cancel --state running", [IDS[1]]),
        (f"cancel {IDS[4]} {IDS[4]}", [IDS[4]]),
        ("delete --all --yes", [IDS[2], IDS[3]]),
        ("delete --label mine --state failed -y", [IDS[3]]),
        (f"delete {IDS[2]} --yes", [IDS[2]]),
    ],
)
def test_only_the_jobs_that_were_meant_are_ended(memory, words, changed):
    """In bulk these are the caller's own, and those to which it applies; by name it is the named one."""
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    assert [name for _, name in memory.changed] == changed


def test_nothing_is_deleted_before_somebody_says_yes(memory):
    """The jobs are named in the question; anything but yes ends it."""
    done = CliRunner().invoke(app, ["delete", "--all"], input="\n")
    assert done.exit_code == 1
    assert memory.changed == []
    assert IDS[2] in done.output
    assert CliRunner().invoke(app, ["delete", "--all"], input="y\n").exit_code == 0
    assert len(memory.changed) == 2


def test_bulk_answers_programs_in_json(memory):
    """A single named job is a document as before, several are a list."""
    assert json.loads(CliRunner().invoke(app, ["cancel", IDS[0], "--json"]).output)["id"] == IDS[0]
    assert len(json.loads(CliRunner().invoke(app, ["cancel", "--all", "--json"]).output)) == 2
    assert memory.changed


@pytest.mark.parametrize("words", ["submit --checkpoint a --wait", f"watch {IDS[1]}", f"retry {IDS[3]} --wait"])
def test_ctrl_c_says_what_goes_on_and_how_to_stop_it(memory, monkeypatch, capsys, words):
    """The job is not cancelled; the status is the shell's own for Ctrl-C."""
    memory.interrupted = True
    monkeypatch.setattr(sys, "argv", ["attnscope", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 130
    assert "goes on" in said
    assert "attnscope cancel 0000" in said
    assert ("POST", IDS[1]) not in memory.changed


def test_a_shell_completes_jobs_and_is_told_no_errors(memory):
    """Jobs come newest first with ``last``; where the service does not answer there is nothing."""
    assert memory.changed == []
    assert completion.job_names("") == ["last", *IDS]
    assert completion.job_names(IDS[1][:9])[:1] == [IDS[0]]
    assert completion.checkpoint_names("AD") == completion.strategy_names("") == []


@pytest.mark.parametrize("words", ["attnscope status ", "attnscope submit --checkpoint ", "attnscope strategies "])
def test_completion_is_wired_to_the_verbs(memory, monkeypatch, words):
    """The shell's own question reaches the callbacks."""
    asked = []
    monkeypatch.setattr(completion, "_offered", lambda incomplete, _: asked.append(incomplete) or ["offered"])
    environment = {"_ATTNSCOPE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
    done = CliRunner().invoke(app, [], prog_name="attnscope", env=environment)
    assert (asked, "offered" in done.output) == ([""], True)
    assert memory.changed == []
