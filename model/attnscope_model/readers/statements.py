"""Facts that a checkpoint's file does not hold: stated by its user, or refused with the hint. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from attnscope_model.errors import CausalityUnknownError, CheckpointUnreadableError, StatementMissingError
from attnscope_model.readers.base import QUESTIONS, Answer, CheckpointReader, ParsedFile
from attnscope_model.readers.presets import unheard_of

Origin = Literal["file", "family", "user"]
"""The source of an answer."""


@dataclass(frozen=True)
class Settled:
    """Every answer that a policy needs, and who gave it."""

    answers: Mapping[str, Any]
    origins: Mapping[str, Origin]

    @property
    def by_user(self) -> dict[str, Answer]:
        """Return what the user alone stands for."""
        return {name: answer for name, answer in self.answers.items() if self.origins[name] == "user"}


def known(reader: CheckpointReader, file: ParsedFile) -> Settled:
    """Return what file and family say; questions that only a user can answer are left out."""
    says = {name: answer for name, answer in reader.says(file).items() if name in reader.questions}
    answers = {**reader.defaults, **says, **reader.facts}
    return Settled(
        answers, {name: "file" if says.get(name) == answer else "family" for name, answer in answers.items()}
    )


def settle(
    reader: CheckpointReader, file: ParsedFile, stated: Mapping[str, Answer | None], source_name: str
) -> Settled:
    """Return every answer, from file, family and user.

    Raises
    ------
    StatementMissingError
        A question that neither file, family nor user answers; `CausalityUnknownError` where it is the mask.
    CheckpointUnreadableError
        The user contradicts the file or the family, or answers what the family does not ask; or the file's
        configuration answers a question by its name here, and otherwise.
    """
    of_file = known(reader, file)
    answers, origins = dict(of_file.answers), dict(of_file.origins)
    if stated.get("preset") is None and (unheard := unheard_of(file.config, reader.environments)) is not None:
        raise CheckpointUnreadableError(
            f"{source_name}: {unheard}; where it acts in the room of a preset, state that: {QUESTIONS['preset']}"
        )
    for name, answer in stated.items():
        if answer is None:
            continue
        if name not in reader.questions:
            raise CheckpointUnreadableError(f"{source_name}: the family {reader.family} asks no {name}")
        if name == "preset" and not reader.any_preset and answer not in reader.presets:
            raise CheckpointUnreadableError(
                f"{source_name}: a policy of {reader.family} acts in one of {list(reader.presets)}, not in {answer!r}"
            )
        if name in answers and answers[name] != answer and not (name in reader.defaults and name not in reader.facts):
            said_by = source_name if origins[name] == "file" else f"the family {reader.family}"
            raise CheckpointUnreadableError(f"{said_by} says {name} {answers[name]}, not {answer}")
        if answers.get(name) != answer:
            answers[name], origins[name] = answer, "user"
    if missing := [name for name in reader.questions if name not in answers]:
        kind = CausalityUnknownError if "causal" in missing else StatementMissingError
        how = ", ".join(QUESTIONS[name] for name in missing)
        raise kind(f"state {how} for {source_name}, which does not say it: {reader.hint(file)}")
    for name, answer in answers.items():
        if name in file.config and file.config[name] != answer:
            raise CheckpointUnreadableError(
                f"{source_name}: its config says {name} {file.config[name]!r}, but the answer is {answer!r}"
            )
    return Settled(answers, origins)
