"""Messages between the process that adds a checkpoint and its child: typed, bounded, and believed only when whole."""

from __future__ import annotations

import json
import subprocess

import pytest
from pydantic import ValidationError

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.parsing import apart, messages
from attnscope_model.parsing.choosing import Choice
from attnscope_model.parsing.limits import MAX_REFUSAL, REPORT
from attnscope_model.parsing.messages import Examined, Parse, Parsed, Refused, leave, take


def test_a_report_arrives_as_it_was_left(tmp_path):
    """A truth value, a whole number, a fraction and a text keep their types, and the file is gone afterwards."""
    left = Parsed(step=3, config={"a": True, "b": 1, "c": 1.0, "d": "1", "e": -(2**62)}, notes=("one", "two"))
    leave(tmp_path, left)
    taken = take(tmp_path)
    assert isinstance(taken, Parsed)
    assert taken == left
    assert [type(value) for value in taken.config.values()] == [bool, int, float, str, int]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"type": "parsed"',
        b'{"type": "other"}',
        b'{"type": "parsed", "more": 1}',
        b'{"type": "parsed", "step": -1}',
        b'{"type": "parsed", "config": {"nested": {"x": 1}}}',
        b'{"type": "parsed", "config": {"none": null}}',
        b'{"type": "parsed", "config": {"infinite": 1e999}}',
        b'{"type": "parsed", "config": {"half": "\\ud800"}}',
        json.dumps({"type": "parsed", "config": {"long": "x" * 1001}}).encode(),
        json.dumps({"type": "parsed", "notes": ["x"] * 101}).encode(),
        json.dumps({"type": "refused", "reason": "x" * (MAX_REFUSAL + 1)}).encode(),
        b'{"type": "examined", "policy": {"family": "ad-native"}}',
    ],
)
def test_anything_else_is_no_report(tmp_path, content):
    """A text that is cut off, of another form or beyond a bound is not believed in part."""
    (tmp_path / REPORT).write_bytes(content)
    assert take(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_report_beyond_its_size_is_not_read(tmp_path, monkeypatch):
    """The size is asked of the file before a byte is read."""
    leave(tmp_path, Parsed())
    monkeypatch.setattr(messages, "MAX_REPORT_BYTES", 10)
    assert take(tmp_path) is None


@pytest.mark.parametrize(
    "report", [None, b"{}", Parsed().model_dump_json().encode()], ids=["nothing", "no report", "another's report"]
)
def test_a_child_without_its_report_is_a_refusal(tmp_path, monkeypatch, report):
    """A child that ends well and leaves no report of the kind that was asked for gives a refusal by name."""

    def run(command, **_):
        if report is not None:
            (tmp_path / REPORT).write_bytes(report)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(apart.subprocess, "run", run)
    with pytest.raises(CheckpointUnreadableError, match=r"^odd: its parser left no report that can be understood"):
        apart.run_apart("any", [], tmp_path, "odd", Examined)


def test_an_order_arrives_as_the_user_stated_it():
    """Key, prefix and patterns are the same at the other end; an order with an unknown field is none."""
    choice = Choice("a.b", "net.", ("head.*", "x"))
    assert Parse.model_validate_json(Parse.by(choice).model_dump_json()).choice == choice
    with pytest.raises(ValidationError):
        Parse.model_validate_json('{"keys": "a"}')


def test_a_word_that_is_no_text_is_refused_before_a_child_starts():
    """A terminal of another encoding gives halves of characters, which no name of a file's weights holds."""
    with pytest.raises(CheckpointUnreadableError, match="expected UTF-8 text after --key"):
        Parse.by(Choice("caf\udce9"))


def test_a_reason_is_cut_and_made_whole():
    """A refusal that quotes half a character arrives, at most as long as its bound."""
    assert Refused.because("half \ud800").reason == "half ?"
    assert len(Refused.because("x" * 5000).reason) == MAX_REFUSAL
