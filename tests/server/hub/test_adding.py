"""Adding from the Hub by the operator's verb: off by default, the same reading as a local folder, and cards."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from attnscope_model.checkpoints import adoption, conversion
from attnscope_model.checkpoints.examined import examine_here
from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.cli import app
from attnscope_server.cli import checkpoints as verbs
from attnscope_server.errors import HubRefusedError
from attnscope_server.hub.card import hub_card
from attnscope_storage.wire import OutputDescription
from hub_stand_in import REVISION, SOURCE


@pytest.fixture
def run(tmp_path, monkeypatch, connect):
    """Return a function that runs a checkpoint verb over a fresh data root; files are parsed in this process."""
    monkeypatch.setattr(
        conversion, "parse_apart", lambda source, folder, choice=None: parse_here(source, folder, choice)
    )
    monkeypatch.setattr(adoption, "examine_apart", lambda folder, _: examine_here(folder))
    monkeypatch.setattr(verbs, "public_connection", connect)
    monkeypatch.setenv("ATTNSCOPE_SERVER_DATA_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("ATTNSCOPE_SERVER_HUB", "1")

    def invoke(*words):
        result = CliRunner().invoke(app, ["checkpoint", *map(str, words)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return invoke


@pytest.fixture
def registry(tmp_path):
    """Return the registry of the data root."""
    return CheckpointRegistry(tmp_path / "root" / "checkpoints")


def test_a_repository_becomes_the_checkpoint_that_its_folder_is(run, registry, stand_in, tmp_path):
    """Added from the Hub it is the entry of the same files on disk; the entry says where it came from."""
    output = run("add", SOURCE, "--name", "fetched")
    assert f"{SOURCE}: model.safetensors 167,312 bytes" in output
    info = registry.get("fetched")
    assert (info.source_name, info.policy.family) == (SOURCE, "hub-gpt2")
    local = tmp_path / "local"
    local.mkdir()
    for name, content in stand_in.files.items():
        (local / name).write_bytes(content)
    run("add", local, "--name", "by-hand")
    assert registry.get("by-hand").id == info.id
    assert [path.name for path in registry.root.iterdir()] == [info.id]


def test_it_is_off_until_the_operator_says_so(run, registry, stand_in, monkeypatch):
    """Without the setting nothing is asked for, and the sentence says what to set."""
    monkeypatch.delenv("ATTNSCOPE_SERVER_HUB")
    with pytest.raises(HubRefusedError, match="is off: set ATTNSCOPE_SERVER_HUB=1"):
        run("add", SOURCE)
    assert (stand_in.asked, registry.list()) == ([], [])


def test_what_cannot_be_read_leaves_nothing(run, registry, stand_in):
    """A repository whose configuration names code is refused by the same list of keys; its files are gone again."""
    config = json.loads(stand_in.files["config.json"])
    stand_in.files["config.json"] = json.dumps(config | {"auto_map": {"AutoModel": "x--y.Z"}}).encode()
    with pytest.raises(conversion.CheckpointUnreadableError, match="auto_map says"):
        run("add", SOURCE)
    assert list(registry.root.iterdir()) == []


def test_a_declaration_of_the_operator_goes_before(run, registry, stand_in, tmp_path):
    """A repository that says no word about tokens is declared by --config, as a local folder is."""
    declaration = tmp_path / "tokens.json"
    declaration.write_bytes(stand_in.files.pop("attnscope.json"))
    run("add", SOURCE, "--config", declaration, "--name", "declared")
    assert registry.get("declared").preset == "some.listed.environment"


def test_a_card_says_what_the_registry_knows(run, registry, stand_in, tmp_path):
    """YAML that the Hub reads, then text; a registered folder and its card come back as a repository."""
    run("add", SOURCE, "--name", "mine")
    card = tmp_path / "README.md"
    run("card", "mine", "--license", "apache-2.0", "--out", card)
    _, front, text = card.read_text().split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "attnscope",
        "pipeline_tag": "reinforcement-learning",
        "license": "apache-2.0",
        "tags": ["in-context-reinforcement-learning", "attnscope", "hub-gpt2", "some.listed.environment"],
    }
    info = registry.get("mine")
    assert text.startswith("\n# mine\n")
    assert f"`{info.id}`" in text
    assert "3 layers, 4 heads, width 32" in text
    assert "unknown trained on" in text
    assert "license" not in run("card", "mine")
    with pytest.raises(FileExistsError):
        run("card", "mine", "--out", card)
    native = registry.folder("mine")
    stand_in.files = {path.name: path.read_bytes() for path in native.iterdir()}
    stand_in.files["README.md"] = card.read_bytes()
    run("add", SOURCE, "--data-root", tmp_path / "other")
    assert CheckpointRegistry(tmp_path / "other" / "checkpoints").get("mine").id == info.id
    assert not [path for _, path, _ in stand_in.asked if path.endswith("README.md")]


@pytest.mark.parametrize("licence", ["my licence", "mit\nlicense: other", "MIT", ""])
def test_a_licence_is_one_word_of_the_hub(run, licence):
    """Nothing else is written into the card's YAML."""
    run("add", SOURCE, "--name", "mine")
    with pytest.raises(HubRefusedError, match="expected the Hub's word for a licence"):
        run("card", "mine", "--license", licence)


def test_a_card_says_what_an_action_is(registry, run):
    """Two numbers of a vector are no two actions to choose from."""
    run("add", SOURCE, "--name", "mine")
    info = registry.get("mine")
    for actions, output, sampling, words in (
        (5, {}, "sample", "an action: one choice among 5 actions, drawn by chance."),
        (5, {"branches": (3, 2)}, "greedy", "an action: 2 choices at once, among 3, 2 actions, the most likely."),
        (2, {"kind": "gaussian"}, "greedy", "an action: vectors of 2 numbers, the mean."),
        (2, {"kind": "vector"}, "greedy", "an action: vectors of 2 numbers, what its head gives."),
    ):
        policy = info.policy.model_copy(update={"actions": actions, "output": OutputDescription(**output)})
        assert words in hub_card(info.model_copy(update={"policy": policy, "sampling": sampling}), None)


def test_foreign_texts_of_an_entry_are_plain_in_a_card(registry, run):
    """A note or a preset cannot end the YAML, nor become a link, a heading or markup."""
    run("add", SOURCE, "--name", "mine")
    odd = "x\n---\n# y [z](http://w) <b>`c`"
    info = registry.get("mine").model_copy(update={"preset": odd, "notes": (odd,)})
    card = hub_card(info, None)
    front = card.split("\n---\n", 1)[0].removeprefix("---\n")
    assert yaml.safe_load(front)["tags"][-1] == odd
    assert r"- Note: x?---?\# y \[z\](http://w) \<b\>\`c\`" in card
    assert REVISION not in card
