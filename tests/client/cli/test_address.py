"""The options that name the service: where they may stand, and the key that is never typed."""

from __future__ import annotations

import pytest

from attnscope import __version__
from attnscope.cli.address import to_front


def test_the_version_is_said(command):
    """It needs no service."""
    assert command("--version").out == f"attnscope {__version__}\n"


@pytest.mark.parametrize("behind", [True, False])
def test_the_address_may_stand_before_and_behind_the_verb(told, command, monkeypatch, behind):
    """Both reach the service, with a key from a file."""
    monkeypatch.delenv("ATTNSCOPE_URL")
    monkeypatch.delenv("ATTNSCOPE_API_KEY")
    with open("key", "w", encoding="utf-8") as file:  # noqa: PTH123 - in the folder that the command works in
        file.write("right-key\n")
    named = ["--url", told.url, "--key-file=key"]
    said = command("list", *named) if behind else command(*named, "list")
    assert said.status == 0, said.err
    assert said.out.startswith("11111111\t")


def test_a_key_in_the_arguments_is_refused_with_the_reason(told, command):
    """Nothing is sent, and the key is not repeated."""
    said = command("list", "--key", "right-key")
    assert said.status == 2
    assert "--key-file" in said.err
    assert "right-key" not in said.err
    assert told.asked == []


def test_a_key_file_that_holds_more_than_a_key_is_refused(command, tmp_path):
    """Its content is not shown."""
    (tmp_path / "key").write_text("two words")
    said = command("list", "--key-file", "key")
    assert (said.status, "two words" in said.err) == (5, False)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("list --url u --json", "--url u list --json"),
        ("--url=u list", "--url=u list"),
        ("list -- --url u", "list -- --url u"),
        ("list --url", "--url list"),
    ],
)
def test_options_of_the_program_go_to_the_front(typed, read):
    """Words behind two dashes stay there."""
    assert to_front(typed.split()) == read.split()
