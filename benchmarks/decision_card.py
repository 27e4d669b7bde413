"""`python -m benchmarks.decision_card CHECKPOINT [--write] [--how WORDS]`: times the arm of a shipped card again.

A card is made where others may hold the processor. This times its arm on one thread and prints each phase with the
load. `--write` puts that into the shipped card, with the words that say how it was timed, and says the answer in the
present words; no number of the answer changes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

from attnscope.decisions import shipped
from attnscope_storage.wire.specifications.cards import CARD_SCHEMA, CardSpeed, DecisionCard

SHORT: Final = 0.02
"""Seconds of work after which there is a pause."""

CARDS: Final = Path(shipped.__file__).with_name(shipped.FOLDER)


@dataclass
class Pausing:
    """Sleeps between two pieces of work, so that a process of real-time priority is not held up within one."""

    _since: float = field(default_factory=time.perf_counter)

    def __call__(self) -> None:
        """Sleep for as long as was worked, where that is long enough to tell."""
        worked = time.perf_counter() - self._since
        if worked > SHORT:
            time.sleep(worked)
            self._since = time.perf_counter()


def timed(checkpoint: str) -> CardSpeed:
    """Return the speed of the arm that a shipped card chooses, on histories captured here."""
    import torch  # noqa: PLC0415 - after OMP_NUM_THREADS is set

    from attnscope_model.checkpoints.native import load_policy  # noqa: PLC0415 - as above
    from attnscope_model.checkpoints.registry import CheckpointRegistry  # noqa: PLC0415 - as above
    from attnscope_server.capturing.job import CaptureOrder, run_capture  # noqa: PLC0415 - as above
    from attnscope_server.capturing.resolving import resolve  # noqa: PLC0415 - as above
    from attnscope_server.deciding.phases.timing import DECISIONS, ENVS, Timer  # noqa: PLC0415 - as above
    from attnscope_storage.reading.reader import CaptureReader  # noqa: PLC0415 - as above
    from attnscope_storage.wire import CaptureSpec  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    card = shipped.shipped_card(checkpoint)
    if card.chosen is None:
        raise SystemExit(f"the card of {checkpoint} chooses no arm")
    with tempfile.TemporaryDirectory() as folder:
        registry = CheckpointRegistry(Path(folder) / "registry")
        registry.add_shipped()
        info = registry.get(checkpoint)
        policy = load_policy(registry.folder(info.id), torch.device("cpu"))
        steps = policy.description.transitions + DECISIONS
        spec = CaptureSpec.model_validate({"checkpoint": checkpoint, "replicas": ENVS, "steps": steps})
        path = Path(folder) / f"{uuid4()}.zarr"
        order = CaptureOrder("speeds", "bench", spec, resolve(spec, registry), path, durable=False)
        run_capture(order, policy, info, torch.device("cpu"))
        timer = Timer(policy, torch.device("cpu"), CaptureReader.open(path), steps, Pausing())
        return timer.speed(card.chosen)


def main() -> None:
    """Time, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision_card", description=__doc__)
    parser.add_argument("checkpoint", help="name of a checkpoint whose card is shipped")
    parser.add_argument("--write", action="store_true", help="put the speed into the shipped card")
    parser.add_argument("--how", default="", help="words on how it was timed, in place of the load")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    speed = timed(asked.checkpoint)
    for phase in speed.phases:
        cached = "" if phase.cached is None else f", cached {1000 * phase.cached:.2f}"
        print(
            f"{phase.phase}: {phase.ratio:.2f} ({phase.low:.2f} to {phase.high:.2f}); ms a decision of {speed.envs} "
            f"environments: arm {1000 * phase.seconds:.2f}, recomputed {1000 * phase.recomputed:.2f}{cached}"
        )
    print(f"load {speed.load} on {speed.cores} cores")
    if asked.how:
        from attnscope_server.deciding.phases.timing import speed_words  # noqa: PLC0415 - loads torch

        speed = speed.model_copy(update={"words": f"{speed_words(speed.phases)}; {asked.how}", "load": None})
    if asked.write:
        written(shipped.shipped_card(asked.checkpoint).model_copy(update={"speed": speed}))


def written(card: DecisionCard) -> None:
    """Put a card in the place of the shipped one of its checkpoint, its answer in the present words."""
    sentence, name = worded(card), f"{card.checkpoint_name}.json"
    lines = (*card.lines[:-1], sentence)
    whole = card.model_copy(update={"card_schema": CARD_SCHEMA, "sentence": sentence, "lines": lines})
    (CARDS / name).write_text(whole.model_dump_json(indent=1) + "\n", encoding="utf-8")
    digest = hashlib.sha256((CARDS / name).read_bytes()).hexdigest()
    kept = (CARDS / shipped.DIGESTS).read_text(encoding="utf-8").splitlines()
    others = [line for line in kept if not line.endswith(f"  {name}")]
    (CARDS / shipped.DIGESTS).write_text("\n".join([*others, f"{digest}  {name}"]) + "\n", encoding="utf-8")


def worded(card: DecisionCard) -> str:
    """Return the answer of a card that compresses, from its own numbers."""
    from attnscope_server.deciding.answer import Answer, AnswerKind, RungSummary  # noqa: PLC0415 - of the service

    names = ("arm", "tokens", "verdict", "low", "high", "tasks", "seeds")
    rungs = tuple(RungSummary(point=rung.kept, **{name: getattr(rung, name) for name in names}) for rung in card.rungs)
    chosen = None if card.chosen is None else [rung.arm for rung in card.rungs].index(card.chosen.name)
    kind = AnswerKind(card.answer)
    answer = Answer(kind=kind, margin=card.margin, scope=card.scope, rungs=rungs, chosen=chosen, attempt=card.attempt)
    return answer.sentence


if __name__ == "__main__":
    main()
