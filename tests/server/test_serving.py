"""The service as a process: its address, its clock, its files, and what is said where it cannot listen."""

from __future__ import annotations

import shlex
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from attnscope_server import app as app_module
from attnscope_server.errors import AddressUnusableError, DataRootUnusableError, SettingUnusableError
from attnscope_server.root.data_root import open_database, prepare
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings


def test_a_taken_port_is_a_sentence(where):
    """It names the port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = where.model_copy(update={"port": other.getsockname()[1], "announce": False})
        with pytest.raises(AddressUnusableError, match=r"is taken.*--port"), serve_background(taken):
            pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_a_sentence(where, host):
    """Neither a foreign address nor a name without one is a traceback."""
    elsewhere = where.model_copy(update={"host": host, "port": 0, "behind_proxy": True})
    with pytest.raises(AddressUnusableError, match="cannot listen"), serve_background(elsewhere):
        pass


def test_keys_end_by_the_settled_clock(where, monkeypatch):
    """The service's keys take their time from it, so that a jump of the wall clock ends none."""
    noon = datetime(2031, 3, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(app_module, "SettledClock", lambda: SimpleNamespace(now=lambda: noon))
    with serve_background(
        where.model_copy(update={"port": 0, "announce": False, "shipped_checkpoints": False})
    ) as running:
        running.state.keys.create("me", label="made at noon")
        made = [key for key in running.state.keys.list() if key.label == "made at noon"]
    assert [key.created_at for key in made] == [noon]


def test_nobody_else_reads_what_the_program_writes(tmp_path):
    """Each file and folder of a data root is its owner's alone, whatever the shell's mask is."""
    program = "from attnscope_server.cli import main; main()"
    words = ["key", "create", "--owner", "me", "--data-root", str(tmp_path / "root")]
    subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, umask=0o022)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "root").rglob("*")}
    assert modes
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"worker_command": ("no-such-program",)}, "no program no-such-program"),
        ({"replay_command": ("no-such-program",)}, "no program no-such-program"),
        ({"tls_certificate": "nowhere.pem", "tls_key": "nowhere.key"}, r"nowhere\.pem.*No such file"),
        ({"announce": True, "announce_folder": "file/below"}, "say --no-announce"),
    ],
)
def test_what_would_fail_later_is_refused_at_the_start(where, tmp_path, changes, words):
    """A program, a folder or a certificate that is not there: one sentence, before anything listens."""
    (tmp_path / "file").touch()
    told = {name: tmp_path / value if isinstance(value, str) else value for name, value in changes.items()}
    wrong = where.model_copy(update={"port": 0, "announce": False} | told)
    with pytest.raises(SettingUnusableError, match=words), serve_background(wrong):
        pass


@pytest.mark.parametrize("kind", ["environments", "strategies"])
def test_a_broken_package_is_named_at_the_start(tmp_path, kind):
    """The program ends with one line that names the entry point; no request finds it out."""
    told = tmp_path / "broken-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (told / "entry_points.txt").write_text(f"[attnscope.{kind}]\nlake = nowhere_at_all:X\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from attnscope_server.cli import main; main()"
    words = ["serve", "--port", "0", "--no-announce", "--data-root", str(tmp_path / "root")]
    ended = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "lake (nowhere_at_all:X) does not load" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_signs_of_life_must_come_before_their_deadline(tmp_path):
    """Else every worker would be ended, again and again."""
    with pytest.raises(ValueError, match="would be ended"):
        Settings(data_root=tmp_path, alive_seconds=200.0)


@pytest.mark.parametrize("name", ["a?b=c", "a#b", "100%41", "a b&c", "ü"])
def test_a_data_root_may_have_any_name(tmp_path, name):
    """The database lies in the folder that was named, though an address would read some characters otherwise."""
    where = Settings(data_root=tmp_path / name / "root")
    prepare(where)
    open_database(where).close()
    assert where.database_path.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_command_with_a_folder_can_be_pasted(tmp_path):
    """A folder's name is quoted where a shell would take it apart."""
    folder = tmp_path / "my backup; of May"
    folder.mkdir()
    (folder / "backup.json").touch()
    with pytest.raises(DataRootUnusableError) as refused:
        prepare(Settings(data_root=folder))
    assert shlex.split(refused.value.message.split("`")[1])[2] == str(folder)
