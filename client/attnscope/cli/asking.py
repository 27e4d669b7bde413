"""Options of the verbs that submit a job, whatever its kind."""

from __future__ import annotations

from typing import Annotated

import typer

Env = Annotated[str | None, typer.Option("--env", help="A listed environment; default the checkpoint's.")]
EnvKwarg = Annotated[list[str] | None, typer.Option("--env-kwarg", help="name=value; repeat for several.")]
Split = Annotated[str | None, typer.Option("--split", help="train, validation, test or all.")]
Tasks = Annotated[str | None, typer.Option("--tasks", help="Entries of the split's list: 7 or 0,2,5 or 0-7.")]
Goal = Annotated[
    list[str] | None, typer.Option("--goal", help="A goal cell 5,4, or key and door 1,2,7,8; repeat for several.")
]
Greedy = Annotated[
    bool | None,
    typer.Option("--greedy/--sample", help="The likeliest action, or a drawn one; default its family's."),
]
Temperature = Annotated[float, typer.Option("--temperature", help="Divides the logits when sampling.")]
Label = Annotated[str | None, typer.Option("--label", help="For people.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show progress until it ends.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; queue nothing.")]
