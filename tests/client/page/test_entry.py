"""Nobody but the browser that was led here reads a view: hosts, origins, ports, codes, sessions, headers."""

from __future__ import annotations

import re

import pytest

from attnscope.page.assets import ASSETS, HEADERS
from attnscope.page.entry import CODE_SECONDS, MOST_SESSIONS, Entry, is_own_host
from attnscope.page.handler import BODY_BYTES
from attnscope.page.subjects import Subject


def test_a_browser_that_was_led_here_reads(browser):
    """The two halves of its session open every question."""
    assert browser.ask().status == 200
    assert browser.ask().json()["heads"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", "[::2]", "a@localhost", ""],
)
def test_a_foreign_host_is_refused(browser, host):
    """A name that was rebound to loopback is still that name, with a right session too."""
    for path in ("/", "/api/about", "/proof?nonce=1"):
        assert browser.send("GET", path, Host=host).status in {400, 421}, path
    assert browser.send("POST", "/session", {"code": browser.server.entry.new_code()}, Host=host).status in {400, 421}


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:9000", "[::1]:9000", "LOCALHOST:1"])
def test_a_tunnel_may_have_another_port(host):
    """Behind ``ssh -L 9000:localhost:PORT`` the browser names its own end."""
    assert is_own_host(host)


def foreign_origins(browser) -> list[str]:
    """Return origins of other pages: of the web, of another local port, of another name, of a file."""
    port = browser.server.port
    others = ["https://evil.example", f"http://127.0.0.1:{port + 1}", f"http://localhost:{port}", "null"]
    return [*others, f"https://127.0.0.1:{port}"]


def test_a_code_is_exchanged_for_the_page_alone(browser, page, stranger):
    """A page of another origin, another local port among them, gets no session for a right code; nor does no origin."""
    for origin in [*foreign_origins(browser), ""]:
        assert stranger().enter(page.entry.new_code(), Origin=origin).status == 401, origin


def test_another_origin_reads_nothing_with_a_right_session(browser):
    """Not by a request that says its origin, nor by one that only says that it crosses sites or ports."""
    for origin in foreign_origins(browser):
        assert browser.ask(headers={"Origin": origin}).status == 401, origin
    for site in ("cross-site", "same-site", "none"):
        assert browser.ask(headers={"Sec_Fetch_Site": site}).status == 401, site
    assert browser.ask(headers={"Sec_Fetch_Site": "same-origin"}).status == 200


def test_a_preflight_is_not_answered(browser):
    """So no other origin's script can send the header that every question needs."""
    answer = browser.send("OPTIONS", "/api/about", Origin="http://127.0.0.1:1")
    assert answer.status == 501
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_code_works_once(page, stranger):
    """The second exchange of it is refused, and so is a code that was never made."""
    code = page.entry.new_code()
    assert stranger().enter(code).status == 200
    assert stranger().enter(code).status == 401
    assert stranger().enter("").status == 401


def test_a_code_works_for_a_minute():
    """Later it is refused."""
    now = [0.0]
    entry = Entry(lambda: now[0])
    first, second = entry.new_code(), entry.new_code()
    now[0] = CODE_SECONDS
    assert entry.exchange(first) is not None
    now[0] = CODE_SECONDS + 0.1
    assert entry.exchange(second) is None


def test_a_second_browser_is_refused(browser, stranger):
    """Without a session, with either half alone, and with halves of two sessions."""
    other = stranger()
    assert other.ask().status == 401
    other.cookie = browser.cookie
    assert other.ask().status == 401
    other.cookie, other.token = "", browser.token
    assert other.ask().status == 401
    assert other.enter(other.server.entry.new_code()).status == 200
    other.token = browser.token
    assert other.ask().status == 401
    assert browser.ask().status == 200


def test_a_second_link_leaves_the_browsers_other_tabs_in(browser, page, stranger):
    """They share its one cookie, so the session stays; a cookie of nobody gets a session of its own."""
    first = browser.token
    assert browser.enter(page.entry.new_code()).status == 200
    assert browser.token == first
    assert browser.ask().status == 200
    other = stranger()
    other.cookie = f"{page.entry.cookie_name}=of-nobody"
    assert other.enter(page.entry.new_code()).status == 200
    assert "of-nobody" not in other.cookie
    assert other.ask().status == 200
    assert browser.enter("used").status == 401


def test_sessions_are_bounded():
    """The oldest ends when one too many begins."""
    entry = Entry()
    made = [entry.exchange(entry.new_code()) for _ in range(MOST_SESSIONS + 1)]
    admitted = [entry.admits(f"{entry.cookie_name}={one.cookie}", one.token) for one in made]
    assert admitted == [False] + [True] * MOST_SESSIONS


def test_the_cookie_is_out_of_reach_of_scripts(page, stranger):
    """It is HttpOnly, of the same site alone, without a domain, and named for this server."""
    said = stranger().enter(page.entry.new_code()).headers["Set-Cookie"]
    assert re.fullmatch(rf"{page.entry.cookie_name}=[\w-]+; Path=/; HttpOnly; SameSite=Strict", said)


def test_every_answer_forbids_what_the_page_does_not_need(browser):
    """No inline script, no frame, no guess of types, no copy in a cache; refusals say it too."""
    answers = [browser.send("GET", path) for path in ASSETS]
    answers += [browser.ask(), browser.send("GET", "/nothing"), browser.send("POST", "/session", {"code": "no"})]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == dict(HEADERS)
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_has_nothing_inline(browser):
    """Its document holds no script, no style and no handler of its own, and names no other host.

    The name of SVG's elements looks like an address, and is never fetched.
    """
    for path in ASSETS:
        text = browser.send("GET", path).body.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), path
    document = browser.send("GET", "/").body.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|javascript:", document)


def test_only_listed_routes_are_there(browser):
    """No file besides the page's own, no proxy of the service, no way up."""
    for path in ("/v1/jobs", "/static/page.css", "/../server.py", "/%2e%2e/server.py", "/main.js/..", "/api/"):
        assert browser.send("GET", path).status == 404, path
    for method in ("PUT", "DELETE", "PATCH", "HEAD"):
        assert browser.send(method, "/api/about").status == 501, method


def test_bodies_are_small_json_of_texts(browser):
    """Anything else is refused before it is read."""
    for body in ([], "x", {"code": 1}, {"code": "x" * BODY_BYTES}):
        assert browser.send("POST", "/session", body).status == 400
    assert browser.send("POST", "/session", {"code": "x"}, Transfer_Encoding="chunked").status == 400


def test_questions_are_read_strictly(browser):
    """A number that is none, a place that is not there and a capture that was not opened are said in words."""
    for asked in ({"env": "-1", "step": "0"}, {"env": "٣", "step": "0"}, {"env": "0", "step": "1e3"}, {"env": "0"}):
        assert browser.ask("/api/heads", **asked).status == 400, asked
    for asked in ({"env": 3, "step": 0}, {"env": 0, "step": 120}):
        assert browser.ask("/api/heads", **asked).status == 404, asked
    assert browser.ask("/api/map", env=0, step=0, layer=4, head=0).status == 404
    assert browser.ask(at="../a.zarr").status == 404


def test_labels_come_without_control_characters(page, planted, browser):
    """Escape sequences and characters that turn the direction of text are spelled out; markup stays a text."""
    hostile = "<img src=x onerror=alert(1)>\x1b[31m\u202e\u200b\u00ad\U000e0041"
    subject = Subject.of_folder(planted(name=hostile, steps=20))
    page.show(subject)
    answer = browser.ask(at=subject.name)
    assert answer.json()["title"] == "<img src=x onerror=alert(1)>\\x1b[31m\\u202e\\u200b\\xad\\U000e0041"
    assert answer.headers["Content-Type"] == "application/json"
