"""Every usual way to save one policy is read to equal logits, or refused with a sentence that says what to do."""

from __future__ import annotations

import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.choosing import Choice
from forwards.ways import BASE, WAYS

pytestmark = pytest.mark.usefixtures("parsed_here", "_outside_inference_mode")

CPU = torch.device("cpu")


def decided(registry, info):
    """Return the logits of a registered policy for a context of random tokens."""
    policy = load_policy(registry.folder(info.id), CPU)
    random = torch.Generator().manual_seed(3)
    tokens = torch.randn(2, 24, policy.description.width, generator=random)
    with torch.inference_mode():
        return policy(tokens)


@pytest.fixture
def other(tmp_path):
    """Return a second registry, for what a file is compared with."""
    return CheckpointRegistry(tmp_path / "others")


@pytest.fixture
def written(tmp_path):
    """Return a function that saves a way's file."""

    def write(way):
        path = tmp_path / way.name
        way.write(way.content, path)
        return path

    return write


@pytest.mark.parametrize("name", WAYS)
def test_a_way_of_saving_is_read_or_refused_with_what_to_do(empty, written, other, tmp_path, name):
    """A file that is read decides as the plain one; a refusal names the remedy, and the remedy works."""
    way = WAYS[name]
    path = written(way)
    if way.refused is not None:
        with pytest.raises(CheckpointUnreadableError, match=way.refused) as caught:
            empty.add(path, causal=True, **way.add)
        assert "; " in caught.value.message
        assert empty.list() == []
        print(f"\n{name}: refused: {caught.value.message}")  # noqa: T201 - a line of the table, shown by -s
        if not way.choose:
            return
    choice = Choice(**way.choose) if way.choose else None
    info = empty.add(path, causal=True, choice=choice, **way.add)
    plain = {name: tensor.float() for name, tensor in way.state.items()}
    torch.save({**BASE, "model": plain}, tmp_path / "the-plain-one.pt")
    expected = other.add(tmp_path / "the-plain-one.pt", causal=True)
    assert info.id == expected.id
    assert torch.equal(decided(empty, info), decided(other, expected))
    how = f"refused, then read with {dict(way.choose)}" if way.choose else "read"
    print(f"\n{name}: {'; '.join((how, *info.notes[1:]))}")  # noqa: T201 - as above
