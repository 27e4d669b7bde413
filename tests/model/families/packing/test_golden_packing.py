"""Policies that pack their older history, past several compressions, against the originals' own rollouts."""

from __future__ import annotations

import numpy as np
import torch

from attnscope_model.acting.packing import OnceHistory, PackingDecider
from attnscope_model.acting.remembering import deciding
from attnscope_model.acting.tape import AttentionTape

CPU = torch.device("cpu")


def near(now, then, allowed):
    """Return whether arrays agree within what is allowed."""
    return np.abs(np.asarray(now, np.float64) - np.asarray(then, np.float64)).max() <= allowed


def test_a_greedy_rollout_is_that_of_the_original(subject):
    """Logits, actions, tokens and decision rows at every step, and latents and attention of the first compressions."""
    golden, allowed = subject.golden, subject.allowed
    decider = deciding(subject.policy, 2, CPU)
    assert isinstance(decider, PackingDecider)
    taken, rows = [], dict(zip(golden["row_step"], golden["rows"], strict=True))
    original = decider.window._compressor.compress

    def compress(held, tokens):
        taken.append((decider.window.seen - 1, (0 if held is None else held.shape[1]) + tokens.shape[1]))
        packed = original(held, tokens)
        if (place := len(taken) - 1) < len(golden["latents"]):
            feeds_back = subject.info.policy.family == "rad-dark-rad"
            latents = packed.latents - subject.policy.latent_type if feeds_back else packed.latents
            assert near(latents, golden["latents"][place], allowed)
            cross = golden["compression_cross"][place][..., : packed.cross.shape[-1]]
            assert near(packed.cross[0], cross, allowed)
            assert near(packed.among[0].mean(dim=1), golden["compression_self_mean"][place], allowed)
        return packed

    decider.window._compressor.compress = compress
    for step, observation in enumerate(golden["observation"]):
        assert decider.window.length == golden["tokens"][step]
        assert decider.window.summaries == golden["latent_tokens"][step]
        decision = decider.decide(observation, rows=True)
        assert near(decision.logits, golden["logits"][step], allowed)
        assert np.array_equal(decision.logits.argmax(dim=-1), golden["action"][step])
        if step in rows:
            tokens = golden["tokens"][step]
            assert near(decision.rows[0], rows[step][..., :tokens], allowed)
        decider.append(
            observation,
            golden["action"][step],
            golden["reward"][step],
            golden["next_observation"][step],
            golden["done"][step],
        )
    assert [step for step, _ in taken] == golden["compression_step"].tolist()
    assert [tokens for _, tokens in taken] == golden["compression_input_tokens"].tolist()
    assert len(taken) >= 10
    assert decider.window.generation == len(taken)


def test_whole_maps_are_those_of_the_original(subject):
    """Every token's attention without latents, of the lone query with latents in front, and amid a generation."""
    policy, golden, allowed = subject.policy, subject.golden, subject.allowed
    transitions = [golden[f"context_{part}"] for part in ("state", "action", "reward")]
    transitions.append(golden.get("context_next_state", golden["context_state"]))  # rad's tokens do not hold it
    tokens = policy.embed_transition(*map(torch.from_numpy, transitions))
    first, second = (int(step) + 1 for step in golden["compression_step"][:2])
    compressor = policy.compressor
    once = compressor.compress(None, tokens[:first].flatten(0, 1)[None]).latents
    twice = compressor.embed(compressor.compress(once, tokens[first:second].flatten(0, 1)[None]).latents)
    query = policy.embed_query(torch.from_numpy(golden["query_state"][None]))
    kinds = [key.removeprefix("attention_") for key in golden if key.startswith("attention_")]
    assert len(kinds) == 3
    for kind in kinds:
        which, count = kind.split("_")
        start, latents = (second, [twice]) if which == "latent" else (0, [])
        context = torch.cat([*latents, tokens[start : start + int(count)].flatten(0, 1)[None], query], dim=1)
        with AttentionTape(policy, maps=True) as tape:
            logits = policy(context, compressor.latents if latents else 0)
        assert near(logits[0], golden[f"logits_{kind}"], allowed)
        assert near(tape.maps[0], golden[f"attention_{kind}"], allowed)
        assert torch.equal(tape.maps[0][:, :, -1], tape.rows[0]) or near(tape.maps[0][:, :, -1], tape.rows[0], 1e-6)


def test_everything_older_is_packed_at_once_as_in_training(packing):
    """CAD's training forward over 29, 30 and 65 transitions; beyond its positions it is refused."""
    cad = packing["cad"]
    golden, policy = cad.golden, cad.policy
    parts = (golden[f"context_{part}"] for part in ("state", "action", "reward", "next_state"))
    tokens = policy.embed_transition(*map(torch.from_numpy, parts))
    query = policy.embed_query(torch.from_numpy(golden["query_state"][None]))
    history, checked = OnceHistory(policy.compressor, 1, policy.description.packed_at), 0
    for count, transition in enumerate(tokens[:65], start=1):
        compression = history.append(transition[None])
        assert (compression is None) == (count <= 29)
        if (name := f"logits_training_{count}") in golden:
            assert near(policy(history.tokens(query), history.summaries)[0], golden[name], cad.allowed)
            checked += 1
    assert checked == 3
    assert (history.length, history.summaries, history.start) == (30, 7, 65 - 22)


def test_what_a_file_says_stands_in_its_description(packing):
    """Latents, context, tokens and environment; nothing had to be stated, and training's decoder is left out."""
    cad, rad = (packing[name].info for name in ("cad", "rad"))
    assert (cad.policy.context_length, cad.policy.latents, cad.policy.window) == (30, 7, "compressed")
    assert (rad.policy.context_length, rad.policy.latents, rad.policy.transitions) == (40, 8, 13)
    assert cad.preset == rad.preset == "darkroom-reference"
    assert cad.stated == rad.stated == {}
    assert not any("reconstruction" in name for name, _ in packing["cad"].policy.named_parameters())
