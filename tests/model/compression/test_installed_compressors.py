"""Compressors of installed packages: the example, installed as an operator would, is an arm; others are named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from attnscope_model.compression import Compression
from attnscope_model.compression import installed as loading
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_model.forward.compressing import LearnedCompressor, Packed
from attnscope_model.strategies import describe_all, strategy, why_not
from installing import install

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "attnscope-compressor-example"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def policy():
    """Return a random policy of 40 tokens."""
    torch.manual_seed(3)
    made = ADPolicy(ADConfig((9, 9), 5, 40, width=32, layers=2, heads=4, feedforward=64))
    with torch.no_grad():
        for weights in made.parameters():
            weights.normal_(std=0.4)
    return made.eval().requires_grad_(requires_grad=False)


@pytest.fixture
def _installed(tmp_path, monkeypatch) -> None:
    """Install the example where this interpreter finds it, with nothing fetched from anywhere."""
    install("attnscope-compressor-example", tmp_path, monkeypatch)


def fits(policy, **parameters):
    """Return why the rule does not fit a policy; None where it does."""
    rule = strategy("latents", **parameters)
    return why_not(rule, policy.description, "reindex", "stateful", "recompute")


@pytest.mark.usefixtures("_installed")
def test_an_installed_compressor_is_an_arm(policy):
    """It fits, packs when it says so, and its latents stand at the front of the very forward of the policy."""
    assert fits(policy, by="block-means") is None
    assert describe_all(policy.description)[-1].name == "latents"
    decider = CompressedDecider(policy, [Compression(strategy("latents", by="block-means"))], torch.arange(2), CPU)
    made = loading.made_compressor("block-means", policy)
    draw, held, buffer, packed = torch.Generator().manual_seed(5), None, [], 0
    for step in range(60):
        state = torch.randint(0, 9, (2, 2), generator=draw)
        front = [held] if held is not None and buffer else []
        tokens = torch.cat([*front, *buffer, policy.embed_query(state)], dim=1)
        assert torch.allclose(decider.decide(state), policy(tokens), atol=1e-6), step
        assert decider.kept()[0].tokens == ((tokens.shape[1] - 1,) * 2 if tokens.shape[1] > 1 else None)
        action = torch.randint(0, 5, (2,), generator=draw)
        reward, ended = torch.zeros(2), torch.zeros(2, dtype=torch.bool)
        decider.append(state, action, reward, state, ended)
        buffer.append(policy.embed_transition(state, action, reward, state))
        if made.when(len(buffer), packed=held is not None):
            held, buffer, packed = made.compress(held, torch.cat(buffer, dim=1)).latents, [], packed + 1
    assert packed == 3


def test_the_adapter_is_short():
    """A package has to write at most 30 lines."""
    lines = (EXAMPLE / "attnscope_compressor_example" / "adapter.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


def test_what_is_not_installed_is_named(policy):
    """A name that no package has is refused where the trial is resolved, and where it would be made."""
    assert "no compressor 'mine' is installed here; installed are none" in fits(policy, by="mine")
    with pytest.raises(CompressionUnfitError, match="no compressor 'mine' is installed"):
        CompressedDecider(policy, [Compression(strategy("latents", by="mine"))], torch.arange(2), CPU)


@pytest.mark.usefixtures("_installed")
def test_the_example_s_network_is_where_its_policy_is():
    """On a device that is not the CPU it packs the policy's tokens there."""
    away = ADPolicy(ADConfig((9, 9), 5, 40, width=32, layers=2, heads=4, feedforward=64)).to("meta")
    point = loading.installed_compressors()["block-means"]
    packed = point.load()(away).compress(None, torch.zeros(2, 20, 32, device="meta"))
    assert packed.latents.device == torch.device("meta")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda _policy: 1 / 0, r"the installed compressor broken \(here:made\) fails: division by zero"),
        (lambda _policy: "nothing", "makes no LearnedCompressor"),
    ],
)
def test_a_broken_package_is_named(policy, monkeypatch, made, reason):
    """A package that fails, or makes something else, ends in a sentence with its name."""
    point = SimpleNamespace(value="here:made", load=lambda: made)
    monkeypatch.setattr(loading, "installed_compressors", lambda: {"broken": point})
    with pytest.raises(CompressionUnfitError, match=reason):
        loading.made_compressor("broken", policy)


EVEN = Packed(torch.zeros(2, 4, 32))


class Made(LearnedCompressor):
    """A compressor whose every answer is given."""

    def __init__(self, latents=4, packs=lambda tokens: tokens >= 16, gives=lambda: EVEN):
        self.latents, self.packs, self.gives = latents, packs, gives

    def when(self, tokens, *, packed):
        """Return what is given for so many tokens."""
        del packed
        return self.packs(tokens)

    def compress(self, held, tokens):
        """Return what is given."""
        del held, tokens
        return self.gives()


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Made(latents=0), r"^the installed compressor odd \(here:odd\): expected the number of its latents, 1 or more"),
        (Made(gives=lambda: Packed(torch.zeros(2, 3, 32))), r"expected latents .* \(2, 4, 32\) .* got \(2, 3, 32\)"),
        (Made(gives=lambda: Packed(torch.zeros(2, 4, 16))), r"got \(2, 4, 16\) of torch.float32"),
        (Made(gives=lambda: Packed(torch.zeros(2, 4, 32).double())), "of torch.float32, got .* of torch.float64"),
        (Made(gives=lambda: Packed(torch.zeros(2, 4, 32, device="meta"))), "latents are on meta and .* tokens on cpu"),
        (Made(gives=lambda: Packed(torch.full((2, 4, 32), torch.nan))), "gives latents that are not finite"),
        (Made(gives=lambda: EVEN.latents), "expected a Packed of latents, got Tensor"),
        (Made(gives=lambda: 1 / 0), r"odd \(here:odd\) fails: division by zero"),
        (Made(packs=lambda _tokens: 1 / 0), r"odd \(here:odd\) fails: division by zero"),
        (Made(packs=lambda _tokens: False), "a context of 41 tokens, and the policy's hold 40: it packs too late"),
    ],
)
def test_a_compressor_that_does_not_do_what_it_says_ends_in_a_sentence(policy, monkeypatch, made, reason):
    """Other latents than it says, numbers that are none, failures, and a context that grows beyond the policy's."""
    point = SimpleNamespace(value="here:odd", load=lambda: lambda _policy: made)
    monkeypatch.setattr(loading, "installed_compressors", lambda: {"odd": point})
    with pytest.raises(CompressionUnfitError, match=reason):
        act(policy, 50)


def act(policy, steps):
    """Act so many steps under the compressor."""
    observation, nothing = torch.zeros(2, 2, dtype=torch.int64), torch.zeros(2)
    decider = CompressedDecider(policy, [Compression(strategy("latents", by="odd"))], torch.arange(2), CPU)
    for _ in range(steps):
        decider.decide(observation)
        decider.append(observation, nothing.long(), nothing, observation, nothing.bool())


def test_memory_that_runs_out_in_a_package_is_not_called_its_failure(policy, monkeypatch):
    """The job ends with what would need less memory."""

    def spent():
        raise MemoryError

    point = SimpleNamespace(value="here:odd", load=lambda: lambda _policy: Made(gives=spent))
    monkeypatch.setattr(loading, "installed_compressors", lambda: {"odd": point})
    with pytest.raises(MemoryError):
        loading.made_compressor("odd", policy).compress(None, torch.zeros(2, 16, 32))
