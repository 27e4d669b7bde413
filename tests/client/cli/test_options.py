"""Options are made of a specification's fields: a new field is an option, with its range and meaning."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from attnscope.cli.asking import SPELLINGS
from attnscope.cli.options import Spelling, asks, options_of
from attnscope_storage.wire import CaptureSpec, TrialSpec


class Inner(BaseModel):
    """A nested choice."""

    depth: int = Field(default=2, ge=1, le=5, description="Layers of it.")


class Made(BaseModel):
    """A specification that is made up."""

    kind: Literal["made"] = "made"
    name: str = Field(description="A name.")
    loud: bool = Field(default=True, description="Say it aloud.")
    share: float | None = Field(default=None, ge=0.5, description="A share.")
    inner: Inner = Inner()
    words: tuple[str, ...] = Field(default=("a", "b"), description="Words.")


SPELLED = {"words": Spelling("--word", list[str], lambda texts, _: tuple(texts), "Repeat for several.")}


@pytest.fixture
def run():
    """Return a function that runs a verb of the specification, and gives what it heard and what was shown."""
    app = typer.Typer()
    heard: list[object] = []

    @app.command()
    @asks(Made, SPELLED)
    def verb(asked: dict, twice: Annotated[bool, typer.Option("--twice")] = False) -> None:
        """Do it."""
        heard.append((asked, twice))

    def invoke(*words: str):
        heard.clear()
        result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        return (heard[0] if heard else None), result

    return invoke


def test_only_what_was_said_is_asked(run):
    """Fields come nested and typed; the verb's own options beside them; defaults stay with the specification."""
    assert run("--name", "x")[0] == ({"name": "x"}, False)
    words = (
        "--name",
        "x",
        "--no-loud",
        "--share",
        "0.75",
        "--inner-depth",
        "3",
        "--word",
        "p",
        "--word",
        "q",
        "--twice",
    )
    asked, twice = run(*words)[0]
    assert asked == {"name": "x", "loud": False, "share": 0.75, "inner": {"depth": 3}, "words": ("p", "q")}
    assert twice


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ((), "--name"),
        (("--name", "x", "--inner-depth", "6"), "--inner-depth"),
        (("--name", "x", "--share", "0.4"), "--share"),
        (("--name", "x", "--kind", "made"), "--kind"),
    ],
)
def test_fields_keep_their_ranges(run, words, refusal):
    """An option refuses the values that its field refuses, as wrong usage."""
    heard, result = run(*words)
    assert heard is None
    assert result.exit_code == 2
    assert refusal in " ".join(result.output.split())


def test_help_is_the_fields(run):
    """Each option shows its field's meaning and default, then how it is typed."""
    shown = " ".join(run("--help")[1].output.split())
    assert "Layers of it. [default: (2)]" in shown
    assert "Words. Repeat for several. [default: (a,b)]" in shown
    assert "Say it aloud. [default: (loud)]" in shown


def test_a_type_that_nobody_spells_is_refused():
    """A field whose typing is unclear is found when the verb is made, not when it is used."""

    class Odd(BaseModel):
        odd: dict[str, int] = {}

    with pytest.raises(TypeError, match="expected a spelling"):
        asks(Odd, {})(print)


@pytest.mark.parametrize("spec", [CaptureSpec, TrialSpec])
def test_every_field_of_a_job_says_what_it_means(spec):
    """No option of the program is without help."""
    assert [option.name for option in options_of(spec, SPELLINGS) if not option.info.description] == []
