"""The process that starts and ends tcpdump: whatever happens to the one that parses, nothing is left."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nfsrpc.sources import SourceError
from nfsrpc.sources.supervisor import RESTORE, Control, Letter, Supervisor
from nfsrpc.sources.tcpdump import Tcpdump

SLEEPS = ("sh", "-c", "echo $$; exec sleep 60")
# A tcpdump that hangs: it takes no notice of being asked to end.
STUBBORN = ("sh", "-c", "trap '' INT TERM; echo $$; while :; do sleep 0.1; done")
PARSER = """
import os, sys
from nfsrpc.sources.supervisor import Supervisor
supervisor = Supervisor(1 if sys.argv[1] == "screen" else None)
control = supervisor.add(sys.argv[2:])
supervisor.start()
output, _ = control.start()
supervisor.show_screen(True)
print("started", os.read(output, 64).decode().strip(), flush=True)
sys.stdin.read()
"""


def is_running(process: int) -> bool:
    """A zombie is not: whose parent was killed is left to a first process that may not reap."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(process: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_running(process) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_running(process)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with closing(Supervisor()) as made:
        yield made


def begun(control: Control) -> tuple[int, int]:
    """The number of the process that has been started, and its standard output."""
    output, errors = control.start()
    os.close(errors)
    return int(os.read(output, 64)), output


@pytest.mark.parametrize("command", [SLEEPS, STUBBORN], ids=["willing", "stubborn"])
@pytest.mark.parametrize("is_stopped", [False, True], ids=["running", "stopped"])
def test_what_a_killed_parser_leaves_is_ended(command: tuple[str, ...], is_stopped: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARSER, "no-screen", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parser:
        assert parser.stdout
        child = int(parser.stdout.readline().split()[1])
        if is_stopped:
            os.kill(child, signal.SIGSTOP)
        assert is_running(child)
        parser.kill()
        assert ends(child, 5.0)


def test_a_stopped_command_is_interrupted_all_the_same(supervisor: Supervisor) -> None:
    control = supervisor.add(("sh", "-c", "trap 'exit 7' INT; echo $$; while :; do sleep 0.05; done"))
    supervisor.start()
    child, output = begun(control)
    os.kill(child, signal.SIGSTOP)
    control.interrupt()
    assert control.note(5.0) == 7
    os.close(output)


def test_closing_one_ends_that_one(supervisor: Supervisor) -> None:
    first, second = supervisor.add(SLEEPS), supervisor.add(SLEEPS)
    supervisor.start()
    ended, other = begun(first), begun(second)
    first.close()
    assert ends(ended[0], 5.0)
    assert is_running(other[0])
    supervisor.close()
    assert not is_running(other[0])
    for _, output in (ended, other):
        os.close(output)


def test_how_a_command_ended(supervisor: Supervisor) -> None:
    control = supervisor.add(SLEEPS)
    supervisor.start()
    child, output = begun(control)
    assert control.note() is None
    os.kill(child, signal.SIGKILL)
    assert control.note(5.0) == -signal.SIGKILL
    os.close(output)


def test_a_command_that_is_not_there(supervisor: Supervisor) -> None:
    control = supervisor.add(("/nowhere/tcpdump",))
    supervisor.start()
    with pytest.raises(FileNotFoundError):
        control.start()


def test_python_that_may_not_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SourceError, match="tcpdump on any: cannot be started: No such file or directory"):
        list(Tcpdump("any").pieces())


def test_nothing_but_its_letters_is_understood(supervisor: Supervisor, tmp_path: Path) -> None:
    """Neither a command that was not there from the beginning, nor the same one a second time."""
    control = supervisor.add(SLEEPS)
    supervisor.start()
    for message in (b"touch " + bytes(tmp_path / "made"), b"q", b"ss", b"s" * 60):
        control._send(message)
    child, output = begun(control)
    connection = control._connection
    assert connection
    control._send(Letter.START)
    connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        socket.recv_fds(connection, 64, 2)
    assert is_running(child)
    assert list(tmp_path.iterdir()) == []
    os.close(output)


@pytest.mark.parametrize("has_screen", [True, False])
def test_the_terminal_is_put_right_for_a_killed_parser(has_screen: bool) -> None:
    ours, theirs = pty.openpty()
    kind = "screen" if has_screen else "no-screen"
    with subprocess.Popen(
        [sys.executable, "-c", PARSER, kind, *SLEEPS], stdin=subprocess.PIPE, stdout=theirs
    ) as parser:
        os.close(theirs)
        assert b"started" in os.read(ours, 4096)
        parser.kill()
    left = b""
    while select.select([ours], [], [], 5.0)[0]:
        try:
            left += os.read(ours, 4096)
        except OSError:  # nobody has it open any more
            break
    os.close(ours)
    assert (RESTORE in left) is has_screen


@pytest.mark.parametrize("is_over", [False, True])
def test_a_parser_whose_supervisor_was_killed_says_so(is_over: bool, tmp_path: Path) -> None:
    command = tmp_path / "tcpdump"
    command.write_text("#!/bin/sh\necho $$; exec sleep 60\n")
    command.chmod(0o700)
    supervisor = Supervisor()
    source = Tcpdump("any", "", str(command), supervisor=supervisor)
    pieces = source.pieces()
    piece = next(pieces)
    assert isinstance(piece, bytes)
    assert supervisor._process
    supervisor._process.kill()
    if is_over:  # its end is seen before that of the supervisor
        assert ends(int(piece), 5.0)
    with pytest.raises(SourceError, match="tcpdump on any: the process that started it was killed"):
        next(pieces)
    assert ends(int(piece), 5.0)  # the kernel sees to that, where tcpdump has not changed its user
    supervisor.close()
