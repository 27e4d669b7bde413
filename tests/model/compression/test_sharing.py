"""Forwards that compressions share: which contexts are padded together, and that it changes no decision."""

from __future__ import annotations

import pytest
import torch

from attnscope_model.compression import sharing
from attnscope_model.compression.forward import Piece, contexts_at_once, tiled
from attnscope_model.compression.sharing import decide, pads


def pieces_of(policy, shapes, **options):
    """Return pieces of random contexts of these (envs, tokens)."""
    torch.manual_seed(0)
    width = policy.description.width
    return [Piece(None, torch.randn(envs, tokens, width), **options) for envs, tokens in shapes]


@pytest.fixture
def forwards(monkeypatch):
    """Return the list of the forwards' shapes (contexts, tokens, padded)."""
    found = []

    def watched(policy, piece, **options):
        found.append((*piece.tokens.shape[:2], piece.lengths is not None))
        return tiled(policy, piece, **options)

    monkeypatch.setattr(sharing, "tiled", watched)
    return found


SHAPES = [(2, 22), (1, 19), (3, 22), (2, 10), (1, 18), (40, 20), (1, 1)]


@pytest.mark.parametrize("family", ["reference-causal", "dicp-ad", "rad", "cinemere-post", "ad-absolute", "ad-rotary"])
def test_contexts_that_share_decide_as_alone(families, forwards, family):
    """Few contexts of nearly equal length are padded together; every logit is that of the context alone, to 1e-5."""
    policy = families[family]
    pieces = pieces_of(policy, SHAPES)
    found = decide(policy, pieces)
    assert sorted(forwards) == [(1, 1, False), (2, 10, False), (7, 22, True), (40, 20, False)]
    for piece, decision in zip(pieces, found, strict=True):
        assert (decision.logits - policy(piece.tokens)).abs().max() < 1e-5


@pytest.mark.parametrize("family", ["reference", "dicp-dpt", "dpt"])
def test_where_padding_would_be_seen_there_is_none(families, forwards, family):
    """A policy that is not causal, or whose query stands first, computes each length by itself."""
    assert not pads(families[family])
    pieces = pieces_of(families[family], SHAPES)
    found = decide(families[family], pieces)
    assert not any(padded for *_, padded in forwards)
    for piece, decision in zip(pieces, found, strict=True):
        assert (decision.logits - families[family](piece.tokens)).abs().max() < 1e-5


def test_rows_are_recorded_of_equal_lengths_alone(families, forwards):
    """A row belongs to its own context: with rows asked for nothing is padded."""
    found = decide(families["ad-rotary"], pieces_of(families["ad-rotary"], SHAPES), rows=True)
    assert not any(padded for *_, padded in forwards)
    assert [decision.rows.shape[-1] for decision in found] == [tokens for _, tokens in SHAPES]


def test_contexts_elsewhere_are_not_padded(families, forwards):
    """Contexts with slots of their own share a forward only with others of their length."""
    decide(families["ad-rotary"], pieces_of(families["ad-rotary"], [(2, 20), (2, 19)], slots=3))
    assert forwards == [(2, 20, False), (2, 19, False)]


def test_short_contexts_are_computed_more_at_a_time():
    """Eight of the reference's length a thread, sixteen of half of it or less."""
    assert [contexts_at_once(tokens) for tokens in (1, 80, 100, 160, 600)] == [16, 16, 12, 8, 8]
