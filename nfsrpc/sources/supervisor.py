"""A small process that starts and stops tcpdump for the process that parses, and outlives it.

The parser of what strangers send may be killed, or give up the rights that capturing needs. So tcpdump is the child of
this process, which keeps them and reads nothing of a capture. It gets the commands from `Supervisor` (in the parser)
when it is started, and then has one socket (unix(7), SEQPACKET) per command: single letters come in, those of `Letter`;
the ends of tcpdump's pipes (SCM_RIGHTS) and its exit code go out. A socket that closes, for whatever reason, ends its
tcpdump: SIGTERM, SIGCONT for one that was stopped, SIGKILL for one that still runs `GRACE_S` later. One more socket is
for the terminal: if the parser dies while its screen is there, the terminal is restored.

As a script it imports the standard library only, so that it starts in some 30 ms and needs 10 MB.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

GRACE_S = 0.5  # from SIGTERM to SIGKILL: tcpdump has no more to do than to close a pipe
REPLY_S = 10.0  # the longest wait for the answer to a letter, on a busy machine
CLOSED_S = 2.0  # the longest wait for the end of a supervisor that has nothing more to do
PR_SET_PDEATHSIG = 1  # prctl(2)
MAX_MESSAGE = 64  # bytes of a message
# Back from the alternate screen, with a cursor: what xterm calls rmcup and cnorm.
RESTORE = b"\x1b[0m\x1b[?1049l\x1b[?25h"


class Letter:
    """The messages of both sides."""

    START, INTERRUPT, COUNTS, END = b"s", b"i", b"u", b"e"
    SCREEN, NO_SCREEN = b"t", b"n"
    STARTED, REFUSED, ENDED = b"+", b"-", b"x"  # answers; the last two with a number


# In the parser


class Control:
    """One command that can be started once, and stopped. Letters to a supervisor that is gone are dropped."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        self.is_orphaned = False  # the supervisor is gone: the command's exit code cannot be known any more
        self._code: int | None = None
        self._connection: socket.socket | None = None

    def connect(self, connection: socket.socket) -> None:
        self._connection = connection

    @property
    def is_over(self) -> bool:
        return self._code is not None or self.is_orphaned or self.fileno() < 0

    def start(self) -> tuple[int, int]:
        """Starts the command; descriptors of its standard output and standard error. Raises OSError."""
        assert self._connection is not None, "its supervisor has not been started"
        self._send(Letter.START)
        self._connection.settimeout(REPLY_S)
        message, descriptors, _, _ = socket.recv_fds(self._connection, MAX_MESSAGE, 2, socket.MSG_CMSG_CLOEXEC)
        if message.startswith(Letter.REFUSED):
            code = int(message[1:])
            raise OSError(code, os.strerror(code))
        if message != Letter.STARTED:
            raise OSError(errno.ESRCH, "the process that starts it was killed")
        output, errors = descriptors
        return output, errors

    def interrupt(self) -> None:
        self._send(Letter.INTERRUPT)

    def ask_counts(self) -> None:
        self._send(Letter.COUNTS)

    def end(self) -> None:
        self._send(Letter.END)

    def fileno(self) -> int:
        """The descriptor to poll: where it is readable, `note` has news."""
        return -1 if self._connection is None else self._connection.fileno()

    def note(self, timeout: float = 0.0) -> int | None:
        """The command's exit code, as subprocess has it; None while it runs, or where that cannot be known."""
        if not self.is_over:
            assert self._connection is not None
            self._connection.settimeout(max(timeout, 0.001))
            with contextlib.suppress(TimeoutError):
                message = received(self._connection)
                self.is_orphaned = not message
                self._code = int(message[1:]) if message.startswith(Letter.ENDED) else None
        return self._code

    def close(self) -> None:
        """Ends the command, if it has not ended."""
        if self._connection is not None:
            self._connection.close()

    def _send(self, letter: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._connection is not None:
                self._connection.send(letter)


class Supervisor:
    """The supervisor as the parser has it: commands are added, then it is started, with the rights of that moment."""

    def __init__(self, terminal: int | None = None) -> None:
        """`terminal` is restored if this process dies while its screen is there."""
        self._terminal = terminal
        self._controls: list[Control] = []
        self._screen: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, command: Sequence[str]) -> Control:
        assert self._process is None
        self._controls.append(Control(command))
        return self._controls[-1]

    def start(self) -> None:
        """Starts the process, if it is not started and there is something to do for it. Raises OSError."""
        if self._process is not None or (not self._controls and self._terminal is None):
            return
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(1 + len(self._controls))]
        (self._screen, *ours), theirs = zip(*pairs, strict=True)
        descriptors = [connection.fileno() for connection in theirs]
        arguments = json.dumps([[control.command for control in self._controls], descriptors])
        for control, connection in zip(self._controls, ours, strict=True):
            control.connect(connection)
        # Isolated, so that nothing of the environment or of the working directory becomes code that runs with its
        # rights. In a session of its own: Ctrl-C goes to the parser, which then stops tcpdump.
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if self._terminal is None else self._terminal,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=descriptors,
            )
        finally:
            for connection in theirs:
                connection.close()

    def show_screen(self, is_on: bool) -> None:
        with contextlib.suppress(OSError):
            if self._screen is not None:
                self._screen.send(Letter.SCREEN if is_on else Letter.NO_SCREEN)

    def close(self) -> None:
        """Ends all commands, and returns when they have ended."""
        for control in self._controls:
            control.close()
        if self._screen is not None:
            self._screen.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSED_S)


def received(connection: socket.socket) -> bytes:
    """The next message; empty where the other side is gone. Raises TimeoutError."""
    try:
        return connection.recv(MAX_MESSAGE)
    except TimeoutError:
        raise
    except OSError:
        return b""


# The process itself


class Charge:
    """One command in the supervisor, its child process, and the socket to the parser."""

    def __init__(self, command: Sequence[str], connection: socket.socket) -> None:
        self.command = command
        self.connection = connection
        self.child: subprocess.Popen[bytes] | None = None
        self.is_started = False
        self.kill_at: float | None = None
        self.is_wanted = True  # the socket is open

    @property
    def is_over(self) -> bool:
        return self.child is None and not self.is_wanted

    def obey(self, letter: bytes) -> None:
        if not letter:
            self.is_wanted = False
            self.connection.close()
            self.end()
        elif letter == Letter.START and not self.is_started:
            self.is_started = True
            self.start()
        elif letter == Letter.INTERRUPT:
            self.signal(signal.SIGINT)
        elif letter == Letter.COUNTS:
            self.signal(signal.SIGUSR1)
        elif letter == Letter.END:
            self.end()

    def start(self) -> None:
        try:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            self.answer(Letter.REFUSED + b"%d" % (error.errno or 0))
            return
        assert self.child.stdout is not None
        assert self.child.stderr is not None
        with self.child.stdout as output, self.child.stderr as errors, contextlib.suppress(OSError):
            socket.send_fds(self.connection, [Letter.STARTED], [output.fileno(), errors.fileno()])

    def end(self) -> None:
        if self.child is not None and self.kill_at is None:
            self.signal(signal.SIGTERM)
            self.kill_at = time.monotonic() + GRACE_S

    def signal(self, number: int) -> None:
        """Sends a signal; SIGCONT follows, so that a child that was stopped can end, but not after SIGUSR1 (counts)."""
        if self.child is not None:
            with contextlib.suppress(PermissionError):
                self.child.send_signal(number)
                if number != signal.SIGUSR1:
                    self.child.send_signal(signal.SIGCONT)

    def look_after(self) -> None:
        if self.child is None:
            return
        code = self.child.poll()
        if code is not None:
            self.child = None
            self.answer(Letter.ENDED + b"%d" % code)
        elif self.kill_at is not None and time.monotonic() >= self.kill_at:
            self.kill_at = None
            self.signal(signal.SIGKILL)

    def answer(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self.connection.send(message)


def end_with_parent() -> None:
    """Has the kernel end the child when this process dies; called in it before exec. A change of user cancels it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def supervise(charges: list[Charge], screen: socket.socket) -> None:
    """Serves the sockets until all are closed and all commands have ended."""
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    selector = selectors.DefaultSelector()
    selector.register(woken, selectors.EVENT_READ)
    selector.register(screen, selectors.EVENT_READ)
    for charge in charges:
        selector.register(charge.connection, selectors.EVENT_READ, charge)
    has_screen, is_open = False, True
    while is_open or not all(charge.is_over for charge in charges):
        deadlines = [charge.kill_at for charge in charges if charge.child and charge.kill_at is not None]
        timeout = max(min(deadlines) - time.monotonic(), 0.01) if deadlines else None
        for key, _ in selector.select(timeout):
            if key.fileobj is woken:
                woken.recv(MAX_MESSAGE)
                continue
            connection = key.data.connection if key.data else screen
            letter = received(connection)
            if not letter:
                selector.unregister(connection)
            if key.data:
                key.data.obey(letter)
            elif letter:
                has_screen = letter == Letter.SCREEN
            else:
                is_open = False
                if has_screen:
                    with contextlib.suppress(OSError):
                        os.write(sys.stdout.fileno(), RESTORE)
        for charge in charges:
            charge.look_after()


def main() -> None:
    commands, descriptors = json.loads(sys.argv[1])
    # Only closed sockets end it: a service manager signals all processes of a service, and tcpdump is to be ended by
    # the parser, so that everything captured is read. Not SIG_IGN, which tcpdump would inherit.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    screen, *connections = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for connection in (screen, *connections):
        connection.set_inheritable(False)
    supervise([Charge(command, connection) for command, connection in zip(commands, connections, strict=True)], screen)


if __name__ == "__main__":
    main()
