"""What the client makes of interrupted downloads and of answers that cannot be right."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from numcodecs.zstd import Zstd
from typer.testing import CliRunner

import attnscope
import attnscope.capture
import attnscope.download
import attnscope.lazy
import attnscope_storage
from attnscope.cli.main import app
from attnscope.connection import Connection
from attnscope.errors import (
    ConfigurationError,
    DownloadRefusedError,
    SelectionTooLargeError,
    TooLargeError,
    UnauthenticatedError,
    UnexpectedAnswerError,
)
from attnscope.figures.heatmap import heatmap
from attnscope.plain import plain
from attnscope.remote import _npy
from attnscope.retry import Backoff
from attnscope.service import Service
from attnscope.transport import Transport
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.reader import CaptureReader
from attnscope_storage.wire import JobState


@pytest.fixture
def capture(fake):
    """Return the fake service's capture."""
    with attnscope.connect(fake.url, "right-key") as service:
        yield service.job("last").capture()


def same(one, other) -> bool:
    """Return whether two captures hold the same numbers."""
    return all(one[name][:].tobytes() == other[name][:].tobytes() for name in other.names())


def npy(values, **options) -> bytes:
    """Return an array in NumPy's format."""
    out = io.BytesIO()
    np.save(out, values, **options)
    return out.getvalue()


def test_a_download_killed_in_the_middle_of_a_chunk_ends_whole(capture, tmp_path, monkeypatch):
    """A chunk has its name only once it is whole, so the second try fetches what the first left unfinished."""
    write = Path.write_bytes
    left = 5

    def dies(file, content):
        nonlocal left
        left -= 1
        if left == 0:
            write(file, content[: len(content) // 2])
            raise KeyboardInterrupt
        return write(file, content)

    monkeypatch.setattr(Path, "write_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        capture.download(tmp_path / "c.zarr")
    assert not (tmp_path / "c.zarr").exists()
    monkeypatch.setattr(Path, "write_bytes", write)
    offline = attnscope.open(capture.download(tmp_path / "c.zarr"))
    assert same(offline, capture)
    assert [path.name for path in tmp_path.iterdir()] == ["c.zarr"]


def test_a_download_goes_on_where_it_stopped(capture, fake, tmp_path, monkeypatch):
    """Chunks of an earlier try are not fetched again."""
    write = attnscope.download.write_whole
    monkeypatch.setattr(attnscope.download, "write_whole", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        capture.download(tmp_path / "c.zarr")
    count = 0

    def stops(file, content):
        nonlocal count
        if file.name != "zarr.json":
            count += 1
        if count > 3:
            raise OSError("full")
        write(file, content)

    monkeypatch.setattr(attnscope.download, "write_whole", stops)
    with pytest.raises(OSError, match="full"):
        capture.download(tmp_path / "c.zarr")
    monkeypatch.setattr(attnscope.download, "write_whole", write)
    (scratch,) = tmp_path.iterdir()
    kept = sorted(str(path.relative_to(scratch)) for path in scratch.rglob("c.*") if path.is_file())
    assert len(kept) == 3
    fake.asked.clear()
    with attnscope.connect(fake.url, "right-key") as service:
        service.job("last").capture().download(tmp_path / "c.zarr")
    assert not any(path.endswith(chunk) for path in fake.asked for chunk in kept)


def test_leftovers_of_another_capture_are_not_taken_over(capture, tmp_path):
    """A scratch folder of another capture under the same target name is left alone."""
    other = tmp_path / ".c.zarr.0123456789abcdef.partial" / "attention" / "rows"
    other.mkdir(parents=True)
    (other / "c.0.0.0.0.0").write_bytes(b"another capture's")
    offline = attnscope.open(capture.download(tmp_path / "c.zarr"))
    assert same(offline, capture)


@pytest.mark.parametrize(
    "content",
    [
        npy(np.zeros((3, 2), np.float32)),
        npy(np.zeros((2, 3), np.float64)),
        npy(np.zeros((2, 3), np.float32, order="F")),
        npy(np.zeros((2, 3), np.float32))[:-1],
        npy(np.zeros((2, 3), np.float32)) + b"x",
        npy(np.zeros((2, 3), np.float32)).replace(b"(2, 3)", b"(9**9,"),
        npy(np.zeros((2, 3), np.float32)).replace(b"(2, 3), ", b"(10**12,)"[:8]),
        npy(np.array([[None] * 3] * 2), allow_pickle=True),
        b"\x93NUMPY",
        b"",
    ],
)
def test_a_slice_that_is_not_what_was_asked_is_refused(content):
    """Shape, dtype, order and length are checked against the question, objects are never read."""
    with pytest.raises(UnexpectedAnswerError, match="attention/rows"):
        _npy(content, (2, 3), np.dtype(np.float32), "attention/rows")


def test_a_slice_arrives_as_it_was_sent():
    """Every bit, NaN and sign of zero included, in memory that can be written to."""
    values = np.array([[np.nan, -0.0, 1.5]], np.float16)
    got = _npy(npy(values), (1, 3), values.dtype, "attention/rows")
    assert got.tobytes() == values.tobytes()
    got[0, 0] = 1.0


def test_a_heatmap_without_maps_says_so(fake, monkeypatch, tmp_path):
    """A job that stored no whole map gets a reason, not an empty list of files."""
    monkeypatch.setattr(attnscope.capture.Capture, "map_steps", lambda _: [])
    monkeypatch.setenv("ATTNSCOPE_URL", fake.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    result = CliRunner().invoke(app, ["heatmap", "last", "--out", str(tmp_path)])
    assert result.exit_code != 0
    assert "--maps" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


ESCAPES = "a\x1b]0;owned\x07b\x9b31mc\u202ed\x00[bold]e[/bold]<script>f</script>"
"""What a hostile service writes into every text: it would set a title, colours, direction and markup."""


def hostile_root(stored: Path, folder: Path, change) -> Path:
    """Return a copy of a capture whose root document was changed."""
    shutil.copytree(stored, folder)
    document = json.loads((folder / "zarr.json").read_text())
    change(document, document["consolidated_metadata"]["metadata"])
    (folder / "zarr.json").write_text(json.dumps(document))
    return folder


def renamed(name: str):
    """Return a change that gives an array another name."""
    return lambda _document, nodes: nodes.update({name: nodes.pop("env/task")})


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/var/evil",
        "a/../../evil",
        "env/..",
        "a//b",
        "a\\..\\b",
        "env/task\x00",
        "C:evil",
        "~",
        "env/zarr.json",
    ],
)
def test_no_name_leads_out_of_the_folder(fake, tmp_path, name):
    """A root document that names a place elsewhere is refused before a file is written."""
    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", renamed(name))
    target = tmp_path / "deep" / "er" / "c.zarr"
    target.parent.mkdir(parents=True)
    with attnscope.connect(fake.url, "right-key") as service, pytest.raises(ChunkDamagedError):
        service.job("last").capture().download(target)
    assert sorted(path.name for path in tmp_path.rglob("*") if "evil" in path.name) == []
    assert list(target.parent.iterdir()) == []


def test_a_download_follows_no_link(capture, tmp_path):
    """A link planted where an unfinished download lies, at any depth, is refused, and nothing behind it is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    identity = hashlib.sha256(str(capture._reader.root.attributes["capture_id"]).encode()).hexdigest()[:16]
    scratch = tmp_path / f".c.zarr.{identity}.partial"
    for place in ("", "attention", "rollout/action/c.0.0"):
        planted = scratch / place
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.symlink_to(outside)
        with pytest.raises(DownloadRefusedError, match="symbolic link"):
            capture.download(tmp_path / "c.zarr")
        assert list(outside.iterdir()) == []
        planted.unlink()
        shutil.rmtree(scratch, ignore_errors=True)
    (tmp_path / "c.zarr").symlink_to(outside)
    with pytest.raises(DownloadRefusedError, match="exists"):
        capture.download(tmp_path / "c.zarr")


def grown(name: str, steps: int):
    """Return a change that claims more steps of an array."""

    def change(_document, nodes):
        nodes[name]["shape"][0] = steps

    return change


def test_what_is_claimed_is_not_allocated(fake, tmp_path):
    """A shape of exabytes is refused at the selection and at the download, before anything is reserved or fetched."""
    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", grown("rollout/reward", 2**60))
    with attnscope.connect(fake.url, "right-key") as service:
        capture = service.job("last").capture()
        fake.asked.clear()
        with pytest.raises(SelectionTooLargeError, match="fewer steps"):
            capture.rollout.reward[:]
        with pytest.raises(UnexpectedAnswerError, match="free here"):
            capture.download(tmp_path / "c.zarr")
    assert not [path for path in fake.asked if "c.0" in path]


def test_a_chunk_may_not_be_larger_than_any_schema_writes(fake, tmp_path):
    """A chunk shape of terabytes is refused with the document that names it."""

    def change(_document, nodes):
        nodes["rollout/reward"]["chunk_grid"]["configuration"]["chunk_shape"][0] = 2**40

    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", change)
    with attnscope.connect(fake.url, "right-key") as service, pytest.raises(ChunkDamagedError, match="a chunk of"):
        service.job("last").capture()


def test_a_bomb_is_not_unpacked(fake, tmp_path, monkeypatch):
    """A frame that claims another size than the chunk has never reaches zstd; memory stays where it was."""
    folder = tmp_path / "hostile"
    shutil.copytree(fake.stored, folder)
    fake.stored = folder
    chunk = folder / "rollout" / "reward" / "c.0.0"
    bomb = Zstd(level=19, checksum=True).encode(bytes(64 * 2**20))
    huge = b"\x28\xb5\x2f\xfd\xe0" + (2**62).to_bytes(8, "little") + b"\x01\x00\x00"
    monkeypatch.setattr(attnscope.lazy, "VIEW_BYTES", 0)
    decoded = []
    monkeypatch.setattr(Zstd, "decode", lambda *_args, **_options: decoded.append(1))
    for content in (bomb, huge, bomb[:20], b""):
        chunk.write_bytes(content)
        with attnscope.connect(fake.url, "right-key") as service:
            rollout = service.job("last").capture().rollout
            with pytest.raises(ChunkDamagedError, match=r"rollout/reward/c\.0\.0"):
                rollout.reward[0]
    assert decoded == []


@pytest.fixture
def hostile(fake, tmp_path):
    """Return the fake service with escape sequences in every text that it sends."""

    def change(document, _nodes):
        told = document["attributes"]
        told["resolved"]["checkpoint_name"] = told["provenance"]["checkpoint_name"] = ESCAPES
        told["resolved"]["tasks"][0]["label"] = ESCAPES
        told["provenance"]["environment"] = ESCAPES

    fake.stored = hostile_root(fake.stored, tmp_path / "hostile", change)
    fake.label = ESCAPES
    return fake


def no_tricks(text: str) -> bool:
    """Whether a text can neither move a cursor nor hide or turn what stands beside it."""
    return not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["status", "last"], ["watch", "last"], ["summary", "last"], ["status", "nothing"], ["keep", "last"]],
)
def test_no_terminal_is_taken_over(hostile, monkeypatch, arguments):
    """Whatever a service writes, the terminal is sent text; markup is shown, not obeyed."""
    monkeypatch.setenv("ATTNSCOPE_URL", hostile.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    result = CliRunner().invoke(app, arguments)
    shown = result.output + ("" if result.exception is None else plain(str(result.exception)))
    assert no_tricks(shown), ascii(shown)
    if arguments == ["list"]:
        whole = "".join(shown.split())  # the table folds long texts
        assert "[bold]e[/bold]<script>" in whole
        assert "\\x1b" in whole


def test_no_notebook_is_taken_over(hostile):
    """What a notebook shows of a job, a capture or an array is text without tricks, and never HTML."""
    with attnscope.connect(hostile.url, "right-key") as service:
        job = service.job("last")
        capture = job.capture()
        for shown in (service, job, capture, capture.rows, capture.rollout):
            assert no_tricks(repr(shown))
            assert not hasattr(type(shown), "_repr_html_")
        assert no_tricks(json.dumps(capture.provenance, ensure_ascii=False))
        assert no_tricks(capture.resolved.tasks[0].label + capture.resolved.checkpoint_name)
        assert no_tricks(str(job.info.label))
        assert no_tricks(heatmap_text(capture))


def heatmap_text(capture) -> str:
    """Return every text of a heatmap."""
    figure = heatmap(capture, 89)
    return "".join(text.get_text() for text in figure.findobj(Text))


def test_an_error_is_shown_without_tricks(fake):
    """A problem's detail and title are plain before they become an exception."""
    fake.label = ESCAPES
    with attnscope.connect(fake.url, "wrong-key") as service, pytest.raises(UnauthenticatedError) as raised:
        service.whoami()
    assert no_tricks(str(raised.value))
    assert no_tricks(raised.value.problem.title)


def test_a_key_goes_to_its_own_origin_only(fake):
    """A redirect to another service is not followed: that one is never asked, with or without the key."""
    with FakeElsewhere() as elsewhere:
        fake.moved = elsewhere.url
        with attnscope.connect(fake.url, "right-key") as service:
            for method in ("GET", "PUT", "POST"):
                with pytest.raises(UnexpectedAnswerError, match="redirect"):
                    service._transport.request(method, "/v1/moved", content=b"" if method != "GET" else None)
        assert elsewhere.asked == []


class FakeElsewhere(ThreadingHTTPServer):
    """Another origin that notes whoever comes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.asked: list[object] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def verify_request(self, _request, client_address) -> bool:
        """Note a visit and send it away."""
        self.asked.append(client_address)
        return False

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://10.0.0.1:8642",
        "http://127.0.0.1.example.com",
        "http://[2001:db8::1]",
        "ftp://127.0.0.1",
    ],
)
def test_a_key_travels_in_the_clear_on_loopback_only(url):
    """Nothing is sent: the address is refused with the key in hand, and the refusal does not repeat the key."""
    with pytest.raises(ConfigurationError) as raised:
        attnscope.connect(url, "right-key")
    assert "right-key" not in str(raised.value)


def test_a_selection_past_the_services_cap_arrives_in_parts(fake):
    """The service refuses more than so many bytes at once; the same numbers arrive in several slices."""
    fake.cap = 700
    with attnscope.connect(fake.url, "right-key") as service:
        capture = service.job("last").capture()
        fake.asked.clear()
        for key in ((slice(None), 0), (slice(80, 3, -3), [1, 0]), (slice(0, 50), 1, 0)):
            array = capture.stats.entropy if len(key) < 3 else capture.rows
            expected = CaptureReader.open(fake.stored).array(array.name)[:][key]
            assert np.array_equal(array[key], expected, equal_nan=True)
        assert sum("/slice?" in path for path in fake.asked) > 6
        fake.cap = 0
        with pytest.raises(TooLargeError):
            capture.rows[0]


def test_waiting_outlasts_a_restart(fake):
    """A service that goes away while a job is waited for, and comes back at the same address, is asked again."""
    moments = []

    def restarts(_seconds):
        moments.append(1)
        if len(moments) == 6:
            fake.down = False

    fake.down = True
    connection = Connection(fake.url, "right-key", "a test")
    fake.down_after = 1
    with Service(Transport(connection, sleep=restarts, backoff=Backoff(attempts=3))) as service:
        job = service.job("last")
        assert job.wait().state is JobState.SUCCEEDED
    assert len(moments) >= 6


def test_nothing_is_ever_unpickled():
    """No module of the laptop's side names pickle, eval or exec, nor lets NumPy or YAML read objects."""
    roots = [Path(attnscope.__file__).parent, Path(attnscope_storage.__file__).parent]
    forbidden = {
        "pickle",
        "cloudpickle",
        "dill",
        "marshal",
        "shelve",
        "joblib",
        "eval",
        "exec",
        "allow_pickle",
        "unsafe_load",
    }
    for path in (path for root in roots for path in root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = {getattr(node, field, None) for field in ("id", "name", "module")}
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant) and node.value.value is not False:
                names.add(node.arg)
            assert not {name for name in names if isinstance(name, str)} & forbidden, (path, node.lineno)
