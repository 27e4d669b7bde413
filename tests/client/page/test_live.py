"""The live page in Chromium beside others: a running job, a service that dies, another tab, another local port."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from attnscope.connecting.connection import Connection
from attnscope.connecting.retry import Backoff
from attnscope.connecting.transport import Transport
from attnscope.page import answers, subjects
from attnscope.page.opening import served
from attnscope.page.subjects import Subject
from attnscope.service import Service
from chromium import rest, shown, text
from page_browser import Browser


class Neighbour(BaseHTTPRequestHandler):
    """A page on another port of this machine; it keeps the cookies that browsers bring."""

    cookies: list[str]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with an empty page that may do anything."""
        self.cookies.append(self.headers.get("Cookie", ""))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()


READS = """
const done = arguments[1];
fetch(arguments[0], {credentials: "include", headers: {"X-Attnscope-Page": "guess"}})
  .then((answer) => done(`read ${answer.status}`), () => done("refused"));
"""


def test_another_local_port_gets_the_cookie_and_reads_nothing(chrome, page):
    """A browser sends its cookies to every port of a host; the cookie alone opens nothing, and its page neither."""
    subject = next(iter(page.subjects.values()))
    chrome.get(page.show(subject).address)
    WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
    handler = type("Keeps", (Neighbour,), {"cookies": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as neighbour:
        thread = threading.Thread(target=neighbour.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        chrome.get(f"http://127.0.0.1:{neighbour.server_address[1]}/")
        address = f"http://127.0.0.1:{page.port}/api/about?at={subject.name}"
        assert chrome.execute_async_script(READS, address) == "refused"
        neighbour.shutdown()
        thread.join()
    assert page.entry.cookie_name in handler.cookies[0]
    thief = Browser(page)
    thief.cookie = handler.cookies[0]
    assert thief.ask().status == 401


def test_another_tab_is_let_in(chrome, page):
    """A tab that was opened by hand gets the session from one that is open; a link's code is not needed again."""
    chrome.get(page.show(next(iter(page.subjects.values()))).address)
    WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
    first, here = chrome.current_window_handle, chrome.current_url
    chrome.switch_to.new_window("tab")
    chrome.get(here)
    WebDriverWait(chrome, 20).until(lambda _: shown(chrome) >= 2)
    chrome.close()
    chrome.switch_to.window(first)


def test_a_second_link_is_followed_and_leaves_the_first_tab_in(chrome, page, planted):
    """Pasted into the same tab it shows its own capture, its code leaves the address, and another tab reads on."""
    first = next(iter(page.subjects.values()))
    chrome.get("about:blank")
    chrome.get(page.show(first).address)
    WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
    here = chrome.current_window_handle
    chrome.switch_to.new_window("tab")
    chrome.get(page.show(first).address)
    WebDriverWait(chrome, 30).until(lambda _: shown(chrome) >= 2)
    chrome.get(page.show(Subject.of_folder(planted(steps=20, name="AD-other@2"))).address)
    WebDriverWait(chrome, 30).until(lambda _: text(chrome, "title") == "AD-other@2")
    assert "code" not in chrome.current_url
    chrome.close()
    chrome.switch_to.window(here)
    chrome.find_element(By.ID, "back").click()
    rest(chrome)
    assert text(chrome, "heads-note") == ""
    assert text(chrome, "heads-title") == "Heads at step 118"


def test_without_a_session_the_page_says_what_to_do(chrome, page):
    """It shows nothing of the capture."""
    chrome.switch_to.new_window("tab")
    first = chrome.window_handles[0]
    chrome.switch_to.window(first)
    chrome.get("about:blank")
    chrome.switch_to.window(chrome.window_handles[1])
    chrome.get(f"http://127.0.0.1:{page.port}/#code=used&at=x")
    WebDriverWait(chrome, 20).until(lambda _: "no access" in text(chrome, "banner"))
    assert not chrome.find_elements(By.CSS_SELECTOR, "h1, canvas")
    chrome.close()
    chrome.switch_to.window(first)


def test_a_running_job_grows_and_its_service_may_die(chrome, planted, serve, state_folder, monkeypatch):
    """The band grows without a reload; a dead service is said, and its return; a cancelled job says so."""
    monkeypatch.setattr(subjects, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(subjects, "REST_SECONDS", 0.05)
    monkeypatch.setattr(answers, "WAIT_SECONDS", 0.5)
    fake = serve(planted(until=2))
    fake.state = "running"
    connection = Connection(fake.url, "right-key", "a test")
    with (
        Service(Transport(connection, backoff=Backoff(attempts=1))) as service,
        served(fake.url, lambda name: Subject.of_job(service.job(name)), folder=state_folder) as server,
    ):
        chrome.get(server.show(Subject.of_job(service.job("last"))).address)
        wait = WebDriverWait(chrome, 30, 0.05)
        wait.until(lambda _: text(chrome, "of") == "of 16")
        chrome.execute_script("window.mine = true")
        fake.stored = planted(until=4)
        wait.until(lambda _: text(chrome, "of") == "of 32")
        wait.until(lambda _: "Steps 0 to 31." in text(chrome, "band-words"))
        assert text(chrome, "heads-title") == "Heads at step 31"
        chrome.execute_script("location.hash += '&step=3'")
        wait.until(lambda _: text(chrome, "heads-title") == "Heads at step 3")
        rest(chrome)
        chrome.find_element(By.ID, "focus").send_keys(Keys.ARROW_LEFT)
        wait.until(lambda _: text(chrome, "words").startswith("Step 3: the query itself"))
        fake.down = True
        wait.until(lambda _: "does not answer" in text(chrome, "banner"))
        fake.down, fake.stored, fake.state = False, planted(until=5), "cancelled"
        wait.until(lambda _: text(chrome, "of") == "of 40")
        wait.until(lambda _: text(chrome, "state") == "cancelled at step 40")
        assert not chrome.find_element(By.ID, "banner").is_displayed()
        assert text(chrome, "words").startswith("Step 3: the query itself"), "a commit leaves the reader's cursor alone"
        assert chrome.execute_script("return window.mine") is True
        kept = "JSON.stringify(sessionStorage), JSON.stringify(localStorage)"
        said = chrome.execute_script(f"return [document.documentElement.outerHTML, location.href, {kept}]")
        assert "right-key" not in " ".join(said)
    wait.until(lambda _: "has ended" in text(chrome, "banner"))
