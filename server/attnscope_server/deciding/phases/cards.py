"""The card of a decision: its answer as it is cited, with all that it rests on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from attnscope_server.attempts.order import Order
from attnscope_server.deciding.answer import Answer, RungSummary
from attnscope_server.deciding.phases.pasting import command, paste
from attnscope_server.deciding.phases.record import Record
from attnscope_server.deciding.phases.timing import memory_of
from attnscope_server.deciding.state import DecisionState, LookSummary
from attnscope_server.deciding.statistics.looks import Verdict
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.specifications.cards import CardArm, CardLook, CardRefused, CardRung, DecisionCard
from attnscope_storage.wire.specifications.decisions import DecisionDocument, DecisionSpec, ResolvedDecision

LEFT_OUT: Final = (
    "rules that leave transitions out one after the other are not tried: they save no time",
    "earlier decisions on the same checkpoint are counted and listed, and their rollouts are not pooled",
)
"""The parts of the procedure that every decision of this version leaves out."""

STATELESS: Final = "every arm selects from the stored window: stateful contexts were not asked for"


def document_of(
    record: Record,
    order: Order[DecisionSpec, ResolvedDecision],
    checkpoint: CheckpointInfo,
    children: Mapping[str, str],
) -> DecisionDocument:
    """Return what one request leaves behind.

    Parameters
    ----------
    children
        Ids of the stores that the decision owns by now, by name.
    """
    state: dict[str, Any] = json.loads(record.model_dump_json(exclude={"loop"}))
    return DecisionDocument(state=state, card=_card(record, order, checkpoint, children), loop=record.loop)


def _card(
    record: Record,
    order: Order[DecisionSpec, ResolvedDecision],
    checkpoint: CheckpointInfo,
    children: Mapping[str, str],
) -> DecisionCard:
    driver, answer, spec, resolved = record.driver, record.driver.answer, order.spec, order.resolved
    arms = tuple(_raced(arm, driver) for arm in record.arms)
    chosen = _chosen(answer, arms)
    gate = next((line.removeprefix("gate: ") for line in driver.lines if line.startswith("gate: ")), None)
    return DecisionCard(
        job=order.job,
        checkpoint_id=resolved.checkpoint_id,
        checkpoint_name=resolved.checkpoint_name,
        environment_id=resolved.environment_id,
        environment_kwargs=dict(resolved.environment_kwargs),
        answer=None if answer is None else answer.kind.value,
        sentence=answer.sentence if answer is not None else _quick_sentence(record),
        gate=gate,
        margin=spec.margin,
        worth=spec.worth,
        scope=resolved.scope_words if answer is None else answer.scope,
        chosen=chosen,
        rungs=tuple(map(_rung, () if answer is None else answer.rungs)),
        looks=tuple(map(_look, driver.looks)),
        ladder=driver.ladder,
        arms=arms,
        refused=tuple(_refused(record, chosen)) if answer is not None else (),
        first_episode=record.first_episode,
        rollouts=driver.rollouts,
        random_rollouts=record.random_rollouts,
        speed=record.speed,
        memory=None if chosen is None else memory_of(chosen, checkpoint.policy, resolved.steps),
        first_seed=spec.seeds[0],
        attempt=1 + len(record.earlier),
        earlier=record.earlier,
        capture=None if spec.capture is None else str(spec.capture),
        children=dict(children),
        lines=driver.lines,
        paste=None if chosen is None else paste(chosen, checkpoint.policy),
        command=command(spec, resolved),
        notes=(*driver.plan.scope.notes, *_trained_notes(checkpoint), *record.notes),
        left_out=LEFT_OUT if "stateful" in spec.memories else (*LEFT_OUT, STATELESS),
    )


def _trained_notes(checkpoint: CheckpointInfo) -> tuple[str, ...]:
    """Return a note where the uncompressed policy acts on contexts that it was not trained on."""
    if checkpoint.trained_under is None:
        return ()
    text = checkpoint.trained_under.text
    return (f"it was trained under {text}, and uncompressed, which shares are of, it acts on contexts unlike these",)


def _raced(arm: CardArm, driver: DecisionState) -> CardArm:
    raced = driver.raced.get(arm.name)
    return arm if raced is None else arm.model_copy(update={"raced_return": float(np.mean(raced))})


def _chosen(answer: Answer | None, arms: tuple[CardArm, ...]) -> CardArm | None:
    if answer is None or answer.chosen is None:
        return None
    name = answer.rungs[answer.chosen].arm
    return next(arm for arm in arms if arm.name == name)


def _rung(rung: RungSummary) -> CardRung:
    return CardRung(
        arm=rung.arm,
        tokens=rung.tokens,
        verdict=rung.verdict,
        kept=rung.point,
        low=rung.low,
        high=rung.high,
        tasks=rung.tasks,
        seeds=rung.seeds,
        words=rung.kept_words,
    )


def _look(look: LookSummary) -> CardLook:
    fields = look.model_dump()
    return CardLook(kept=fields.pop("point"), **fields)


def _refused(record: Record, chosen: CardArm | None) -> Iterator[CardRefused]:
    """Yield the arms that were tried and are not the answer, each with its reason."""
    driver = record.driver
    judged = {rung.arm: rung for rung in driver.summaries}
    rungs, winners = {arm.name for arm in driver.rungs}, set(driver.winners.values())
    for arm in record.arms:
        if chosen is not None and arm.name == chosen.name:
            continue
        if arm.name in judged:
            rung = judged[arm.name]
            holds = chosen is not None and rung.verdict == Verdict.SAFE.value
            reason = "holds too, and keeps more" if holds else f"judged: {rung.verdict}, {rung.kept_words}"
            yield CardRefused(arm=arm.name, reason=reason)
        elif arm.name in rungs:
            yield CardRefused(arm=arm.name, reason="a rung that was not reached")
        elif arm.name in winners:
            yield CardRefused(arm=arm.name, reason="an arm with no more tokens beat it clearly in the race")
        elif arm.name in driver.raced:
            pairs = len(driver.raced[arm.name])
            yield CardRefused(arm=arm.name, reason=f"left the race of budget {arm.group} after {pairs} rollouts")
        else:
            yield CardRefused(arm=arm.name, reason="not raced: larger budgets had lost clearly")


def _quick_sentence(record: Record) -> str | None:
    """Say what a quick decision found; nothing is called safe by it."""
    if not (record.quick and record.arms):
        return None
    if record.driver.screen_ranks is False:
        return "Screened only: too few rollouts earn for the screen to rank rules. Decide without --quick."
    least = [
        min((arm for arm in record.arms if arm.group == group), key=lambda arm: arm.departure or 0.0)
        for group in dict.fromkeys(arm.group for arm in record.arms)
    ]
    found = "; ".join(f"{arm.name} departs {arm.departures_per_episode:.2f} times an episode" for arm in least)
    return f"Screened only, the cost is not known: {found}. Decide without --quick to know whether any of them holds."
