"""Answers of a newer service are read by this client: fields that it does not know are dropped, at every depth."""

from __future__ import annotations

import json

import httpx

from attnscope.connecting.responses import Response, read_model
from attnscope_storage.wire.jobs import Job
from attnscope_storage.wire.union import resolved_as, specification_as

RESOLVED = {"checkpoint_id": "a" * 64, "checkpoint_name": "mine", "environment_id": "Darkroom-v0", "preset": "darkroom"}
CONDITION = {
    "index": 1,
    "strategy": "recency",
    "parameters": {},
    "text": "recency",
    "positions": "keep",
    "budget": 40,
    "memory": "stateless",
    "interval": 1,
    "path": "recompute",
    "control": False,
    "oracle": False,
}
RESOLVED |= {"horizon": 20, "tasks": [], "held_out": None, "envs": 1, "steps": 10}
RESOLVED |= {"divergence_steps": [], "kept_steps": []}


def told(kind: str, spec: dict[str, object], resolved: dict[str, object]) -> Response:
    """Return the answer of a service that shows a job of one kind."""
    job = {
        "id": "12345678-1234-5678-1234-567812345678",
        "kind": kind,
        "owner": "me",
        "state": "queued",
        "progress": {"phase": "waiting", "steps_done": 0, "steps_total": 10},
        "created_at": "2030-01-01T00:00:00Z",
        "spec": spec,
        "resolved": resolved,
    }
    return Response(200, httpx.Headers(), json.dumps(job).encode())


def test_fields_of_a_newer_specification_are_dropped():
    """A field at the top and one inside a list do not hide a job from an older client."""
    known = {"kind": "trial", "checkpoint": "mine", "strategies": [{"name": "recency"}], "budgets": [40]}
    newer = json.loads(json.dumps(known))
    newer["planned_by"] = "a later version"
    newer["strategies"][0]["colour"] = {"of": "the arm"}
    job = read_model(Job, told("trial", newer, RESOLVED | {"conditions": [CONDITION | {"shade": 1}]}))
    assert job.spec == specification_as("trial", known)
    assert job.resolved == resolved_as("trial", RESOLVED | {"conditions": [CONDITION]})
