"""The faults of the script that this replaces, one test each: we don't have them."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import measures as m


def test_entropy_is_averaged_not_summed_over_queries():
    """A map's entropy is a number a query; averaging over more queries of the same spread does not change it."""
    for queries in (5, 50):
        maps = np.full((1, 1, 1, queries, 4), 0.25)
        rows = np.moveaxis(maps, -2, -4)
        entropy = m.entropy(rows, np.full((1, queries), 4))
        assert entropy.shape == (1, queries, 1, 1)
        assert entropy.mean() == pytest.approx(np.log(4))


def test_thresholds_know_the_context_length():
    """2.0 nats are seven tokens: nearly everything of 8, hardly anything of 240. Only the normalised measure tells."""
    spread = np.exp(2.0)
    for slots, verdict in ((8, "broad"), (240, "focused")):
        rows = np.full((1, 1, 1, 1, slots), 0.0)
        rows[..., :7] = 1 / 7
        length = np.array([[slots]])
        assert m.effective_positions(rows, length).item() == pytest.approx(spread, rel=0.06)
        share = m.positions_for_mass(rows, length, (0.9,)).item() / slots
        assert (share > 0.5) == (verdict == "broad")
        assert (m.normalised_entropy(rows, length).item() > 0.9) == (verdict == "broad")


def test_heads_are_averaged_last():
    """Eight heads that each look at one other token are sparse; averaging them first would call them flat."""
    rows = np.eye(8)[None, None, None]
    length = np.array([[8]])
    assert m.normalised_entropy(rows, length).mean() == pytest.approx(0)
    assert m.normalised_entropy(rows.mean(axis=3, keepdims=True), length).mean() == pytest.approx(1)
    assert m.cost_curve(rows, length, (0.15,)).own.mean() == pytest.approx(1)
    assert m.cost_curve(rows, length, (0.15,)).shared.mean() == pytest.approx(2 / 8)


def test_every_measure_has_a_uniform_baseline():
    """The baseline of a measure is the measure itself of uniform rows: at every context length its lift is then 1."""
    length = np.array([[3, 8], [5, 1]])
    rows = np.broadcast_to(m.uniform_rows(length, 8), (2, 2, 2, 3, 8))
    measures = {
        "entropy": m.entropy,
        "sink": m.sink_mass,
        "self": m.self_mass,
        "recency": m.recency_mass,
        "positions": m.positions_for_mass,
        "participation": m.inverse_participation,
    }
    for name, measure in measures.items():
        value = measure(rows, length)
        lift = m.lift(value, m.over_uniform(measure, length, 8))
        assert lift[np.isfinite(lift)] == pytest.approx(1), name
