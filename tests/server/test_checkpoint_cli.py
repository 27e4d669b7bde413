"""The operator's command line over checkpoints: what a file does not say is asked for, and what is stated is shown."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from attnscope_model.checkpoints import conversion
from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.errors import CheckpointError, StatementMissingError
from attnscope_server.cli import app
from forwards.layouts import LAYOUTS
from forwards.ways import WAYS


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a checkpoint verb over a fresh data root."""

    def parse(source, folder, choice=None):
        return parse_here(source, folder, choice)

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


def test_renaming_is_said_and_the_old_name_goes_on(run, bare):
    """Adding a file again under another name, or for another preset, says what it was before; the list shows both."""
    answers = ["--heads", "4", "--preset", "key-to-door"]
    assert "renamed" not in run("add", bare("cccad"), *answers, "--name", "first")
    assert "renamed from first, which goes on naming it" in run("add", bare("cccad"), *answers, "--name", "second")
    assert "second" in run("list")
    assert "formerly first" in run("list")
    elsewhere = run("add", bare("cccad"), "--heads", "4", "--preset", "darkroom-reference", "--name", "second")
    assert "it acted in key-to-door before: new jobs of any of its names act in darkroom-reference" in elsewhere
    assert run("remove", "first").strip() == "removed second"


def test_one_of_several_state_dicts_is_named(run, tmp_path):
    """Two that fit are refused with the option for each; the one that is named is read, and what was left out said."""
    layout = LAYOUTS["cccad"]
    raw = layout.state()
    ema = {f"module.{name}": value * 0.5 for name, value in raw.items()} | {"module.value_head.weight": torch.ones(1)}
    torch.save({"model": raw, "ema": ema, "config": layout.config}, tmp_path / "two.pt")
    with pytest.raises(CheckpointError, match=r"--key model .*--key ema "):
        run("add", tmp_path / "two.pt")
    said = run("add", tmp_path / "two.pt", "--key", "ema", "--ignore", "value_head.*")
    assert "its weights were read from ema" in said
    assert "stripped from the names of its weights: module." in said
    assert "left out by --ignore: value_head.weight" in said
    with pytest.raises(CheckpointError, match=r"no state dict stands under target; --key may be one of: model, ema"):
        run("inspect", tmp_path / "two.pt", "--key", "target")
    with pytest.raises(CheckpointError, match=r"--ignore critic\.\* fits no name; names are "):
        run("inspect", tmp_path / "two.pt", "--key", "model", "--ignore", "critic.*")
    with pytest.raises(CheckpointError, match="no name of model begins with actor"):
        run("inspect", tmp_path / "two.pt", "--key", "model", "--prefix", "actor.")


def test_a_configuration_that_is_an_object_is_said_not_to_be_read(run, tmp_path):
    """If heads are missing because an object holds them, the refusal says so, and what to do."""
    way = WAYS["dataclass configuration"]
    torch.save(way.content, tmp_path / "m.pt")
    reason = r"state --heads N, .*; its config is a forwards\.ways\.Settings, whose values are not read: state them, or"
    with pytest.raises(StatementMissingError, match=reason):
        run("add", tmp_path / "m.pt", "--causal")


def test_cccads_own_key_to_door_files_are_read(run, tmp_path):
    """CCCAD calls the environment dark_key_to_door and splits it by seed 0, which is noted."""
    content = LAYOUTS["cccad"].content()
    content["config"] |= {"env": "dark_key_to_door", "horizon": 50, "env_split_seed": 0, "train_env_ratio": 0.95}
    torch.save(content, tmp_path / "ckpt-7.pt")
    said = run("add", tmp_path)
    assert "acts in key-to-door" in said
    assert "splits tasks" in said or "split tasks by seed 0" in said


def test_a_folder_of_safetensors_is_read_with_its_configuration(run, tmp_path):
    """``model.safetensors`` and ``config.json`` are one checkpoint; the parts of a sharded one are not read."""
    folder = tmp_path / "hub"
    folder.mkdir()
    layout = LAYOUTS["cccad"]
    save_file(layout.state(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(dict(layout.config)))
    assert "CCCAD-AD-darkroom" in run("add", folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds the parts of a checkpoint; join them by safetensors"):
        run("add", folder)
    shards = tmp_path / "dcp"
    shards.mkdir()
    (shards / ".metadata").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"sharded checkpoint .*dcp_to_torch"):
        run("add", shards)
