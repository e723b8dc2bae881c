"""A real browser for tests of pages: headless Chromium, spoken to over its DevTools pipe."""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip

# for pages of `cellscaper page`: a promise of the end of the drawing
IDLE = "new Promise(ready => {const look = setInterval(() => busy() || (clearInterval(look), ready()), 10)})"


class Browser:
    """A page in headless Chromium: what it asks for, what it logs, what JavaScript finds in it."""

    def __init__(self, folder, width=1280, height=900):
        (to_read, self._write), (self._read, to_write) = os.pipe(), os.pipe()
        to_read, to_write = (_above_4(one) for one in (to_read, to_write))
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(  # Chromium reads commands on 3 and answers on 4
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *command],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest, self._events, self._session = 0, b"", [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    @property
    def pid(self):
        return self._process.pid

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def _message(self, until):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(until - time.monotonic(), 0))
            part = os.read(self._read, 1 << 20) if ready else b""
            assert part, "the browser said nothing more"
            self._rest += part
        one, self._rest = self._rest.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 120
        while True:
            found = self._message(until)
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]
            if "method" in found:
                self._events.append(found)

    def open(self, file):
        """Load a file and wait until it and its images are there."""
        self._events.clear()
        self.call("Page.navigate", url=file.as_uri())
        until = time.monotonic() + 120
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message(until))

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key, code=0, text=""):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def mouse(self, *places):
        """Press the left button at the first place (x, y px of the window), move along, release at the last."""
        (x, y), *others = places
        self._mouse("mouseMoved", x, y)
        self._mouse("mousePressed", x, y)
        for x, y in others:
            self._mouse("mouseMoved", x, y)
        self._mouse("mouseReleased", x, y)

    def _mouse(self, kind, x, y):
        more = {"button": "left", "clickCount": 1, "buttons": 1} if kind != "mouseReleased" else {"button": "left"}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self, file):
        """A PNG of the window."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    @property
    def complaints(self):
        """Exceptions, errors of the console and of the log (a refused request is one)."""
        found = []
        for event in self._events:
            parameters = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"])
            if event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
                found.append(parameters["args"])
            if event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                found.append(parameters["entry"])
        return found

    @property
    def requests(self):
        """Addresses asked for, without those that are data."""
        urls = [e["params"]["request"]["url"] for e in self._events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]

    def close(self):
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        os.close(self._read)
        os.close(self._write)


def _above_4(number):
    """The same open file under a number that the shell does not reassign."""
    moved = fcntl.fcntl(number, fcntl.F_DUPFD, 10)
    os.close(number)
    return moved


WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
IMAGES = "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt])"
UNNAMED = """[...document.querySelectorAll('a, button, input, select, summary')].filter(
    e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map(e => e.outerHTML)"""
JUMPS = """[...document.querySelectorAll('a[href^="#"]')].filter(a => !document.getElementById(
    a.getAttribute('href').slice(1))).map(a => a.getAttribute('href'))"""
LEVELS = "[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])"


def assert_sound(browser, file):
    """A page that loads whole, asks for nothing else, complains of nothing and can be read by everybody."""
    browser.open(file)
    assert browser.requests == [file.as_uri()]
    assert browser.complaints == []
    images = browser.ask(IMAGES)
    assert all(loaded for loaded, _ in images)
    assert all(alt for _, alt in images)
    assert browser.ask(UNNAMED) == []
    assert browser.ask(JUMPS) == []
    levels = browser.ask(LEVELS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert browser.ask("document.documentElement.lang") == "en"
    assert browser.ask("document.title")
