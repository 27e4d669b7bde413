"""The operator's command line over checkpoints: what a file does not say is asked for, and what is stated is shown."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from attnscope_model.checkpoints import conversion
from attnscope_model.errors import StatementMissingError
from attnscope_model.readers.parse import parse_here
from attnscope_server.cli import app
from forwards.layouts import LAYOUTS


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a checkpoint verb over a fresh data root."""

    def parse(source, folder):
        parse_here(source, folder)
        return json.loads((folder / "contents.json").read_text())

    monkeypatch.setattr(conversion, "parse_apart", parse)
    monkeypatch.setenv("ATTNSCOPE_SERVER_DATA_ROOT", str(tmp_path / "root"))

    def invoke(*words):
        result = CliRunner().invoke(app, ["checkpoint", *map(str, words)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return invoke


@pytest.fixture
def bare(tmp_path):
    """Return a function that writes a family's bare state dict, with nothing beside it."""

    def write(name):
        torch.save(LAYOUTS[name].state(), tmp_path / f"{name}.pt")
        return tmp_path / f"{name}.pt"

    return write


def test_inspect_says_what_is_there_and_how_to_state_the_rest(run, bare):
    """Sizes come from shapes; each question that nobody answers stands with its option, beside the hint."""
    said = json.loads(run("inspect", bare("dpt")))
    assert (said["family"], said["layers"], said["width"], said["context_length"]) == ("dpt", 3, 32, 24)
    assert said["to_state"] == {"heads": "--heads N", "preset": "--preset NAME"}
    assert said["heads"] == "not stored: state --heads N"
    assert said["presets"] == ["darkroom-dpt"]
    assert "1 head whatever the file's name says" in said["hint"]
    assert said["train_tasks"] == "unknown"
    assert said["said_by"] == {"sampling": "family", "context_length": "file", "causal": "family"}


@pytest.mark.parametrize(
    ("name", "asked", "answers"),
    [
        ("dpt", "--heads N, --preset NAME", ["--heads", "2", "--preset", "darkroom-dpt"]),
        ("cinemere-post", "--heads N, --norm pre or --norm post", ["--heads", "4", "--norm", "post"]),
        ("ad-eps", "--heads N, --preset NAME", ["--heads", "4", "--preset", "darkroom-ad-eps"]),
        ("rad", "--heads N", ["--heads", "4"]),
        ("cccad", "--heads N, --preset NAME", ["--heads", "4", "--preset", "key-to-door"]),
        (
            "dicp-ad",
            "--heads N, --context-length N, --preset NAME",
            ["--heads", "4", "--context-length", "24", "--preset", "darkroom-permuted"],
        ),
        (
            "reference",
            "--causal or --non-causal, --heads N, --preset NAME",
            ["--non-causal", "--heads", "4", "--preset", "darkroom-reference"],
        ),
    ],
)
def test_a_bare_state_dict_asks_for_what_it_does_not_say(run, bare, name, asked, answers):
    """Refused with the options that answer it; taken with them, and said to be stated by the user."""
    with pytest.raises(StatementMissingError, match=f"state {asked} for {name}.pt, which does not say it: "):
        run("add", bare(name))
    said = run("add", bare(name), *answers, "--sampling", "greedy")
    assert "stated by user: " in said
    assert "greedy where a capture does not choose" in said
    for word in answers[1::2]:
        assert name == "reference" or word in said


@pytest.mark.parametrize(
    ("words", "content", "said"),
    [
        (["serve", "--environments", "missing.json"], None, "expected a JSON file"),
        (["serve", "--environments", "listed.json"], "[", "expected a JSON file"),
        (["serve", "--environments", "listed.json"], '[{"id": 3}]', "environments.0.id"),
        (["serve", "--port", "-1"], None, "port"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(tmp_path, monkeypatch, words, content, said):
    """A file of environments that is missing, cut or wrong, and a port that is none, are named without a traceback."""
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "listed.json").write_text(content)
    result = CliRunner().invoke(app, [*words, "--data-root", str(tmp_path / "root")])
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", "").split())
