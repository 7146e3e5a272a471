"""What is called for an incident: a command without a shell, and a web hook, neither of which delays anything."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nfsrpc.record.hooks import WAITING, Call, Hooks, command_of

FOLDER = "/var/lib/nfsrpc/incidents/20261122T053139Z-REG001-10.1.84.31"
OPENED, RESOLVED = Call("opened", FOLDER, {"id": "x"}), Call("resolved", FOLDER, {"id": "x"})


class Server(HTTPServer):
    """A web server that answers with a list of statuses, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.posted: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/incidents"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def script(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "hook.py"
    file.write_text(text)
    return [sys.executable, str(file)]


def test_the_command_gets_what_happened_and_the_folder(tmp_path: Path) -> None:
    note = tmp_path / "said"
    command = script(tmp_path, f"import sys; open({str(note)!r}, 'a').write(repr(sys.argv[1:]) + chr(10))")
    hooks = Hooks([*command, "--fixed", "$(id); `id`"])
    hooks.call(OPENED)
    hooks.call(RESOLVED)
    hooks.close()
    assert note.read_text().splitlines() == [
        repr(["--fixed", "$(id); `id`", "opened", FOLDER]),
        repr(["--fixed", "$(id); `id`", "resolved", FOLDER]),
    ]


def test_a_command_as_a_shell_reads_its_words() -> None:
    assert command_of("/opt/page --to 'the team' a\\ b") == ["/opt/page", "--to", "the team", "a b"]
    for text in ("", "   ", "'open"):
        with pytest.raises(ValueError, match=r"No closing quotation|no command"):
            command_of(text)


def test_one_command_at_a_time(tmp_path: Path) -> None:
    note = tmp_path / "said"
    text = f"import time; f = open({str(note)!r}, 'a'); f.write('in '); f.flush(); time.sleep(0.1); f.write('out ')"
    hooks = Hooks(script(tmp_path, text))
    for _ in range(3):
        hooks.call(OPENED)
    hooks.close()
    assert note.read_text() == "in out " * 3


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "said"
    text = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 1; echo late > {note}'])"
    said: list[str] = []
    hooks = Hooks(script(tmp_path, text), say=said.append, command_s=0.3)
    began = time.monotonic()
    hooks.call(OPENED)
    hooks.close()
    assert time.monotonic() - began < 1
    assert said == [f"{sys.executable}: ended, since it took longer than 0 s"]
    time.sleep(1)
    assert not note.exists()


def test_what_cannot_be_run_or_fails_is_reported(tmp_path: Path) -> None:
    said: list[str] = []
    for command in (["/nonexistent"], script(tmp_path, "raise SystemExit(3)")):
        hooks = Hooks(command, say=said.append)
        hooks.call(OPENED)
        hooks.close()
    assert said == ["/nonexistent: cannot be run: No such file or directory", f"{sys.executable}: ended with code 3"]


def test_the_manifest_is_posted(server: Server) -> None:
    hooks = Hooks(url=server.url)
    hooks.call(OPENED)
    hooks.close()
    assert server.posted == [{"event": "opened", "folder": FOLDER, "incident": {"id": "x"}}]


def test_it_is_posted_again_where_that_fails(server: Server) -> None:
    said: list[str] = []
    server.statuses = [503, 500]
    hooks = Hooks(url=server.url, say=said.append, pauses_s=(0.01, 0.01))
    hooks.call(OPENED)
    hooks.close()
    assert (len(server.posted), said) == (3, [])
    server.statuses = [503, 500, 404]
    hooks = Hooks(url=server.url, say=said.append, pauses_s=(0.01, 0.01))
    hooks.call(OPENED)
    hooks.close()
    assert (len(server.posted), said) == (6, [f"{server.url}: HTTP status 404, tried 3 times"])


def test_a_server_that_is_not_there_is_reported() -> None:
    said: list[str] = []
    hooks = Hooks(url="http://127.0.0.1:9/x", say=said.append, pauses_s=(), request_s=1.0)
    hooks.call(OPENED)
    hooks.close()
    assert len(said) == 1
    assert said[0].startswith("http://127.0.0.1:9/x: ")


def test_calls_never_wait(tmp_path: Path) -> None:
    said: list[str] = []
    hooks = Hooks(script(tmp_path, "import time; time.sleep(5)"), say=said.append, command_s=0.5)
    began = time.monotonic()
    for _ in range(WAITING + 10):
        hooks.call(OPENED)
    assert time.monotonic() - began < 0.4
    assert len([line for line in said if "too slow" in line]) >= 9
    hooks.close(0.1)


def test_without_hooks_there_is_no_thread() -> None:
    before = threading.active_count()
    hooks = Hooks()
    hooks.call(OPENED)
    hooks.close()
    assert threading.active_count() == before
