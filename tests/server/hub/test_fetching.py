"""The way from the Hub: the listing first, the files that are read here, their hashes, and a stop at all else."""

from __future__ import annotations

import hashlib
import itertools
import json
import socket

import pytest

from attnscope_server.errors import HubRefusedError
from attnscope_server.hub import download as downloading
from attnscope_server.hub.addresses import is_public, public_connection
from attnscope_server.hub.asking import Hub
from attnscope_server.hub.download import download
from attnscope_server.hub.source import hub_source
from hub_stand_in import REVISION, SOURCE

MOST = 10**6
HUGE = 5 * 2**30


@pytest.fixture
def fetch(connect, tmp_path):
    """Return a function that downloads the stand-in's repository and returns what was said."""

    def fetched(most=MOST, **options):
        said = []
        download(Hub(connect, **options), hub_source(SOURCE), tmp_path, most, said.append)
        return said

    return fetched


def test_the_files_that_are_read_here_arrive_and_no_other_is_asked_for(stand_in, fetch, tmp_path, monkeypatch):
    """Sizes are said before anything is fetched; no token, cookie or proxy of the environment is used."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTPS_PROXY", "https_proxy", "HF_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/secret")
    stand_in.files["modeling_own.py"] = b"raise SystemExit"
    stand_in.files["pytorch_model.bin"] = b"\x80\x02."
    said = fetch()
    assert "model.safetensors 167,312 bytes" in said[0]
    assert f"sha256 {hashlib.sha256(stand_in.files['model.safetensors']).hexdigest()}" in said[1]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        name: stand_in.files[name] for name in ("config.json", "model.safetensors", "attnscope.json")
    }
    hosts = [host for host, _, _ in stand_in.asked]
    assert hosts == ["huggingface.co", "huggingface.co", "store.example", "huggingface.co", "huggingface.co"]
    for _, path, header in stand_in.asked:
        assert not {"authorization", "cookie"} & {name.lower() for name in header}
        assert "secret" not in str(header)
        assert REVISION in path or path.startswith("/model.safetensors?signature")


def test_a_relative_redirect_stays_with_the_hub(stand_in, fetch, tmp_path):
    """The Hub sends small files on to another path of its own."""
    body = stand_in.files["config.json"]
    stand_in.answers[stand_in.way("config.json")] = (
        307, {"Location": "/api/resolve-cache/config.json", "X-Repo-Commit": REVISION}, b""
    )  # fmt: skip
    stand_in.answers["/api/resolve-cache/config.json"] = (200, {}, body)
    fetch()
    assert (tmp_path / "config.json").read_bytes() == body


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/model.safetensors",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.7/",
        "https://192.168.1.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "https://localhost/",
    ],
)
def test_a_redirect_to_this_machine_or_its_neighbours_is_refused(stand_in, fetch, address):
    """Whatever the Hub says, nothing is fetched from an address that is not public."""
    stand_in.answers[stand_in.way("model.safetensors")] = (302, {"Location": address}, b"")
    with pytest.raises(HubRefusedError, match=r"no public address|has no address"):
        fetch()


@pytest.mark.parametrize(
    "address",
    [
        "http://store.example/model.safetensors",
        "https://store.example:8443/",
        "https://user:word@store.example/",
        "file:///etc/passwd",
        "data:,nothing",
        "https://store.example:99999/",
    ],
)
def test_a_redirect_that_is_no_plain_address_over_tls_is_refused(stand_in, fetch, address):
    """Another scheme, port or user never belongs to a file of the Hub."""
    stand_in.answers[stand_in.way("model.safetensors")] = (302, {"Location": address}, b"")
    with pytest.raises(HubRefusedError, match="expected an address https://HOST"):
        fetch()


def test_a_redirect_to_what_is_no_address_is_refused(stand_in, fetch):
    """A bracket that never ends is refused in words."""
    stand_in.answers[stand_in.way("model.safetensors")] = (302, {"Location": "https://[::1"}, b"")
    with pytest.raises(HubRefusedError, match=r"leads to 'https://\[::1', which is no address"):
        fetch()


def test_a_name_with_one_hidden_address_is_refused(monkeypatch):
    """A name server that gives a public address beside a private one is not believed at all."""
    both = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "10.1.2.3")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(HubRefusedError, match=r"leads to 10\.1\.2\.3, which is no public address"):
        public_connection("rebound.example")


def test_the_address_that_was_judged_is_connected_to(monkeypatch):
    """The name is resolved once: a second answer of the name server changes nothing."""
    public = [(2, 1, 6, "", ("93.184.216.34", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: public)
    connection = public_connection("store.example")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("resolved again"))
    opened = []

    def create(address, timeout):
        opened.append((address, timeout > 0))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", create)
    with pytest.raises(ConnectionRefusedError):
        connection.connect()
    assert opened == [(("93.184.216.34", 443), True)]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:a00:1::", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("fec0::1", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("64:ff9b:1::7f00:1", False),
    ],
)
def test_addresses_that_carry_another_are_judged_by_it(address, public):
    """Shared, multicast and link-local ones are none, nor one of IPv6 that stands for a private one of IPv4."""
    assert is_public(address) is public


def replaced(stand_in, content):
    """Send other bytes than those that the listing is of."""
    listing = json.dumps(stand_in.listing()).encode()
    stand_in.answers[f"/api/models/someone/policy/tree/{REVISION}"] = (200, {}, listing)
    stand_in.files["model.safetensors"] = content(stand_in.files["model.safetensors"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda whole: whole[:-1] + b"x", "its bytes are not those of the listing's hash"),
        (lambda whole: whole + b"x", "sends more than the 167312 bytes that were announced"),
        (lambda whole: whole[:-9], "expected 167312 bytes as listed, got 167303"),
        (lambda _: b"", "expected 167312 bytes as listed, got 0"),
    ],
)
def test_other_bytes_than_listed_are_refused(stand_in, fetch, content, reason):
    """One byte changed, too many, too few, none."""
    replaced(stand_in, content)
    with pytest.raises(HubRefusedError, match=reason):
        fetch()


def test_a_small_file_is_held_against_its_name_in_git(stand_in, fetch):
    """The listing has no sha256 of it, but the name that git gives to its bytes."""
    stand_in.entries["config.json"] = {"oid": "2" * 40}
    with pytest.raises(HubRefusedError, match=r"config.json: its bytes are not those of the listing's hash"):
        fetch()


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("model.safetensors", {"size": HUGE, "lfs": {"oid": "0" * 64, "size": HUGE}}, "more than the 4294967296"),
        ("config.json", {"size": 70_000}, "config.json has 70000 bytes, more than the 65536 read here"),
        ("config.json", {"size": -1}, "no size and hash of config.json"),
        ("config.json", {"size": True}, "no size and hash of config.json"),
        ("config.json", {"oid": "../../x"}, "no size and hash of config.json"),
        ("model.safetensors", {"lfs": {"oid": "0" * 64, "size": 3}}, "no size and hash of model.safetensors"),
        ("model.safetensors", {"lfs": {"oid": "zz", "size": 167_312}}, "no size and hash of model.safetensors"),
        ("model.safetensors", {"path": "sub/model.safetensors"}, "lists no model.safetensors"),
        ("model.safetensors", {"path": "..\\model.safetensors"}, "lists no model.safetensors"),
        ("config.json", {"path": "../../config.json"}, "lists no config.json"),
        ("config.json", {"type": "directory"}, "lists no config.json"),
    ],
)  # fmt: skip
def test_a_listing_that_says_otherwise_is_refused_before_anything_is_fetched(stand_in, fetch, name, changes, reason):
    """Sizes beyond what is read, kinds and hashes that are none, names that lead elsewhere."""
    stand_in.entries[name] = changes
    with pytest.raises(HubRefusedError, match=reason):
        fetch()
    assert len(stand_in.asked) == 1


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"{}", b"[1, null, [2]]", b"\xff"])
def test_a_listing_that_is_none_is_refused(stand_in, fetch, content):
    """Cut short, nested without end, of another shape, no text."""
    stand_in.answers[f"/api/models/someone/policy/tree/{REVISION}"] = (200, {}, content)
    with pytest.raises(HubRefusedError, match=r"listing is no JSON|lists no"):
        fetch()


def test_a_name_that_is_listed_twice_is_refused(stand_in, fetch):
    """Nobody knows which of the two is meant."""
    stand_in.more = [stand_in.listing()[0]]
    with pytest.raises(HubRefusedError, match=r"has config.json twice"):
        fetch()


def test_a_listing_without_end_is_left(stand_in, fetch):
    """A listing of more than a megabyte is not read on."""
    stand_in.answers[f"/api/models/someone/policy/tree/{REVISION}"] = (200, {}, b" " * (2**20 + 1))
    with pytest.raises(HubRefusedError, match="sends more than the 1048576 bytes"):
        fetch()


@pytest.mark.parametrize("commit", [None, "f" * 40])
def test_the_hub_has_to_name_the_commit(stand_in, fetch, commit):
    """A revision that the Hub takes for something else than this commit is not fetched."""
    stand_in.commit = commit
    with pytest.raises(HubRefusedError, match=f"expected the commit {REVISION}, the Hub names"):
        fetch()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "no token is ever sent"), (403, "gated"), (404, "no such repository"), (500, "status 500"), (206, "206")],
)
def test_an_answer_that_is_no_file_is_a_sentence(stand_in, fetch, status, reason):
    """Private and gated repositories need a token, which this program has no way to send."""
    stand_in.answers[stand_in.way("config.json")] = (status, {"X-Repo-Commit": REVISION}, b"no")
    with pytest.raises(HubRefusedError, match=reason):
        fetch()


def test_a_redirect_without_a_place_is_refused(stand_in, fetch):
    """The same path is not asked again and again."""
    stand_in.answers[stand_in.way("config.json")] = (302, {}, b"")
    with pytest.raises(HubRefusedError, match="it leads elsewhere and does not say where"):
        fetch()


def test_a_head_that_never_ends_is_cut_off(stand_in, fetch):
    """Bytes that come one by one keep a socket's own limit from ending; the whole answer has a time."""
    stand_in.silent.add(stand_in.way("config.json"))
    with pytest.raises(HubRefusedError, match=r"the Hub names None|does not answer") as caught:
        fetch(least=0.1)
    assert "timed out" not in str(caught.value)


def test_redirects_end(stand_in, fetch):
    """A file that is always elsewhere is given up."""
    way = stand_in.way("model.safetensors")
    stand_in.answers[way] = (302, {"Location": way, "X-Repo-Commit": REVISION}, b"")
    with pytest.raises(HubRefusedError, match="more than 5 redirects"):
        fetch()


def test_a_compressed_body_is_refused(stand_in, fetch):
    """A few bytes that unpack to many are no way to send a checkpoint."""
    stand_in.answers[stand_in.way("config.json")] = (200, {"Content-Encoding": "gzip", "X-Repo-Commit": REVISION}, b"")
    with pytest.raises(HubRefusedError, match="compressed body, which nobody asked for"):
        fetch()


def test_a_body_that_hardly_moves_is_given_up(fetch):
    """A body has a minute, or as long as its size takes at 50 kB a second; then it ends, whatever still comes."""
    clock = itertools.count(0, 40)
    with pytest.raises(HubRefusedError, match="too slowly: given up"):
        fetch(clock=lambda: next(clock))


def test_a_body_that_breaks_off_is_refused(stand_in, fetch):
    """The connection ends before the length that its header said."""
    header = {"Content-Length": "600", "X-Repo-Commit": REVISION}
    stand_in.answers[stand_in.way("attnscope.json")] = (200, header, stand_in.files["attnscope.json"][:50])
    with pytest.raises(HubRefusedError, match=r"attnscope.json: expected .* bytes as listed, got 50"):
        fetch()


def test_more_than_the_operator_allows_is_refused_before_it_is_fetched(stand_in, fetch):
    """The sum of the sizes is known from the listing."""
    with pytest.raises(HubRefusedError, match="more than the 1000 of the setting hub_bytes"):
        fetch(most=1000)
    assert len(stand_in.asked) == 1


def test_a_disk_without_room_is_told_before(stand_in, fetch, monkeypatch):
    """A checkpoint takes several times its size while it is added."""
    full = type("Usage", (), {"free": 200_000})
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: full)
    with pytest.raises(HubRefusedError, match="and 200000 are free"):
        fetch()
    assert len(stand_in.asked) == 1


@pytest.mark.parametrize(
    "text",
    [
        "hf://someone/policy",
        "hf://someone/policy@main",
        f"hf://someone/policy@{REVISION.upper()}",
        f"hf://someone/policy@{REVISION}0",
        f"hf://someone/../policy@{REVISION}",
        f"hf://some..one/policy@{REVISION}",
        f"hf://someone/policy/sub@{REVISION}",
        f"hf://someone\\policy@{REVISION}",
        f"hf://someone/pol icy@{REVISION}",
        f"hf://someone/policy?x@{REVISION}",
        f"hf://someone/policy@{REVISION}\n",
        f"hf://user@host/policy@{REVISION}",
    ],
)
def test_a_source_that_is_no_repository_at_a_commit_is_refused(text):
    """Branches and tags, other separators, what a path would be made of."""
    with pytest.raises(HubRefusedError, match="expected hf://OWNER/NAME@COMMIT"):
        hub_source(text)


def test_a_path_is_no_source_of_the_hub():
    """Only what begins with hf:// is one."""
    assert hub_source("models/hf/policy") is None
    assert str(hub_source(SOURCE)) == SOURCE
