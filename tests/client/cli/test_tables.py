"""Tables for a paper: LaTeX that is balanced and escaped, CSV that reads back, and nothing else on the output."""

from __future__ import annotations

import csv
import io
import re

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from attnscope.cli.main import app
from attnscope.cli.tables import comma_separated, escaped, latex

CELLS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)


def balanced(text: str) -> bool:
    """Return True where braces and dollars that are no escaped ones come in pairs, and no special one is bare."""
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    depth = 0
    for one in bare:
        depth += (one == "{") - (one == "}")
        if depth < 0:
            return False
    return depth == 0 and bare.count("$") % 2 == 0


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=4))
def test_any_cell_is_escaped_and_balanced(rows):
    """Whatever cells hold, a row has one separator fewer than cells, and braces and formulas end."""
    text = latex(("a_b", "50 %", "x"), rows)
    assert balanced(text)
    for line in text.splitlines()[4 : 4 + len(rows)]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*&", line)) == 2, line
        assert not re.search(r"(?<!\\)[%#_]", line)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1


def test_known_characters_have_their_commands():
    """Backslashes, percent signs and the characters of our own tables have a command each."""
    assert escaped(r"a\b 40% ~ ^ °†×") == (
        r"a\textbackslash{}b 40\% \textasciitilde{} \textasciicircum{} \textdegree{}\dag{}$\times$"
    )


def test_numbers_are_aligned_to_the_right():
    """A column of numbers is one, with dashes for what is not known; a column of words is not."""
    assert latex(("name", "kept"), [("recency", "0.91 (0.8 to 1)"), ("2 x", "–")]).startswith(r"\begin{tabular}{lr}")


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4))
def test_comma_separated_values_read_back(rows):
    """Every cell comes back from the file as it was."""
    read = list(csv.reader(io.StringIO(comma_separated(("a", "b"), rows), newline="")))
    assert read == [["a", "b"], *map(list, rows)]


def test_the_option_stands_anywhere_and_is_checked():
    """An unknown form is refused by name."""
    found = CliRunner().invoke(app, ["strategies", "--table", "word"])
    assert found.exit_code != 0
    assert "latex" in found.output
