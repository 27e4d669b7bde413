"""Policies that decide out of a memory, through the service: captured and reported whole, and shortened by no rule."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import attnscope
from attnscope.errors import InvalidRequestError
from attnscope.report.report import write_report
from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_model.checkpoints import conversion
from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.root.captures import Captures
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage.kinds.capture.schema import TOKEN_KINDS
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from forwards import layouts

STEPS = 50
SUPPORT = Path(layouts.__file__).parents[1]
"""Folder of the module that a worker imports to know the environment."""

WINDOWS = {"trxl": (11, 1, 1), "amago": (15, 1, 1), "uneven": (11, 1, 1), "decision": (5, 3, 2)}
"""Past steps that a context shows, tokens of each, and tokens of the present one."""

UNEVEN = GymnasiumEntry(
    id="field/Uneven-v0", module="field_environments", horizon=5, actions=("a", "b", "c", "d", "e"), preset="uneven"
)
"""Episodes of one to five steps, so that contexts of a batch differ in length."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Return a running service that lists the environment."""
    root = tmp_path_factory.mktemp("service")
    given = Settings(data_root=root, port=0, announce=False, threads=1, durable=False, environments=(UNEVEN,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
        with serve_background(given) as running:
            yield running


@pytest.fixture(scope="module")
def client(service):
    """Return a client of the service."""
    with attnscope.connect(service.url, service.key) as connected:
        yield connected


@pytest.fixture(scope="module")
def jobs(service, client, tmp_path_factory):
    """Return a finished capture of each policy in Darkroom, and of one where episodes end at different steps."""
    registry, files = CheckpointRegistry(service.settings.checkpoints_folder), tmp_path_factory.mktemp("files")
    submitted = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "parse_apart", lambda source, folder, choice=None: parse_here(source, folder, choice))
        uneven = replace(layouts.REMEMBERING["trxl"], stated={"preset": "uneven"})
        uneven = replace(uneven, config={**uneven.config, "trxl_positional_encoding": ""})
        for name, layout in (layouts.REMEMBERING | {"uneven": uneven}).items():
            path = files / f"{name}.pt"
            torch.save(layout.content(), path)
            if layout.bare:
                path.with_name(path.name + ".yaml").write_text(yaml.safe_dump(dict(layout.config)))
            registry.add(path, name=name, **layout.stated)
            submitted[name] = client.submit(
                checkpoint=name, tasks={"split": "all", "indices": [0]}, replicas=3, steps=STEPS
            )
    return {name: job.wait() for name, job in submitted.items()}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_capture_is_whole_and_its_context_begins_anew_with_each_episode(service, jobs, name):
    """Lengths count the episode's steps up to the window; rows sum to 1 over them; no whole map was promised."""
    job = jobs[name]
    assert job.state is JobState.SUCCEEDED, job.info.problem
    reader = Captures(service.settings.data_root).open(job.id)
    assert verify(reader).ok
    most, per, query = WINDOWS[name]
    length, start = reader.array("context/length")[:], reader.array("context/start")[:]
    ended = (reader.array("rollout/terminated")[:] > 0) | (reader.array("rollout/truncated")[:] > 0)
    within = np.zeros_like(length)
    for step in range(1, STEPS):
        within[step] = np.where(ended[step - 1], 0, within[step - 1] + 1)
    assert np.array_equal(length, per * np.minimum(within, most) + query)
    assert np.array_equal(start, np.arange(STEPS)[:, None] - np.minimum(within, most))
    assert (len(np.unique(length[3])) > 1) == (name == "uneven")
    own = reader.array("stats/self")[:]
    assert (own[within == 0] == 1).all() == (query == 1)
    assert own[within > 0].any() == (name in {"amago", "decision"})
    assert "attention/maps" not in reader.root.arrays or not reader.array("attention/map_step")[:].size
    assert reader.policy.window == {"amago": "rolling", "decision": "recompute"}.get(name, "memory")
    assert reader.policy.cleared == "episode"


@pytest.mark.parametrize("name", WINDOWS)
def test_a_report_of_it_is_written(jobs, name, tmp_path):
    """Every figure is drawn or says why not, and the advice says that no rule is proposed, and why."""
    written = write_report(jobs[name].capture(), tmp_path / "report")
    assert written
    advice = str(attnscope.recommend(jobs[name].capture()))
    assert "No rule is proposed: the policy" in advice


@pytest.mark.parametrize("name", ["trxl", "amago", "decision"])
def test_no_rule_shortens_it_and_the_reason_is_said(client, jobs, name):
    """A trial, a screen and a decision are refused before they are queued, and no strategy claims to fit."""
    keeps = {"trxl": "the policy keeps inputs of layers", "amago": "the policy keeps keys and values"}
    reason = keeps.get(name, "the policy's context is emptied at the end of each episode")
    for asked in (
        {"kind": "trial", "strategies": [{"name": "recency"}], "budgets": [4], "episodes": 1},
        {"kind": "screen", "capture": str(jobs[name].id)},
        {"kind": "decision"},
    ):
        with pytest.raises(InvalidRequestError, match=f"{name} takes no rule: {reason}"):
            client.submit(checkpoint=name, **asked)
    assert not any(kind.fits for one in client.strategies(checkpoint=name) for kind in one.observations)


def test_a_decision_transformers_tokens_are_told_apart(service, jobs):
    """Slots are return, state and action of each step; the present step is a return and the state that decides."""
    reader = Captures(service.settings.data_root).open(jobs["decision"].id)
    kinds = [TOKEN_KINDS[kind] for kind in reader.array("context/token_kind")[:]]
    assert kinds == [*["return", "state", "action"] * 5, "return", "query"]
    assert reader.attributes["provenance"]["sampling"] == "greedy"


def test_maps_are_refused_where_none_is_computed(client, jobs):
    """Asked for beforehand or afterwards, a whole map is refused with the reason."""
    with pytest.raises(InvalidRequestError, match="computes the deciding token's attention alone"):
        client.submit(checkpoint="trxl", tasks={"split": "all", "indices": [0]}, steps=STEPS, maps={"steps": [3]})
    with pytest.raises(attnscope.errors.AttnscopeError, match="only decision rows are stored of this capture"):
        jobs["trxl"].capture().map(7)
