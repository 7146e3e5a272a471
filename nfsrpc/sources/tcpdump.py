"""A capture taken here and now, by tcpdump as a child: it knows every kind of interface, and drops its privileges.

It writes packet by packet to a pipe (`-U -w -`), whole frames, and is stopped by SIGINT, so that it writes what it has
captured before it ends. What the kernel dropped it says when it is sent SIGUSR1, and at the end. What is left out is
ssh, by which its own output may be read; lockd, statd and mountd listen on any port, so nothing else can be.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator
from typing import IO

from nfsrpc.sources.arrivals import NextFile
from nfsrpc.sources.error import SourceError
from nfsrpc.sources.stream import widen

FILTER = "not port 22"
CHUNK_SIZE = 1 << 18
# Of the kernel's ring of packets, in KiB: what a busy second brings, where tcpdump's own default of 2 MiB is a tenth.
BUFFER_KIB = 16384
COUNTS_S = 5.0  # how often tcpdump is asked for its counts
ENDING_S = 3.0  # how long it may take to end
DROPPED = re.compile(r"(\d+) packets? dropped by (?:kernel|interface)")
COUNTED = re.compile(r"listening on|packets? (captured|received)")  # what it says when all is well
HINTS = (
    (
        re.compile(r"permission|not permitted", re.IGNORECASE),
        "may not capture",
        "run it as root, or: setcap cap_net_raw,cap_net_admin=ep $(command -v tcpdump)",
    ),
    (re.compile(r"No such device|doesn't exist|not find", re.IGNORECASE), "no such interface", "ip link lists them"),
    (re.compile(r"syntax error|can't parse|illegal|expression", re.IGNORECASE), "bad filter", "see pcap-filter(7)"),
)


def tcpdump_command() -> str | None:
    """Where it is: /usr/sbin is not in everybody's PATH."""
    return shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin:/sbin:/usr/local/sbin")


class Tcpdump:
    """Prompt, but for the second that libpcap waits for more."""

    prompt = True

    def __init__(
        self, interface: str = "any", expression: str = FILTER, command: str = "tcpdump", snaplen: int = 0
    ) -> None:
        """Whole frames, if `snaplen` is 0."""
        self.name = f"tcpdump on {interface}"
        self.drops: int | None = None
        options = ["-s", str(snaplen), "-B", str(BUFFER_KIB), "-n", "-U", "-w", "-"]
        self._command = [command, "-i", interface, *options, "--", expression]
        self._child: subprocess.Popen[bytes] | None = None
        self._said: list[str] = []
        self._stopped = threading.Event()

    def pieces(self) -> Generator[bytes | NextFile, None, None]:
        """Raises SourceError where tcpdump cannot capture, or ends by itself."""
        # In a session of its own: Ctrl-C is for this program, which then stops it.
        with subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        ) as child:
            self._child = child
            assert child.stdout is not None
            assert child.stderr is not None
            listener = threading.Thread(target=self._listen, args=(child.stderr,), daemon=True)
            listener.start()
            threading.Thread(target=self._ask, daemon=True).start()
            widen(child.stdout.fileno())
            if self._stopped.is_set():
                self._interrupt()
            try:
                while piece := os.read(child.stdout.fileno(), CHUNK_SIZE):
                    yield piece
            finally:
                self._end(child)
                listener.join(ENDING_S)
        if not self._stopped.is_set():
            raise self._trouble(child.returncode)

    def stop(self) -> None:
        self._stopped.set()
        self._interrupt()

    def _interrupt(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
        try:
            child.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def _listen(self, stderr: IO[bytes]) -> None:
        for raw in stderr:
            line = raw.decode("utf-8", "replace").strip()
            found = DROPPED.search(line)
            if found:
                counts = [int(number) for number in DROPPED.findall(line)]
                self.drops = max(self.drops or 0, sum(counts))
            elif line:
                self._said = [*self._said[-9:], line]

    def _ask(self) -> None:
        """For counts, now and then; once it captures, since SIGUSR1 ends a program that does not expect it."""
        while not self._stopped.wait(COUNTS_S):
            if self._child is None or self._child.poll() is not None:
                return
            if any("listening on" in line for line in self._said):
                with contextlib.suppress(ProcessLookupError):
                    self._child.send_signal(signal.SIGUSR1)

    def _trouble(self, code: int) -> SourceError:
        said = " ".join(line.removeprefix("tcpdump: ") for line in self._said if not COUNTED.search(line))
        for pattern, reason, remedy in HINTS:
            if pattern.search(said):
                return SourceError(self.name, reason, remedy)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return SourceError(self.name, how, said)
