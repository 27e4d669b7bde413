"""Options of the verbs that submit a job: the fields of its specification, and those that all such verbs share."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Final

import typer

from attnscope.cli.arms import arms, recipes
from attnscope.cli.completion import checkpoint_names, strategy_names
from attnscope.cli.options import Spelling
from attnscope.cli.parsing import budgets, goals, integers, pairs, strategies
from attnscope_storage.wire import DeviceKind

SEVERAL: Final = "Repeat for several."
NUMBERS: Final = "Typed 7 or 0,2,5 or 0-7."


def _numbers(flags: str = "") -> Spelling:
    """Return the spelling of whole numbers."""
    return Spelling(flags, str, integers, NUMBERS)


SPELLINGS: Final = MappingProxyType(
    {
        "checkpoint": Spelling(complete=checkpoint_names),
        "environment.id": Spelling("--env"),
        "environment.kwargs": Spelling(
            "--env-kwarg", list[str], lambda texts, _: pairs(texts), f"Typed name=value. {SEVERAL}"
        ),
        "tasks.split": Spelling("--split"),
        "tasks.indices": _numbers("--tasks"),
        "tasks.goals": Spelling("--goal", list[str], lambda texts, _: goals(texts), f"Typed 5,4 or 1,2,7,8. {SEVERAL}"),
        "seeds": _numbers(),
        "sampling.mode": Spelling("--greedy/--sample", bool, lambda greedy, _: "greedy" if greedy else "sample"),
        "sampling.temperature": Spelling("--temperature"),
        "rows.enabled": Spelling("--rows/--no-rows"),
        "rows.form": Spelling("--row-form"),
        "rows.envs": _numbers("--row-envs"),
        "rows.exact": _numbers("--exact-envs"),
        "rows.curve": Spelling("--curve/--no-curve"),
        "rows.layers": _numbers("--layers"),
        "rows.heads": _numbers("--heads"),
        "maps.count": Spelling("--maps"),
        "maps.steps": _numbers("--map-steps"),
        "strategies": Spelling(
            "--strategy",
            list[str],
            lambda texts, _: strategies(texts),
            f'Typed recency, sinks:sinks=8 or {{"name": "sinks", "sinks": 8}}. {SEVERAL}',
            strategy_names,
        ),
        "budgets": Spelling("--budget", list[str], lambda texts, _: budgets(texts), "Several by comma, or repeated."),
        "arms": Spelling(
            "--arm",
            list[str],
            lambda texts, _: arms(texts),
            f"Typed CKPT, CKPT:RULE or CKPT:RULE:BUDGET, or as JSON. {SEVERAL}",
            checkpoint_names,
        ),
        "recipes": Spelling(
            "--recipe",
            list[str],
            lambda texts, _: recipes(texts),
            f"Typed NAME=CKPT,CKPT,… or NAME=like:CKPT, "
            f"which finds its training seeds by the plans that entries say. {SEVERAL}",
        ),
        "positions": Spelling("", list[str], lambda texts, _: tuple(texts), SEVERAL),
        "memories": Spelling("--memory", list[str], lambda texts, _: tuple(texts), SEVERAL),
        "intervals": Spelling(
            "--every",
            list[str],
            lambda texts, _: tuple(int(text) if text.isdecimal() else text for text in texts),
            f"A number or full. {SEVERAL}",
        ),
        "interval": Spelling("", str, lambda text, _: int(text) if text.isdecimal() else text),
        "speed.enabled": Spelling("--speed/--no-speed"),
        "speed.envs": _numbers(),
    }
)
"""Fields whose option is not their path, or whose value needs a way of typing it."""

Wait = Annotated[bool, typer.Option("--wait", help="Show progress until it ends.")]
OnKind = Annotated[
    DeviceKind | None, typer.Option("--device-kind", help="Kind of device that the job waits for; else any.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; queue nothing.")]
