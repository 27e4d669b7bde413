"""A decision whose worker sends its stores: what the service writes of it, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_server.acting.errors import SlotGivenBackError
from attnscope_server.attempts.order import Order
from attnscope_server.deciding.job import run
from attnscope_server.deciding.phases.resolving import resolve_decision
from attnscope_server.pulling.errors import RefusedError
from attnscope_server.pulling.messages import SentCommit
from attnscope_server.pulling.streaming import Stream
from attnscope_server.root.paths import capture_path
from attnscope_storage.kinds.decision.contract import decision_schema
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.layout.chunks import encode_chunk
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire.parts import child_id
from attnscope_storage.wire.specifications.decisions import DecisionSpec
from attnscope_storage.writing.due import due_chunks
from routed import KilledError, Routed, job_of
from stores import differing

JOB = UUID("6f1b4a38-0c7e-4b7b-9d0a-1f5c8c6a2b11")
CPU = torch.device("cpu")
SPEC = {
    "checkpoint": "stays", "episodes": 3, "budgets": [8], "positions": ["reindex"], "screened": 16,
    "most_rollouts": 150,
    "tasks": {"goals": [[4, 5], [5, 4], [3, 4], [4, 3]]}, "screening": {"goals": [[3, 3], [5, 5], [3, 5], [5, 3]]},
}  # fmt: skip


@pytest.fixture(scope="module")
def decided(registry, tmp_path_factory):
    """Return the order of a decision that ran where a worker writes, up to its cap on rollouts."""
    torch.set_num_threads(1)
    root, spec = tmp_path_factory.mktemp("worker"), DecisionSpec.model_validate(SPEC)
    path = capture_path(root, str(JOB))
    path.parent.mkdir()
    order = Order(str(JOB), "me", spec, resolve_decision(spec, registry), path, durable=False, earlier=())
    policy, info = load_policy(registry.folder("stays"), CPU), registry.get("stays")
    callbacks = {"stopped": lambda: False, "on_progress": lambda *_: None, "on_commit": lambda _: None}
    while True:
        try:
            run(order, policy, info, CPU, **callbacks)
        except SlotGivenBackError:
            continue
        return order


@pytest.fixture
def sending(decided, registry):
    """Return a function that sends what the worker has, as another try may do after it."""

    def send(service):
        given = SimpleNamespace(job=JOB, attempt=service.job.attempts, resolved=decided.resolved)
        assignment = SimpleNamespace(order=given, token=str(JOB), checkpoints=[registry.get("stays")])
        reporter = SimpleNamespace(clock=lambda: 0.0, patience=120.0)
        stream = Stream(service, assignment, reporter, decided.path.parents[1], lambda: None)
        stream._own.look()
        stream._send_all()

    return send


def owned(path):
    """Return the stores that a decision owns, by name."""
    reader = CaptureReader.open(path)
    children = decoded(reader.array(DOCUMENT)[reader.steps_committed - 1]).card.children
    return {name: path.with_name(f"{part}.zarr") for name, part in children.items()}


def test_a_decision_that_is_sent_is_that_of_its_worker(decided, registry, sending, tmp_path):
    """Each document is the service's own; the second worker, after a kill, sends only what the first did not."""
    first = Routed.at(tmp_path, registry, job_of(decided, 1))
    first.left = 150
    with pytest.raises(KilledError):
        sending(first)
    there = capture_path(tmp_path, str(JOB))
    before = {path: path.stat().st_mtime_ns for path in there.parent.glob("*.zarr/*/*/c.*")}
    sending(second := Routed.at(tmp_path, registry, job_of(decided, 2)))
    assert before
    assert {path: path.stat().st_mtime_ns for path in before if path.exists()} == before
    parts = {"": decided.path} | owned(decided.path)
    assert {"capture", "screen", "race/8/round-1", "rung-1/look-1"} <= set(parts)
    for name, path in parts.items():
        sent = there.with_name(path.name)
        assert differing(path, sent) == []
        assert verify(CaptureReader.open(sent)).ok
        left, right = (CaptureReader.open(one).attributes for one in (path, sent))
        assert right["complete"]
        for key in ("spec", "resolved", "job", "owner", "policy", "provenance", "children", "part_of"):
            assert left.get(key) == right.get(key), (name, key)
    assert second.committed("t").part is None
    assert {path.name for path in there.parent.glob("*.zarr")} == {path.name for path in parts.values()}


@pytest.fixture
def captured(decided, registry, sending, tmp_path):
    """Return a service that has the decision's capture, and waits for the request that follows from it."""
    service = Routed.at(tmp_path, registry, job_of(decided, 1))
    sent = service.commit

    def commit(token, number, told, part=None):
        if part is None and number:
            raise KilledError
        return sent(token, number, told, part)

    service.commit = commit
    with pytest.raises(KilledError):
        sending(service)
    service.commit = sent
    return service


def request(decided, registry, service, change):
    """Send the first request with another document, and commit it."""
    schema = decision_schema(decided.spec, decided.resolved, registry.get("stays").policy)
    listed = {}
    for due in due_chunks(schema, 0, 1):
        encoded = (decided.path / due.key).read_bytes()
        if due.spec.name == DOCUMENT:
            document = change(decoded(CaptureReader.open(decided.path).array(DOCUMENT)[0]).model_dump(mode="json"))
            values = np.zeros(due.spec.chunks, np.int8)
            values[0, : len(document)] = np.frombuffer(document, np.int8)
            encoded = encode_chunk(values)
        listed[due.key] = hashlib.sha256(encoded).hexdigest()
        service.send("t", 1, due, encoded, listed[due.key])
    return service.commit("t", 1, SentCommit(chunks=listed))


def racing(**changes):
    """Return the change of a document that asks for a race."""

    def change(document):
        driver = document["state"]["driver"]
        document["state"]["arms"] = [{"name": "a", "strategy": "recency", "budget": 8, "tokens": 8,
                                      "positions": "reindex", "group": "8"}]  # fmt: skip
        driver |= {"phase": "race", "racing": ["a"], "raced_from": 0, "raced_to": 4}
        driver["plan"] |= changes.pop("plan", {})
        return json.dumps(document | {"state": document["state"] | {"driver": driver | changes}}).encode()

    return change


def test_a_store_that_is_not_due_is_refused(captured):
    """Neither another one, nor one of no decision, nor the end before a request: nothing of it appears."""
    there = capture_path(captured.state.captures._root, str(JOB)).parent
    names = {path.name for path in there.glob("*.zarr")}
    assert captured.committed("t").part is None
    for name in ("screen", "rung-1/look-1", "../../x"):
        with pytest.raises(RefusedError, match="waits for no part"):
            captured.commit("t", 0, SentCommit(chunks={}, provenance={}), name)
    with pytest.raises(RefusedError, match="owns no such store"):
        captured.committed("t", "../../x")
    with pytest.raises(RefusedError, match="not complete"):
        captured.commit("t", 0, SentCommit(chunks={}, provenance={}, complete=True))
    assert {path.name for path in there.glob("*.zarr")} == names == {f"{JOB}.zarr", f"{child_id(JOB, 'capture')}.zarr"}


def test_a_request_before_its_store_is_refused(captured, decided, registry):
    """A reader never sees what was decided by rollouts that are not there."""
    shutil.rmtree(capture_path(captured.state.captures._root, str(child_id(JOB, "capture"))))
    assert captured.committed("t").part == "capture"
    with pytest.raises(RefusedError, match="follows from capture, which is not complete"):
        request(decided, registry, captured, lambda document: json.dumps(document).encode())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: b"{}", "holds no record"),
        (lambda document: json.dumps(document | {"state": {"driver": {}}}).encode(), "holds no record"),
        (racing(raced_to=10**9), "rollouts, 1 to"),
        (racing(raced_to=0), "0 rollouts"),
        (racing(racing=["b"]), "no arm is called"),
        (racing(plan={"most_rollouts": 10**9}), "its plan is not the decision's"),
        (racing(plan={"screening_tasks": [0] * 64}), "its plan is not the decision's"),
    ],
)
def test_a_document_that_asks_for_more_is_refused(captured, decided, registry, change, said):
    """It is the worker's word: the service makes no store of a size that the decision does not have."""
    with pytest.raises(RefusedError, match=said):
        request(decided, registry, captured, change)
    assert {path.stem for path in captured.state.captures._root.glob("captures/*.zarr")} == {
        str(JOB),
        str(child_id(JOB, "capture")),
    }


def test_a_race_that_a_document_asks_for_is_due(captured, decided, registry):
    """The hostile documents above differ from this one by what is refused."""
    assert request(decided, registry, captured, racing()).part == "race/8/round-1"
