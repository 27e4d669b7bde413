"""A second ``open`` uses the first server, proves itself to it, and believes no other program on its port."""

from __future__ import annotations

import json
import os
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from attnscope.errors import ConfigurationError
from attnscope.page.opening import running_already, served
from attnscope.page.running import Again, Prover, Running, note, noted, proof, state_file
from attnscope.page.subjects import Subject
from page_browser import Browser, code_of


def test_a_second_open_gets_a_link_of_the_first(page, planted, state_folder):
    """The link's code opens the capture that the second one named, on the same port."""
    other = planted(steps=20)
    link = running_already(None, str(other), folder=state_folder)
    assert link.address.startswith(f"http://127.0.0.1:{page.port}/#code=")
    visitor = Browser(page)
    assert visitor.enter(code_of(link.address)).status == 200
    name = link.address.partition("&at=")[2]
    assert visitor.ask(at=name).json()["name"] == Subject.of_folder(other).name
    assert link.address in link.file.read_text().replace("&amp;", "&")


def test_another_port_needs_another_server(page, planted, state_folder):
    """A tunnel leads to one port, so a page that runs on another is of no use there."""
    folder = str(planted(steps=20))
    assert running_already(None, folder, page.port + 1, state_folder) is None
    assert running_already(None, folder, page.port, state_folder) is not None


def test_what_leads_there_is_its_owners_alone(page, state_folder):
    """State file and link files have mode 0600; no code stands in the state file."""
    link = page.show(next(iter(page.subjects.values())))
    for path in (link.file, state_file(None, state_folder)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert code_of(link.address) not in state_file(None, state_folder).read_text()


def test_a_state_file_that_others_can_write_is_not_believed(tmp_path):
    """Nor one that is damaged."""
    path = tmp_path / "page.json"
    note(path, Running(1, 2, "secret"))
    assert noted(path) == Running(1, 2, "secret")
    path.chmod(0o620)
    assert noted(path) is None
    path.chmod(0o600)
    numbers = [f'{{"port": {port}, "pid": 1, "secret": "s"}}' for port in ('"x"', "1e999", "[]")]
    for text in ("", "[]", '{"port": 1}', *numbers):
        path.write_text(text)
        assert noted(path) is None, text


class Squatter(BaseHTTPRequestHandler):
    """A program on the port of an ended page: it says whatever it was told to, and keeps what it hears."""

    said: dict[str, object]
    heard: list[str]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer as if it were a page server."""
        self.heard.append(self.path)
        body = json.dumps(self.said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Keep the body."""
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.do_GET()


@pytest.mark.parametrize(
    "said",
    [{"challenge": "c", "proof": "0" * 64}, {"challenge": "c", "proof": "é"}, {}, [], {"challenge": 1, "proof": None}],
)
def test_a_squatted_port_is_not_taken_for_ours(said, tmp_path):
    """It gets a nonce, and neither the secret nor the name of what is opened."""
    handler = type("Told", (Squatter,), {"said": said, "heard": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as squatter:
        thread = threading.Thread(target=squatter.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        secret = "5" * 64
        note(state_file(None, tmp_path), Running(squatter.server_address[1], os.getpid(), secret))
        assert running_already(None, "/a/secret/folder", folder=tmp_path) is None
        squatter.shutdown()
        thread.join()
    assert len(handler.heard) == 1
    assert secret not in handler.heard[0]
    assert "folder" not in handler.heard[0]


def test_nobody_listens_there_any_more(tmp_path):
    """A state file that a killed page left behind is passed over."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Squatter) as ended:
        port = ended.server_address[1]
    note(state_file(None, tmp_path), Running(port, os.getpid(), "secret"))
    assert running_already(None, "/folder", folder=tmp_path) is None


def test_only_somebody_with_the_secret_opens_more(page, planted, stranger):
    """A proof for another folder, a used challenge, a challenge of nobody and a browser are refused."""
    one, other = str(planted(steps=20)), "/etc"
    intruder = stranger()

    def said(subject: str, **changes: str) -> dict[str, str]:
        challenge = intruder.send("GET", "/proof?nonce=1").json()["challenge"]
        fields = {"challenge": challenge, "subject": subject, "proof": proof(page.secret, "client", challenge, subject)}
        return fields | changes

    right = said(one)
    wrong = [said(one) | {"subject": other}, said(one, challenge="0" * 32), said(one, proof=""), said(one, proof="é")]
    for body in wrong:
        assert intruder.send("POST", "/again", body, Origin="").status == 403
    assert intruder.send("POST", "/again", said(one)).status == 403, "a browser always says its origin"
    assert intruder.send("POST", "/again", right, Origin="").status == 200
    assert intruder.send("POST", "/again", right, Origin="").status == 403, "the challenge was used"


def test_a_server_s_proof_is_not_a_client_s():
    """A squatter cannot hand the server's own proof back to it."""
    prover = Prover("secret")
    given = prover.answer("")
    assert not prover.believes(Again(given.challenge, "", given.proof))


def test_the_state_file_goes_with_the_server(tmp_path):
    """And so do the files that lead to it; a state file that is another's by now stays."""
    with served(None, lambda name: Subject.of_folder(Path(name)), folder=tmp_path) as server:
        server.links.write("http://127.0.0.1:1/")
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []
    with served(None, lambda name: Subject.of_folder(Path(name)), folder=tmp_path):
        note(state_file(None, tmp_path), Running(1, 2, "another"))
    assert noted(state_file(None, tmp_path)) == Running(1, 2, "another")


def test_a_port_that_is_taken_is_a_sentence(page, tmp_path):
    """It names the port."""
    with pytest.raises(ConfigurationError, match=str(page.port)), served(None, Subject, page.port, tmp_path):
        raise AssertionError
