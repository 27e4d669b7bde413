"""Verbs that list what a service offers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from attnscope.cli.address import connect
from attnscope.cli.app import Json, app, out, say
from attnscope.cli.completion import checkpoint_names, strategy_names
from attnscope.cli.records import show_table
from attnscope.errors import RequestRefusedError
from attnscope_storage.wire import FitInfo, ParameterInfo, StrategyInfo


@app.command()
def checkpoints(as_json: Json = False) -> None:
    """List the service's checkpoints."""
    with connect() as service:
        found = service.checkpoints()
    if as_json:
        say([info.model_dump(mode="json") for info in found])
        return
    rows = []
    for info in found:
        mask = f"{'causal' if info.policy.causal else 'non-causal'} (stated by {info.causal_stated_by})"
        tasks = "unknown" if info.train_tasks is None else str(len(info.train_tasks))
        stated = ", ".join(f"{name} {answer}" for name, answer in info.stated.items() if name != "causal") or "nothing"
        rows.append((info.id[:12], info.name, info.policy.family, mask, stated, str(info.policy.context_length), tasks))
    show_table(("id", "name", "family", "mask", "also stated", "context", "train tasks"), rows)


@app.command()
def environments(as_json: Json = False) -> None:
    """List the service's environments, presets and splits."""
    with connect() as service:
        found = service.environments()
    if as_json:
        say([info.model_dump(mode="json") for info in found])
        return
    for info in found:
        out.print(f"{escape(info.id)}  {escape(info.description)}")
        for preset in info.presets:
            counts = preset.task_counts or {name: len(tasks) for name, tasks in preset.splits.items()}
            splits = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
            out.print(f"  {escape(preset.name)}: horizon {preset.horizon}, tasks {splits}")


@app.command()
def strategies(
    name: Annotated[
        str | None,
        typer.Argument(help="One of them: its parameters, and where it fits.", autocompletion=strategy_names),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Say where each fits this checkpoint's policy.", autocompletion=checkpoint_names)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the service's strategies, or say all about one."""
    with connect() as service:
        found = service.strategies(checkpoint)
    if name is not None:
        named = [info for info in found if info.name == name]
        if not named:
            raise RequestRefusedError(f"there is no strategy {name!r}; there are {', '.join(i.name for i in found)}")
        found = named
    if as_json:
        say([info.model_dump(mode="json") for info in found])
    elif name is not None:
        _show(found[0])
    else:
        parameters = [
            ", ".join(f"{parameter.name}={_default(parameter)}" for parameter in info.parameters) for info in found
        ]
        rows = [(info.name, needs, info.summary) for info, needs in zip(found, parameters, strict=True)]
        show_table(("name", "parameters", "what it keeps"), rows)


def _show(info: StrategyInfo) -> None:
    """Print all about one strategy."""
    lines = [f"{info.name}: {info.summary}", *map(_parameter, info.parameters)]
    lines.append(f"looks at: {', '.join(info.uses) or 'places alone'}")
    lines += ["builds tokens of several transitions"] if info.pools else []
    lines += [f"attention costs {info.attention}"] if info.attention is not None else []
    lines += [f"an oracle: {info.oracle}"] if info.oracle is not None else []
    for title, fits in (
        ("positions", info.positions),
        ("memory", info.memories),
        ("path", info.paths),
        ("observations", info.observations),
    ):
        lines.append(f"{title}: {'; '.join(map(_fit, fits))}")
    lines += [f"of the package {info.package}"] if info.package != "attnscope" else []
    for line in lines:
        out.print(escape(line))


def _parameter(parameter: ParameterInfo) -> str:
    ends = (
        []
        if parameter.minimum is None
        else [f"{'above' if parameter.exclusive_minimum else 'from'} {parameter.minimum:g}"]
    )
    ends += [] if parameter.maximum is None else [f"to {parameter.maximum:g}"]
    kind = " ".join([f"{'odd ' if parameter.odd else ''}{parameter.type}", *ends])
    return f"  {parameter.name}: {kind}, default {_default(parameter)}. {parameter.meaning}"


def _default(parameter: ParameterInfo) -> str:
    return str(parameter.default.get("name")) if isinstance(parameter.default, dict) else str(parameter.default)


def _fit(fit: FitInfo) -> str:
    return f"{'' if fit.fits else 'not '}{fit.name}{f' ({fit.why})' if fit.why else ''}"
