"""API keys at rest: hashed, scoped, expiring, revoked at once; the local one is its user's alone."""

from __future__ import annotations

import hmac
import stat
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from attnscope.connecting.connection import find_connection
from attnscope.errors import ConfigurationError
from attnscope_server.cli import app
from attnscope_server.errors import DataRootInUseError, DataRootUnusableError, ExposureError, KeyUnknownError
from attnscope_server.records.keys import ALL_SCOPES, KEY_PATTERN, KeyStore, Scope
from attnscope_server.root.data_root import LOCAL_OWNER, announce, held, local_key, prepare, withdraw
from attnscope_server.serving import refuse_exposure
from attnscope_server.settings import Settings

START = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    """A wall clock that tests set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


@pytest.fixture
def where(tmp_path):
    """Return the settings of a prepared data root."""
    settings = Settings(data_root=tmp_path / "root", announce_folder=tmp_path / "config")
    prepare(settings)
    return settings


@pytest.fixture
def clock():
    """Return a clock to set."""
    return Clock()


@pytest.fixture
def keys(database, clock):
    """Return its keys."""
    return KeyStore(database, now=clock)


def test_a_key_is_nowhere_at_rest(keys, where, database):
    """256 random bits are shown once; what is stored is a hash, and no two keys are alike."""
    made = {keys.create("me") for _ in range(20)}
    assert len(made) == 20
    assert all(KEY_PATTERN.fullmatch(key) for key in made)
    database.close()
    stored = b"".join(path.read_bytes() for path in where.data_root.rglob("*") if path.is_file())
    for key in made:
        assert key.encode() not in stored
        assert key.split("_", 2)[2].encode() not in stored
        assert key not in repr(keys.list())


def test_a_key_is_compared_in_constant_time(keys, monkeypatch):
    """Whatever is sent, digests are compared by hmac.compare_digest."""
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both) or False)
    assert keys.identify(keys.create("me")) is None
    assert compared


def test_a_key_expires_is_revoked_and_notes_its_use(keys, clock):
    """Expiry and revocation hold from that moment on; the last use is exact to a minute."""
    key = keys.create("me", [Scope.DATA_READ], expires_at=START + timedelta(hours=1))
    assert keys.identify(key).scopes == {Scope.DATA_READ}
    assert keys.list()[0].last_used_at == START
    clock.now += timedelta(seconds=30)
    keys.identify(key)
    assert keys.list()[0].last_used_at == START
    clock.now += timedelta(minutes=29)
    assert keys.identify(key) is not None
    assert keys.list()[0].last_used_at == clock.now
    clock.now = START + timedelta(hours=1)
    assert keys.identify(key) is None
    other = keys.create("me")
    assert keys.identify(other) is not None
    keys.revoke(other.split("_")[1])
    assert keys.identify(other) is None
    with pytest.raises(KeyUnknownError):
        keys.revoke("nobody")


@pytest.mark.parametrize("change", [lambda k: k[:-1], lambda k: k + "x", lambda k: k.upper(), lambda k: " " + k, str])
def test_only_the_key_itself_is_the_key(keys, change):
    """A key that was changed in any way, or names another's id, is none."""
    key = keys.create("me")
    other = keys.create("you")
    sent = change(key) if change is not str else "_".join((*other.split("_")[:2], *key.split("_", 2)[2:]))
    assert keys.identify(sent) is None
    assert keys.identify("ats_" + "0" * 12 + "_" + "A" * 43) is None
    assert keys.identify("") is None


def test_the_local_client_finds_its_key_by_itself(where, keys, tmp_path):
    """The first start makes a key for the owner `local`, in a file that only its user reads; later starts keep it."""
    key = local_key(where, keys)
    announce(where, "http://127.0.0.1:1", key)
    assert keys.identify(key).owner == LOCAL_OWNER == "local"
    assert keys.identify(key).scopes == set(ALL_SCOPES)
    for path in (where.data_root / "local.key", tmp_path / "config" / "local.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = find_connection(environment={}, config_folder=tmp_path / "config")
    assert (found.url, found.api_key) == ("http://127.0.0.1:1", key)
    assert key not in repr(found)
    assert local_key(where, keys) == key
    keys.revoke(key.split("_")[1])
    assert local_key(where, keys) != key


@pytest.mark.parametrize("content", ["", "[]", '{"url": 3}', '{"url": "http://127.0.0.1:1", "key": ["x"]}', "[" * 9999])
def test_a_damaged_announcement_is_a_sentence_and_no_obstacle(where, keys, tmp_path, content):
    """The client says which file to delete; a service that starts makes a new key, one that ends leaves the file."""
    told = tmp_path / "config" / "local.json"
    told.parent.mkdir()
    for path in (told, where.data_root / "local.key"):
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"local\.json holds no url and key as JSON texts; delete it"):
        find_connection(environment={}, config_folder=told.parent)
    withdraw(where, "http://127.0.0.1:1")
    assert told.exists()
    assert keys.identify(local_key(where, keys)).owner == LOCAL_OWNER


def test_a_service_that_ended_is_announced_no_longer(where, keys, tmp_path):
    """Its announcement goes with it, another service's that was written since stays, and so does the key."""
    told = tmp_path / "config" / "local.json"
    announce(where, "http://127.0.0.1:1", local_key(where, keys))
    withdraw(where, "http://127.0.0.1:2")
    assert told.exists()
    withdraw(where, "http://127.0.0.1:1")
    withdraw(where, "http://127.0.0.1:1")
    assert not told.exists()
    assert (where.data_root / "local.key").exists()


def test_a_key_for_which_no_scope_is_named_is_no_admin(tmp_path):
    """It may do all that a researcher does, and no more; the data root's own key is made otherwise."""
    root = str(tmp_path / "root")
    made = CliRunner().invoke(app, ["key", "create", "--owner", "me", "--data-root", root])
    assert made.exit_code == 0, made.output
    assert CliRunner().invoke(app, ["key", "list", "--data-root", root]).output.split()[2] == (
        "jobs:write,jobs:read,data:read"
    )


@pytest.mark.parametrize("days", ["nan", "inf", "0", "-1", "1e9"])
def test_a_key_is_not_made_for_days_that_no_calendar_has(tmp_path, days):
    """The command line refuses them by name instead of failing over them."""
    answer = CliRunner().invoke(app, ["key", "create", "--owner", "me", "--days", days, "--data-root", str(tmp_path)])
    assert answer.exit_code == 2
    assert "days" in answer.output


def test_the_data_root_is_private_and_held_by_one(where):
    """Nobody else reads it, also where it was wider; a second service on it is refused and told who holds it."""
    assert stat.S_IMODE(where.data_root.stat().st_mode) == 0o700
    where.data_root.chmod(0o755)
    prepare(where)
    assert stat.S_IMODE(where.data_root.stat().st_mode) == 0o700
    with (
        held(where.data_root),
        pytest.raises(DataRootInUseError, match="another attnscope service"),
        held(where.data_root),
    ):
        pass
    with held(where.data_root):
        pass
    (where.data_root.parent / "file").write_text("")
    with pytest.raises(DataRootUnusableError):
        prepare(Settings(data_root=where.data_root.parent / "file" / "root"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gpu-box"])  # noqa: S104 - what must be refused
def test_beyond_loopback_only_with_tls_or_a_proxy(host, tmp_path):
    """Keys do not travel in the clear: without TLS files or a stated proxy the service does not listen there."""
    with pytest.raises(ExposureError, match="ssh -L"):
        refuse_exposure(Settings(host=host))
    refuse_exposure(Settings(host=host, behind_proxy=True))
    refuse_exposure(Settings(host=host, tls_certificate=tmp_path / "c", tls_key=tmp_path / "k"))
    with pytest.raises(ValueError, match="both"):
        Settings(host=host, tls_certificate=tmp_path / "c")
    for local in ("localhost", "127.0.0.1", "::1"):
        refuse_exposure(Settings(host=local))


def test_a_workers_key_is_bound_and_has_no_other_right(keys, where):
    """It names owners and kinds of device; nobody makes one that is a person's too, or by mistake everybody's."""
    made = keys.identify(keys.create_worker(serves=["b", "a"], device_kinds=["cuda"]))
    assert (made.serves, made.device_kinds, made.of_worker) == ({"a", "b"}, {"cuda"}, True)
    assert not any(made.may(scope) for scope in ALL_SCOPES)
    admin = keys.identify(keys.create("me", ALL_SCOPES))
    assert not admin.may(Scope.WORKER)
    with pytest.raises(ValueError, match="no other scope"):
        keys.create("me", (Scope.WORKER, Scope.JOBS_READ))
    run = CliRunner().invoke
    root = ["--data-root", str(where.data_root)]
    for wrong in ([], ["--serves", "a", "--every-owner"]):
        assert run(app, ["key", "worker", *wrong, *root]).exit_code == 2
    assert run(app, ["key", "create", "--owner", "me", "--scope", "worker", *root]).exit_code == 2
    said = run(app, ["key", "worker", "--serves", "a", "--device-kind", "cpu", "--days", "1", *root])
    assert keys.identify(said.output.strip()).serves == {"a"}
    assert "worker  serves a  devices cpu  expires" in run(app, ["key", "list", *root]).output
