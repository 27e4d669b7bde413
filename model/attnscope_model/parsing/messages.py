"""Every message between a process that adds a checkpoint and its child that reads the file: an order in, a report out.

An order is one word of the child's command line, a report is one file of JSON; tensors lie in a file of their own. The
bounds hold at both ends, since the child has read bytes that may be hostile. Knows no process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing.choosing import Choice
from attnscope_model.parsing.limits import MAX_REFUSAL, MAX_REPORT_BYTES, REPORT
from attnscope_model.parsing.plain import CONFIG_KEYS, MAX_CONFIG_ENTRIES, MAX_KEY, MAX_TEXT
from attnscope_storage.wire import PolicyDescription

MAX_NOTES: Final = 100
"""Notes on a file, at most; one file gives about ten."""


def _whole(value: str) -> str:
    value.encode()  # half of a pair of surrogates is an error here, not where the message is written
    return value


Text = Annotated[str, AfterValidator(_whole)]
"""A text that JSON can carry."""


class Message(BaseModel):
    """A message; an unknown field is an error, since both ends are of one version."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Parse(Message):
    """Order: parse a foreign file, and choose its state dict as the user states."""

    key: Text | None = None
    prefix: Text | None = None
    ignore: tuple[Text, ...] = ()

    @classmethod
    def by(cls, choice: Choice) -> Self:
        """Return the order for a user's statement.

        Raises
        ------
        CheckpointUnreadableError
            A word of it is not text, as one from a terminal with another encoding may be.
        """
        try:
            return cls(key=choice.key, prefix=choice.prefix, ignore=choice.ignore)
        except ValidationError as error:
            raise CheckpointUnreadableError("expected UTF-8 text after --key, --prefix and --ignore") from error

    @property
    def choice(self) -> Choice:
        """The user's statement."""
        return Choice(self.key, self.prefix, self.ignore)


class Parsed(Message):
    """Report: the plain values of a foreign file; its tensors lie beside the report."""

    type: Literal["parsed"] = "parsed"
    step: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(default=None, description="Training step.")
    config: dict[
        Annotated[Text, Field(max_length=MAX_KEY)],
        bool | int | float | Annotated[Text, Field(max_length=MAX_TEXT)],
    ] = Field(default={}, max_length=MAX_CONFIG_ENTRIES * len(CONFIG_KEYS))
    notes: tuple[Text, ...] = Field(default=(), max_length=MAX_NOTES, description="Parts that were not read, and why.")


class Examined(Message):
    """Report: the policy that was built of a native folder."""

    type: Literal["examined"] = "examined"
    policy: PolicyDescription


class Refused(Message):
    """Report: the file is refused, and the reason."""

    type: Literal["refused"] = "refused"
    reason: Text = Field(max_length=MAX_REFUSAL)

    @classmethod
    def because(cls, reason: str) -> Self:
        """Return the refusal with a reason cut to its bound; half a character of a foreign text becomes ``?``."""
        return cls(reason=reason[:MAX_REFUSAL].encode("utf-8", "replace").decode())


Report = Parsed | Examined | Refused
"""A report of a child that reads foreign bytes."""

_REPORT: Final[TypeAdapter[Report]] = TypeAdapter(Annotated[Report, Field(discriminator="type")])


def leave(folder: Path, report: Report) -> None:
    """Leave a report for the parent."""
    (folder / REPORT).write_bytes(report.model_dump_json().encode())


def take(folder: Path) -> Report | None:
    """Take the report that a child left in a folder; None where it left none, or something that is no report."""
    path = folder / REPORT
    try:
        return _REPORT.validate_json(path.read_bytes()) if path.stat().st_size <= MAX_REPORT_BYTES else None
    except (FileNotFoundError, ValidationError):
        return None
    finally:
        path.unlink(missing_ok=True)
