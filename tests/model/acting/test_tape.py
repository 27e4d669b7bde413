"""The tape: it records in the same pass, checks what it recorded, and always takes itself off."""

from __future__ import annotations

import pytest
import torch

from attnscope_model.acting.tape import AttentionTape, RowRoom
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.attention import TapedAttention, attention_map, attention_row


@pytest.fixture
def policy(policies):
    """Return a policy, and check that no test leaves a tape on it."""
    yield policies["noncausal"]
    assert all(site.tape is None for site in policies["noncausal"].attentions())


@pytest.fixture
def tokens(policy):
    """Return a short context for two environments."""
    return torch.randn(2, 9, policy.description.width)


def test_rows_and_maps_have_the_stated_axes(policy, tokens):
    """Rows are [env, layer, head, slot], maps [env, layer, head, query, slot], and a row is its map's last query."""
    with AttentionTape(policy, maps=True) as tape:
        policy(tokens)
    assert tape.rows.shape == (2, 4, 4, 9)
    assert tape.maps.shape == (2, 4, 4, 9, 9)
    assert (tape.maps[..., -1, :] - tape.rows).abs().max() < 1e-6
    assert (tape.maps.sum(-1) - 1).abs().max() < 1e-5


def test_maps_are_none_unless_asked_for(policy, tokens):
    """Absent maps are None, never zeros."""
    with AttentionTape(policy) as tape:
        policy(tokens)
    assert tape.maps is None


def test_a_failing_forward_takes_the_tape_off(policy, tokens):
    """The forward's own error comes through, and the policy works untaped afterwards."""
    with pytest.raises(RuntimeError, match="size"), AttentionTape(policy) as tape:
        policy(tokens[..., :-1])
    with pytest.raises(CaptureInvalidError, match="nothing is recorded"):
        _ = tape.rows
    policy(tokens)


def test_two_tapes_at_once_are_refused(policy, tokens):
    """A second tape would steal the first one's records; the first goes on."""
    with AttentionTape(policy) as tape:
        with pytest.raises(RuntimeError, match="another tape"), AttentionTape(policy):
            pytest.fail("entered")
        policy(tokens)
    assert tape.rows.shape[1] == 4


@pytest.mark.parametrize("forwards", [0, 2])
def test_layers_that_do_not_record_once_are_refused(policy, tokens, forwards):
    """No forward, or two, under one tape is an invalid capture."""

    def record():
        with AttentionTape(policy):
            for _ in range(forwards):
                policy(tokens)

    with pytest.raises(CaptureInvalidError, match="one record of each of 4 layers"):
        record()


def test_a_layer_without_a_site_is_noticed(policy, tokens, monkeypatch):
    """If a fast path hides a layer from the tape, the count of the policy's description tells."""
    sites = policy.attentions()
    monkeypatch.setattr(policy, "attentions", lambda: sites[:-1])
    with pytest.raises(CaptureInvalidError, match="of 4 layers, got 3"), AttentionTape(policy):
        policy(tokens)


@pytest.mark.parametrize("spoiled", [float("nan"), 0.5])
def test_rows_that_do_not_sum_to_one_are_refused(policy, tokens, spoiled):
    """NaN and lost mass are refused alike."""
    tape = AttentionTape(policy)
    record = tape.record
    tape.record = lambda row, whole: record(row * spoiled, whole)
    with pytest.raises(CaptureInvalidError, match="sum to 1"), tape:
        policy(tokens)


@pytest.mark.parametrize("envs", [4, 5])
def test_a_room_takes_the_rows_of_several_forwards(policy, envs):
    """Rows and maps of contexts computed two at a time are those of all at once, and the room is used again."""
    room = RowRoom(envs, 4, 4, 12, torch.device("cpu"))
    for length in (9, 12):
        tokens = torch.randn(envs, length, policy.description.width)
        with AttentionTape(policy, maps=True) as alone:
            policy(tokens)
        with AttentionTape(policy, maps=True, places=room.places(length, 2)) as tape:
            for part in torch.split(tokens, 2):
                policy(part)
        assert (room.rows(length) - alone.rows).abs().max() < 1e-6
        assert (tape.maps - alone.maps).abs().max() < 1e-6


@pytest.mark.parametrize("forwards", [1, 3])
def test_a_room_that_is_not_filled_once_is_refused(policy, tokens, forwards):
    """Fewer forwards than the room has tiles, or more, are an invalid capture."""
    room = RowRoom(4, 4, 4, 9, torch.device("cpu"))

    def record():
        with AttentionTape(policy, places=room.places(9, 2)):
            for _ in range(forwards):
                policy(tokens)

    with pytest.raises(CaptureInvalidError, match=f"2 records of each of 4 layers, got {4 * forwards}"):
        record()


def test_a_row_that_does_not_fit_its_place_is_refused(policy, tokens):
    """One row is not spread over a whole tile."""
    room = RowRoom(2, 4, 4, 9, torch.device("cpu"))
    with (
        pytest.raises(CaptureInvalidError, match=r"row of \[2, 4, 1, 9\], got \[1, 4, 1, 9\]"),
        AttentionTape(policy, places=room.places(9, 2)),
    ):
        policy(tokens[:1])


@pytest.mark.parametrize("causal", [True, False])
def test_attention_beside_the_output_is_the_outputs_own(causal):
    """The explicit map times the values is what the fused kernel returns, and `decide` returns its last query."""
    attention = TapedAttention(causal=causal)
    queries, keys, values = torch.randn(3, 2, 4, 7, 8)
    whole = attention_map(queries, keys, causal=causal)
    assert torch.allclose(attention.attend(queries, keys, values), whole @ values, atol=1e-6)
    assert torch.allclose(attention.decide(queries[:, :, -1:], keys, values), (whole @ values)[:, :, -1:], atol=1e-6)
    assert torch.allclose(attention_row(queries[:, :, -1:], keys), whole[:, :, -1:], atol=1e-6)
