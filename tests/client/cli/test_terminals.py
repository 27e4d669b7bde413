"""A terminal without a character, a pipe, an inherited backend: every command works there."""

from __future__ import annotations

import pytest

from attnscope.cli.records import show_table
from attnscope_storage.terminal import take_any_terminal

ENCODINGS = ("ascii", "cp1252", "cp932")
LABEL = "δ наука 標 🙂"

ADVICE = "recommend --capture {stored} --out {out}"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "words", ["list", "status", "summary --capture {stored}", "recommend --capture {stored} --out {out}"]
)
def test_a_terminal_of_few_characters_shows_them_replaced(told, program, stored, tmp_path, words, encoding):
    """The command ends well, its bytes are of that encoding, and no file is opened in the encoding of the locale."""
    told.label = LABEL
    out = tmp_path / "advice"
    asked = words.format(stored=stored, out=out).split()
    done = program(*asked, PYTHONIOENCODING=f"{encoding}:strict", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding)
    if out.exists():
        assert "uniform" in (out / "compression_recommendations.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_error_in_characters_that_the_terminal_lacks_is_still_said(told, program, encoding):
    """The text of a refusal is replaced too, and its status stays."""
    told.label = LABEL
    done = program("list", PYTHONIOENCODING=f"{encoding}:strict", ATTNSCOPE_API_KEY="wrong-key")
    assert done.returncode == 6, done.stderr
    assert done.stderr.decode(encoding).startswith("error: no key [bold]here[/bold]")
    refused = program("heatmap", "--format", "\N{LESS-THAN OR EQUAL TO}", PYTHONIOENCODING=encoding)
    assert "got '<='" in refused.stderr.decode(encoding)  # by itself Python would spell it by its number


def test_characters_of_our_texts_have_a_spelling_in_ascii(tmp_path):
    """Our own characters are spelled out; those of other people's texts become question marks."""
    with (tmp_path / "text").open("w", encoding="ascii") as file:
        take_any_terminal(file)
        file.write("−1 ± 2 → 3 × 標")
    assert (tmp_path / "text").read_bytes() == b"-1 +/- 2 -> 3 x ?"


@pytest.mark.parametrize("backend", ["module://nobody.has.this", "no-such-backend"])
def test_a_backend_of_another_program_does_not_matter(program, stored, tmp_path, backend):
    """An inherited MPLBACKEND is not even looked at; one of no known name would end matplotlib's import."""
    done = program("heatmap", "--capture", str(stored), "--out", str(tmp_path), MPLBACKEND=backend)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_a_piped_list_is_one_record_a_line(told, command):
    """Each line is a job, its cells stand between tabs, and no line is a title."""
    told.label = "a very long label that goes on and on, " * 4
    said = command("list")
    assert said.out == f"11111111\tcapture\tsucceeded\tAD-toy@1\t90/90\t{told.label.strip()}\n"


def test_a_table_in_a_narrow_terminal_breaks_between_cells_only(monkeypatch, capsys):
    """A record goes on in a further line, and every name is whole."""
    monkeypatch.setenv("COLUMNS", "40")
    name = "AD-absolute-darkroom-reference-seed0@6000"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show_table(("job", "checkpoint", "label"), [("11111111", name, "a label"), ("2", "b", "")])
    lines = capsys.readouterr().out.splitlines()
    assert name in "\n".join(lines)
    assert any("11111111" in line for line in lines)
    assert all(len(line) <= max(40, len(name) + 2) for line in lines)


def test_help_keeps_what_stands_in_brackets(command):
    """No markup is read in help, nor in errors."""
    assert "[job]" in command("status", "--help").out
    assert "'[bold]x[/bold]'" in command("heatmap", "--format", "[bold]x[/bold]").err
