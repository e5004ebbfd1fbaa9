"""A headless Chromium that is told what to do through its DevTools pipe; the standard library is enough."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The browser looks for the ends of the pipe at the numbers 3 and 4.
START = (
    "import fcntl, os, sys; ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]; "
    "os.dup2(ends[0], 3); os.dup2(ends[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The program, where one is installed."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One tab."""

    def __init__(self, sink: int, source: int):
        self.sink, self.source = sink, source
        self.number, self.rest, self.session = 0, b"", None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command of its protocol."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.sink, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda one: one.get("id") == self.number)
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def open(self, address: str) -> None:
        """Returns when the page and all in it are loaded."""
        self.call("Page.navigate", url=address)
        self._wait(lambda one: one.get("method") == "Page.loadEventFired")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page, awaited where it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def _wait(self, wanted: Any) -> dict[str, Any]:
        while True:
            while b"\0" not in self.rest:
                part = os.read(self.source, 1 << 20)
                if not part:
                    raise RuntimeError("the browser ended")
                self.rest += part
            line, _, self.rest = self.rest.partition(b"\0")
            message = json.loads(line)
            if wanted(message):
                return message


@contextmanager
def browser(width: int = 1280, height: int = 1000) -> Iterator[Browser]:
    """A fresh browser, closed in the end."""
    program = find()
    if program is None:
        raise RuntimeError("no Chromium is installed")
    (theirs_in, sink), (source, theirs_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "about:blank"]
        options += [f"--user-data-dir={folder}", f"--window-size={width},{height}"]
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(theirs_in), str(theirs_out), program, *options],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(sink, source)
        finally:
            process.terminate()
            process.wait()
            os.close(sink)
            os.close(source)
