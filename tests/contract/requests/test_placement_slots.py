"""Placement slots as clients, operators and metrics see them."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from attnscope.cli.verbs.jobs import app
from attnscope_server.cli.machines import workers
from attnscope_storage.wire import Capabilities


def test_slots_are_listed_everywhere_alike(furnished, capsys):
    """The devices and the side slot, free or with a job; only its owner sees whose job."""
    header = furnished.key("local")
    answer = furnished.http.get(f"{furnished.url}/v1/capabilities", headers=header).content
    slots = Capabilities.model_validate_json(answer).placement_slots
    assert [(slot.runner, slot.name, slot.kind) for slot in slots] == [
        ("process", "0", "device"),
        ("process", "side", "side"),
    ]
    numbers = furnished.http.get(f"{furnished.url}/metrics", headers=header).text
    assert 'attnscope_placement_slots{kind="side",runner="process",state="free"} 1.0' in numbers
    root = furnished.running.settings.data_root
    workers(root, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [slot["name"] for slot in told] == ["0", "side"]
    workers(root)
    head, first, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["runner", "slot", "kind", "device", "hardware", "state"]
    assert first.split()[:4] == ["process", "0", "device", "auto"]


def test_an_owner_lets_a_job_go_on_elsewhere(furnished, monkeypatch):
    """It is a field that may be changed, and is shown."""
    path, header = f"{furnished.url}/v1/jobs/{furnished.job}", furnished.key("local")
    assert furnished.http.get(path, headers=header).json()["resume_elsewhere"] is False
    changed = furnished.http.patch(path, headers=header, json={"resume_elsewhere": True})
    assert changed.json()["resume_elsewhere"] is True
    monkeypatch.setenv("ATTNSCOPE_URL", furnished.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", header["Authorization"].split()[1])
    for option, allowed in (("--no-elsewhere", False), ("--elsewhere", True), ("--no-elsewhere", False)):
        assert CliRunner().invoke(app, ["place", furnished.job, option]).exit_code == 0
        assert furnished.http.get(path, headers=header).json()["resume_elsewhere"] is allowed
