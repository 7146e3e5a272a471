"""Hooks that run when an incident is opened or resolved: a command, and a web hook.

Both run in a thread, one event after the other, and never delay the capture: where too many wait, the newest is left
out, which is reported. The command is run without a shell, with `opened` or `resolved` and the folder as its last
arguments. The web hook gets the manifest by POST, and again after a pause where it fails.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import Any, NamedTuple

WAITING = 64  # events
COMMAND_S = 60.0
REQUEST_S = 10.0
PAUSES_S = (1.0, 5.0)  # before the second and the third try
ENDING_S = 20.0  # for the events that wait when the recorder ends
SCHEMES = ("http", "https")


class Call(NamedTuple):
    """An event as hooks are told."""

    what: str  # opened or resolved
    folder: str
    manifest: dict[str, Any]


def command_of(text: str) -> list[str]:
    """The words of a command as a shell reads them. Raises ValueError."""
    words = shlex.split(text)
    if not words:
        raise ValueError("no command")
    return words


class Hooks:
    """The hooks of a recorder, with a thread if there are any."""

    def __init__(
        self,
        command: Sequence[str] = (),
        url: str = "",
        say: Callable[[str], None] = lambda _: None,
        command_s: float = COMMAND_S,
        request_s: float = REQUEST_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._command, self._url, self._say = list(command), url, say
        self._command_s, self._request_s, self._pauses_s = command_s, request_s, pauses_s
        self._calls: Queue[Call | None] = Queue(WAITING)
        self._thread: Thread | None = None

    def call(self, call: Call) -> None:
        """Calls the hooks soon. Never waits."""
        if not self._command and not self._url:
            return
        if self._thread is None:
            self._thread = Thread(target=self._run, name="nfsrpc-hooks", daemon=True)
            self._thread.start()
        try:
            self._calls.put_nowait(call)
        except Full:
            self._say(f"{call.folder}: hooks are too slow; this one is not called")

    def close(self, timeout: float = ENDING_S) -> None:
        """Waits for the calls that are left."""
        if self._thread is None:
            return
        end = time.monotonic() + timeout
        with suppress(Full):
            self._calls.put(None, timeout=timeout)
        self._thread.join(max(end - time.monotonic(), 0.0))

    def _run(self) -> None:
        while call := self._calls.get():
            if self._command:
                self._execute(call)
            if self._url:
                self._post(call)

    def _execute(self, call: Call) -> None:
        """Runs the command in a session of its own, all of which is ended where it takes too long."""
        arguments = [*self._command, call.what, call.folder]
        try:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            self._say(f"{self._command[0]}: cannot be run: {error.strerror}")
            return
        try:
            code = process.wait(self._command_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._say(f"{self._command[0]}: ended, since it took longer than {self._command_s:.0f} s")
            return
        if code:
            self._say(f"{self._command[0]}: ended with code {code}")

    def _post(self, call: Call) -> None:
        body = json.dumps({"event": call.what, "folder": call.folder, "incident": call.manifest}).encode()
        why = ""
        for pause in (0.0, *self._pauses_s):
            time.sleep(pause)
            try:
                request = urllib.request.Request(
                    self._url, body, {"Content-Type": "application/json", "User-Agent": "nfsrpc"}
                )
                with urllib.request.urlopen(request, timeout=self._request_s):
                    return
            except urllib.error.HTTPError as error:
                why = f"HTTP status {error.code}"
                error.close()
            except (OSError, ValueError) as error:
                why = str(getattr(error, "reason", error))
        self._say(f"{self._url}: {why}, tried {1 + len(self._pauses_s)} times")
