"""The verb ``open`` as a program: a link, a second terminal, the end, and how the browser is led to the page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attnscope.cli.verbs import pages
from attnscope.page.running import Link
from page_browser import Browser, Standing, code_of

PROGRAM = [sys.executable, "-c", "from attnscope.cli import main; main()", "open"]


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """Return the environment of a user without a screen, whose state lies in a fresh folder."""
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "ATTNSCOPE_API_KEY", "ATTNSCOPE_URL"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def until_it_stands(process: subprocess.Popen[str]) -> str:
    """Return what the program says until its page stands."""
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Ctrl-C ends"):
            break
    return said


def link_in(said: str) -> str:
    """Return the link that was printed."""
    return said.partition("it works once: ")[2].split()[0]


def test_a_second_terminal_uses_the_first_page(fake, environment, tmp_path):
    """Both links lead to one server; it ends when its terminal is closed, and leaves no file behind."""
    key = tmp_path / "key"
    key.write_text("right-key")
    command = [*PROGRAM, "last", "--no-browser", "--url", fake.url, "--key-file", str(key)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        first = until_it_stands(process)
        again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        links = [link_in(first), link_in(again.stdout)]
        assert "a page runs already" in again.stdout
        assert len({link.partition("/#")[0] for link in links}) == 1
        port = int(links[0].removeprefix("http://127.0.0.1:").partition("/")[0])
        for link in links:
            browser = Browser(Standing(port, link.partition("&at=")[2]))
            assert browser.enter(code_of(link)).status == 200
            assert browser.ask().json()["title"] == "AD-toy@1"
        cmdline = Path(f"/proc/{process.pid}/cmdline")
        if cmdline.exists():
            assert code_of(links[0]) not in cmdline.read_text()
        process.send_signal(signal.SIGHUP)
        rest = process.stdout.read()
        assert process.wait(30) == 0
    assert "right-key" not in first + rest + again.stdout + again.stderr
    assert list((tmp_path / "state" / "attnscope").iterdir()) == []


def test_what_is_not_there_is_a_sentence(environment, tmp_path):
    """A path that leads nowhere is told as such; any other word is a job's, and a service is asked for it."""
    for what, code, said in ((tmp_path / "none.zarr", 2, "there is nothing at"), ("last", 5, "no service named")):
        command = [*PROGRAM, str(what), "--no-browser"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("opens", [True, False])
def test_the_browser_gets_a_file_and_not_the_link(opens, monkeypatch, capsys, tmp_path):
    """Its command line holds no code; the link is printed only where no browser opens."""
    led = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(pages.webbrowser, "open", lambda address: led.append(address) or opens)
    link = Link("http://127.0.0.1:1/#code=secret&at=x", tmp_path / "open.html")
    pages._lead(link, no_browser=False)
    assert led == [(tmp_path / "open.html").as_uri()]
    assert ("secret" in capsys.readouterr().out) is not opens


def test_no_text_browser_takes_the_terminal(monkeypatch, capsys, tmp_path):
    """Without a screen, as over SSH, the link is printed and nothing is started."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(pages.webbrowser, "open", pytest.fail)
    pages._lead(Link("http://127.0.0.1:1/#code=secret&at=x", tmp_path / "open.html"), no_browser=False)
    assert "secret" in capsys.readouterr().out
