"""The card of a decision: its answer as it is cited, the lines for a loop of one's own, the command for it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np

from attnscope_server.deciding.answer import Answer, RungSummary
from attnscope_server.deciding.phases.record import Record
from attnscope_server.deciding.state import DecisionState, LookSummary
from attnscope_storage.wire import CheckpointInfo, PolicyDescription, TaskChoice
from attnscope_storage.wire.decisions import (
    CardArm,
    CardRung,
    DecisionCard,
    DecisionDocument,
    DecisionSpec,
    ResolvedDecision,
)
from attnscope_storage.wire.looks import CardLook

LEFT_OUT = (
    "speed and memory are not measured: a trial of the chosen arm does",
    "rules without a count, and those that leave transitions out one after the other, are not tried",
    "every arm selects from the stored window (stateless); kept keys and values are not tried",
    "earlier decisions on the same checkpoint and tasks are not pooled or counted here",
)
"""The parts of the procedure that every decision of this version leaves out."""


def document_of(
    record: Record, job: str, spec: DecisionSpec, resolved: ResolvedDecision, checkpoint: CheckpointInfo
) -> DecisionDocument:
    """Return what one request leaves behind."""
    state: dict[str, Any] = json.loads(record.model_dump_json())
    return DecisionDocument(state=state, card=_card(record, job, spec, resolved, checkpoint))


def _card(
    record: Record, job: str, spec: DecisionSpec, resolved: ResolvedDecision, checkpoint: CheckpointInfo
) -> DecisionCard:
    driver, answer = record.driver, record.driver.answer
    arms = tuple(_raced(arm, driver) for arm in record.arms)
    chosen = _chosen(answer, arms)
    gate = next((line.removeprefix("gate: ") for line in driver.lines if line.startswith("gate: ")), None)
    return DecisionCard(
        job=job,
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
        first_episode=record.first_episode,
        rollouts=driver.rollouts,
        random_rollouts=record.random_rollouts,
        lines=driver.lines,
        paste=None if chosen is None else paste(chosen, checkpoint.policy),
        command=command(spec, resolved),
        notes=(*driver.plan.scope.notes, *record.notes),
        left_out=LEFT_OUT,
    )


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
    told = look.model_dump()
    return CardLook(kept=told.pop("point"), **told)


def _quick_sentence(record: Record) -> str | None:
    """Say what a quick decision found; nothing is called safe by it."""
    if not (record.quick and record.arms):
        return None
    if record.driver.screen_ranks is False:
        return "Screened only: too few rollouts earn for the screen to rank rules. Decide without --quick."
    least = [
        min((arm for arm in record.arms if arm.budget == budget), key=lambda arm: arm.departure or 0.0)
        for budget in dict.fromkeys(arm.budget for arm in record.arms)
    ]
    found = "; ".join(f"{arm.name} departs {arm.departures_per_episode:.2f} times an episode" for arm in least)
    return f"Screened only, the cost is not known: {found}. Decide without --quick to know whether any of them holds."


def paste(arm: CardArm, policy: PolicyDescription) -> str:
    """Return Python lines that put an arm into a loop of one's own."""
    parameters = "".join(f", {name}={value!r}" for name, value in arm.parameters.items())
    options = [f"budget={arm.budget}"]
    if arm.interval != 1:
        options.append(f"interval={arm.interval}")
    if policy.query_slot != "last":
        options.append(f'query_slot="{policy.query_slot}"')
    if policy.tokens_per_transition != 1:
        options.append(f"tokens_per_transition={policy.tokens_per_transition}")
    stand = {
        "keep": "give each kept token the position of the slot that it had (compressor.transition tells which)",
        "reindex": "give the kept tokens the positions from 0 on, and the query the next one",
        "right_align": "give the query the last position, and the kept tokens those just before it",
    }[arm.positions]
    return "\n".join(
        (
            "from attnscope_model.strategies import ContextCompressor, strategy",
            f'compressor = ContextCompressor(strategy("{arm.strategy}"{parameters}), {", ".join(options)})',
            "# once a step, before positions are added:",
            "tokens = compressor.compress_context(tokens, attention_weights)",
            f"# positions {arm.positions}: {stand}",
        )
    )


def command(spec: DecisionSpec, resolved: ResolvedDecision) -> str:
    """Return the command that asks for the same decision."""
    return shlex.join(["attnscope", "decide", resolved.checkpoint_id[:12], *_place(spec), *_options(spec)])


def _place(spec: DecisionSpec) -> Iterator[str]:
    """Yield the options of environment, tasks and sampling that were said."""
    environment, choice, sampling = spec.environment, spec.tasks, spec.sampling
    if environment is not None:
        yield from () if environment.id is None else ("--env", environment.id)
        for name, value in environment.kwargs.items():
            yield from ("--env-kwarg", f"{name}={json.dumps(value)}")
    yield from _tasks(choice, "--")
    if spec.screening is not None:
        yield from _tasks(spec.screening, "--screening-")
    if sampling.mode is not None:
        yield "--greedy" if sampling.mode == "greedy" else "--sample"
    if sampling.temperature != 1:
        yield from ("--temperature", str(sampling.temperature))


def _tasks(choice: TaskChoice, begins: str) -> Iterator[str]:
    yield from () if choice.split is None else (f"{begins}split", choice.split)
    yield from () if choice.indices is None else (f"{begins}tasks", ",".join(map(str, choice.indices)))
    for goal in choice.goals or ():
        yield from (f"{begins}goal", ",".join(map(str, goal)))


def _options(spec: DecisionSpec) -> Iterator[str]:
    """Yield the options of the procedure that differ from their defaults."""
    told = spec.model_dump(mode="json", exclude_defaults=True)
    for name in ("margin", "worth", "episodes", "most_rollouts", "screened"):
        if name in told:
            yield from (f"--{name.replace('_', '-')}", str(told[name]))
    if "seeds" in told:
        yield from ("--seeds", str(spec.seeds[0]))
    for name, flag in (("budgets", "--budget"), ("positions", "--positions")):
        for value in told.get(name) or ():
            yield from (flag, str(value))
    yield from (f"--{name}" for name in ("extendable", "beyond", "quick") if told.get(name))
