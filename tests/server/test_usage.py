"""Wrong usage of the operator's command line: said in our words, with status 2, and never by a library's text."""

from __future__ import annotations

import shlex
import sqlite3
import sys
from contextlib import closing

import pytest

from attnscope_server.cli import main

WRONG = {
    "odd": "there is no verb 'odd' (see: attnscope-server --help)",
    "key creat": "there is no verb 'creat'; did you mean create? (see: attnscope-server key --help)",
    "serve --prt 3": "there is no option --prt; did you mean --port? (see: attnscope-server serve --help)",
    "serve --port x": "--port: expected a whole number, got 'x' (see: attnscope-server serve --help)",
    "serve --port 99999": "--port: expected at most 65535, got 99999 (see: attnscope-server serve --help)",
    "serve --host": "--host needs a value behind it",
    "serve --device odd": "--device: expected a device like auto, cpu, cuda or cuda:1, got 'odd'",
    "serve --threads 5000": "--threads: expected at most 1024, got 5000",
    "serve --allowed-host http://box": "--allowed-host: expected a host without scheme, port or path",
    "evaluate x --out nowhere/x.json": "--out: there is no folder nowhere",
    "serve --environments nowhere.json": "--environments: nowhere.json: expected a JSON file: No such file",
    "key create": "--owner is needed (see: attnscope-server key create --help)",
    "key create --owner a --scope odd": "--scope: expected one of jobs:write, jobs:read",
    "key create --owner a --days -1": "--days: expected more than 0 and at most 36500 days, got -1.0",
    "checkpoint add x --train-tasks a": "--train-tasks: expected task indices like 0,1,2, got 'a'",
    "worker --service x": "--key-file is needed (see: attnscope-server worker --help)",
    "worker --service http://box --key-file k --name a/b": "--name: expected up to 64 letters, digits, dots",
    "key worker": "--serves: name the owners, or say --every-owner",
    "restore": "FOLDER is needed (see: attnscope-server restore --help)",
    "train --threads 0": "--threads: expected at least 1, got '0' (see: attnscope-server train --help)",
    "train --layout odd": "--layout: expected one of native, reference, cccad, cad, got 'odd'",
    "verify a b": "too many arguments: (b) (see: attnscope-server verify --help)",
}
"""By command line, the beginning of the sentence."""


@pytest.fixture
def said(monkeypatch, capsys, tmp_path):
    """Return a function that runs the program in this process, and returns its status and what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTNSCOPE_SERVER_DATA_ROOT", str(tmp_path / "root"))
    monkeypatch.setattr("os.umask", lambda mask: mask)

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["attnscope-server", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.mark.parametrize("line", WRONG)
def test_wrong_usage_is_said_in_our_words(said, line):
    """One line: the option or argument, what was expected, what came, and where the help is."""
    status, out, err = said(line)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {WRONG[line]}")
    assert err.count("\n") == 1


def test_a_wrong_variable_is_named(said, monkeypatch):
    """A setting that the environment says wrongly is refused by the name of its variable."""
    monkeypatch.setenv("ATTNSCOPE_SERVER_PORT", "x")
    assert said("key list")[::2] == (
        2,
        "error: ATTNSCOPE_SERVER_PORT: expected a whole number, got 'x' (see: attnscope-server key list --help)\n",
    )


def test_the_help_answers_a_program_without_a_word(said):
    """No verb at all is answered by the list of verbs."""
    status, out, err = said("")
    assert status == 2
    assert "Usage: attnscope-server" in out + err


def test_a_question_that_is_not_answered_stops(said, monkeypatch, tmp_path):
    """An operator who says no to a rebuild ends with status 1, and nothing is made."""
    monkeypatch.setattr("typer.confirm", lambda *_a, **_k: (_ for _ in ()).throw(__import__("typer").Abort))
    assert said("doctor --rebuild")[::2] == (1, "stopped\n")
    assert not (tmp_path / "root").exists()


def test_a_database_that_another_program_holds_is_a_sentence(said, monkeypatch, tmp_path):
    """The operator is told that another try may succeed, and sees no traceback."""
    assert said("key list")[0] == 0
    monkeypatch.setattr("attnscope_server.records.database.BUSY_MILLISECONDS", 1)
    with closing(sqlite3.connect(tmp_path / "root" / "service.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        status, _, err = said("key create --owner me")
    assert status == 1
    assert err.startswith("error: the job database ")
    assert err.count("\n") == 1


def test_what_the_system_refuses_is_a_sentence(said, tmp_path):
    """A folder that cannot be made is named, with the system's reason."""
    (tmp_path / "file").touch()
    assert said("key list")[0] == 0
    status, _, err = said("backup file/kept")
    assert status == 1
    assert err.startswith("error: ")
    assert "file/kept cannot be made: " in err
    assert err.count("\n") == 1
