"""Policy packages: the example, installed as an operator would, joins; a broken one is named, not passed over."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import CheckpointUnreadableError, PolicyPackageError, StatementMissingError
from attnscope_model.readers import READERS, readers

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "attnscope-policy-example"

pytestmark = pytest.mark.usefixtures("parsed_here")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder that the example is installed into, with nothing fetched from anywhere."""
    source = tmp_path_factory.mktemp("source") / "example"
    shutil.copytree(EXAMPLE, source)
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True)
    return target


@pytest.fixture
def tiny(installed, monkeypatch, tmp_path):
    """Return a file of the example's network, with its package on the path."""
    monkeypatch.syspath_prepend(installed)
    network = importlib.import_module("attnscope_policy_example.network")
    torch.manual_seed(0)
    with torch.inference_mode(mode=False):
        torch.save(network.TinyNetwork().state_dict(), tmp_path / "tiny.pt")
    return tmp_path / "tiny.pt"


def test_without_the_package_its_files_are_of_no_known_family(empty, tmp_path):
    """The example's family is known by installing it and by nothing else."""
    names = ("cell.weight", "slot", "attend.0.to_qkv.weight", "decide.weight")
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "tiny.pt")
    with pytest.raises(CheckpointUnreadableError, match="of no known family"):
        empty.add(tmp_path / "tiny.pt", heads=2)


def test_an_installed_family_is_added_loaded_and_captured(empty, tiny):
    """Its file needs its heads stated; its attention is seen without a word of attnscope in its network."""
    assert len(readers()) == len(READERS) + 1
    with pytest.raises(StatementMissingError, match=r"state --heads N for tiny\.pt.*2 heads unless"):
        empty.add(tiny)
    info = empty.add(tiny, heads=2)
    assert (info.policy.family, info.stated, info.preset) == ("example-tiny", {"heads": 2}, "darkroom-reference")
    policy = load_policy(empty.folder(info.id), torch.device("cpu"))
    with AttentionTape(policy, maps=True) as tape:
        logits = policy(torch.randn(2, 7, 16))
    assert logits.shape == (2, 5)
    assert tape.maps.shape == (2, 2, 2, 7, 7)
    assert "attnscope" not in (EXAMPLE / "attnscope_policy_example" / "network.py").read_text().split('"""', 2)[2]


CARELESS = """
from attnscope_policy_example import network

_attend, _decide = network.TinyNetwork.forward, {}


def forward(self, tokens):
    tokens += self.slot[: tokens.shape[1]] * 0 + 1  # in place, as many networks add their positions
    logits = _attend(self, tokens - 1)
    kept = _decide.setdefault(logits.shape, logits.clone())
    return kept.copy_(logits)  # the same buffer every time, as a captured graph hands out


network.TinyNetwork.forward = forward
"""


def decided(policy, envs=40, steps=12):
    """Return the logits of some decisions, taken before the next one was made."""
    decider, random = Decider(policy, envs, torch.device("cpu")), np.random.default_rng(0)
    found = []
    for _ in range(steps):
        cells = random.integers(0, 9, (2, envs, 2))
        found.append(decider.decide(cells[0]).logits)
        decider.append(cells[0], random.integers(0, 5, envs), np.zeros(envs, np.float32), cells[1])
    return torch.stack(found)


def test_a_careless_network_changes_no_stored_context_and_no_taken_logits(empty, tiny):
    """In-place sums and one buffer for all outputs give the numbers of the same network without them."""
    info = empty.add(tiny, heads=2)
    careful = decided(load_policy(empty.folder(info.id), torch.device("cpu")))
    network = importlib.import_module("attnscope_policy_example.network")
    forward = network.TinyNetwork.forward
    try:
        exec(CARELESS, {})  # noqa: S102 - our own text
        careless = decided(load_policy(empty.folder(info.id), torch.device("cpu")))
    finally:
        network.TinyNetwork.forward = forward
    torch.testing.assert_close(careless, careful, rtol=0, atol=1e-5)
    assert careful.std(dim=(0, 1)).min() > 1e-3, "else any buffer would do"


class Point:
    """An entry point of a package that does not work."""

    name, value = "broken", "broken:Reader"

    def __init__(self, load):
        self.load = load


def refuse():
    """Fail as an import does."""
    raise ImportError("no module named nonsense")


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (refuse, r"broken \(broken:Reader\) fails: no module named nonsense"),
        (lambda: dict, "is no CheckpointReader"),
        (lambda: type(READERS[0]), "names the family ad-reference, which is taken"),
    ],
)
def test_a_broken_package_is_named(monkeypatch, load, reason):
    """A package that does not work is an error with its name, so that no file is silently of another family."""
    monkeypatch.setattr("attnscope_model.readers.installed.entry_points", lambda **_: [Point(load)])
    with pytest.raises(PolicyPackageError, match=reason):
        readers()
