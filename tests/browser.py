"""A headless Chromium for tests, spoken to over its pipe (Chrome DevTools Protocol), without a driver."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions")
READ, WRITE = 3, 4  # the descriptors on which the browser reads and writes


class Browser:
    """One page, as a context. `errors` are exceptions of scripts, and what the page's policy refused."""

    def __init__(self, profile: Path) -> None:
        assert FOUND is not None
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs, ours)]  # out of the way of 3 and 4
        os.close(theirs)
        os.close(ours)

        def place() -> None:
            os.dup2(ends[0], READ)
            os.dup2(ends[1], WRITE)

        command = [FOUND, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, pass_fds=(READ, WRITE), preexec_fn=place, stdout=quiet, stderr=quiet)
        for end in ends:
            os.close(end)
        self._rest = b""
        self._number = 0
        self._session = ""
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._attach()
        except BaseException:
            self._end()
            raise
        return self

    def _attach(self) -> None:
        pages = self.send("Target.getTargets")["targetInfos"]
        page = next(target for target in pages if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        os.close(self._to)
        os.close(self._from)
        self._process.kill()
        self._process.wait()

    def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command; events that come before it are looked through for errors."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._number:
                assert "error" not in found, found["error"]
                return found["result"]

    def open(self, url: str, width: int = 1200, scheme: str = "light") -> None:
        """Opens a page, in a window of this width and with this colour scheme, and waits until it is loaded."""
        self.errors.clear()
        mobile = width < 600
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=url)
        while self.run("document.readyState + location.href.startsWith('about:')") != "completefalse":
            pass

    def run(self, script: str) -> Any:
        """The value of an expression on the page; a promise is waited for."""
        asked = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in asked, asked["exceptionDetails"]
        return asked["result"].get("value")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self._from, 1 << 20)
            assert chunk, "the browser has ended"
            self._rest += chunk
        text, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        if found.get("method") == "Runtime.exceptionThrown":
            self.errors.append(found["params"]["exceptionDetails"]["text"])
        elif found.get("method") == "Log.entryAdded" and found["params"]["entry"]["level"] == "error":
            self.errors.append(found["params"]["entry"]["text"])
        return found
