"""A live capture by tcpdump, which supports every kind of interface, and drops its privileges.

It is the child of a small process (`supervisor.py`) that ends it when this one is killed. It writes packet by packet to
a pipe (`-U -w -`), whole frames, and is stopped by SIGINT, so that it writes what it has captured before it ends. It
prints the kernel's count of drops after SIGUSR1, and at the end. Only ssh is left out, over which the output of this
process may be read; lockd, statd and mountd listen on any port, so nothing else can be left out.
"""

from __future__ import annotations

import re
import select
import shutil
import signal
import threading
from collections.abc import Generator
from typing import IO

from nfsrpc.sources.error import SourceError
from nfsrpc.sources.live_queue import NextFile
from nfsrpc.sources.stream import widen
from nfsrpc.sources.supervisor import Supervisor

FILTER = "not port 22"
READ_BYTES = 1 << 18
# The kernel's ring of packets, in KiB: a busy second of packets; tcpdump's default of 2 MiB holds a tenth of it.
BUFFER_KIB = 16384
COUNTS_S = 5.0  # between two requests for tcpdump's counts
ORPHANED = "the process that started it was killed"
ENDING_S = 3.0  # the longest wait for its end
DROPPED = re.compile(r"(\d+) packets? dropped by (?:kernel|interface)")
NO_TROUBLE = re.compile(r"listening on|packets? (captured|received)")  # its messages when all is well
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
    """The path of tcpdump, or None; /usr/sbin is not in every user's PATH."""
    return shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin:/sbin:/usr/local/sbin")


class Tcpdump:
    """A live source: tcpdump on one interface. Prompt, but for the second that libpcap waits for more packets."""

    prompt = True

    def __init__(
        self,
        interface: str = "any",
        expression: str = FILTER,
        command: str = "tcpdump",
        snaplen: int = 0,
        supervisor: Supervisor | None = None,
    ) -> None:
        """`snaplen` 0 is whole frames. A `supervisor` that is passed is closed by the caller."""
        self.name = f"tcpdump on {interface}"
        self.drops: int | None = None
        options = ["-s", str(snaplen), "-B", str(BUFFER_KIB), "-n", "-U", "-w", "-"]
        self._supervisor = supervisor or Supervisor()
        self._owns_supervisor = supervisor is None
        self._control = self._supervisor.add([command, "-i", interface, *options, "--", expression])
        self._messages: list[str] = []
        self._stopped = threading.Event()

    def prepare(self) -> None:
        try:
            self._supervisor.start()
        except OSError as error:
            raise SourceError(self.name, f"cannot be started: {error.strerror}") from error

    def pieces(self) -> Generator[bytes | NextFile, None, None]:
        """The stream that tcpdump writes. Raises SourceError where it cannot capture, or ends by itself."""
        try:
            self.prepare()
            yield from self._captured()
        finally:
            self.close()

    def _captured(self) -> Generator[bytes, None, None]:
        try:
            output, errors = self._control.start()
        except OSError as error:
            raise SourceError(self.name, f"cannot be started: {error.strerror}") from error
        with open(output, "rb", buffering=0) as packets:
            listener = threading.Thread(target=self._listen, args=(errors,), daemon=True)
            listener.start()
            threading.Thread(target=self._ask, daemon=True).start()
            widen(packets.fileno())
            if self._stopped.is_set():
                self._control.interrupt()
            try:
                while piece := self._read(packets):
                    yield piece
            finally:
                self._control.interrupt()
                packets.close()  # it may wait for room in the pipe
                code = self._control.note(ENDING_S)
                self._control.end()
                if code is not None:
                    listener.join(ENDING_S)
        if not self._stopped.is_set():
            raise self._trouble(code)

    def _read(self, packets: IO[bytes]) -> bytes:
        """The next bytes of the stream, waiting for them. Raises SourceError if tcpdump's supervisor is gone."""
        waiting = select.poll()
        waiting.register(packets, select.POLLIN)
        waiting.register(self._control, select.POLLIN)
        while packets.fileno() not in (ready := dict(waiting.poll())):
            if self._control.note() is not None:
                waiting.unregister(self._control)
            elif ready and self._control.is_orphaned:
                raise SourceError(self.name, ORPHANED)
        return packets.read(READ_BYTES)

    def stop(self) -> None:
        self._stopped.set()
        self._control.interrupt()

    def close(self) -> None:
        """Ends tcpdump at once, if it has not ended."""
        self._control.close()
        if self._owns_supervisor:
            self._supervisor.close()

    def _listen(self, errors: int) -> None:
        with open(errors, encoding="utf-8", errors="replace") as messages:
            for line in map(str.strip, messages):
                found = DROPPED.search(line)
                if found:
                    counts = [int(number) for number in DROPPED.findall(line)]
                    self.drops = max(self.drops or 0, sum(counts))
                elif line:
                    self._messages = [*self._messages[-9:], line]

    def _ask(self) -> None:
        """Requests counts every COUNTS_S; only once tcpdump captures, since SIGUSR1 ends it before."""
        while not self._stopped.wait(COUNTS_S) and not self._control.is_over:
            if any("listening on" in line for line in self._messages):
                self._control.ask_counts()

    def _trouble(self, code: int | None) -> SourceError:
        message = " ".join(line.removeprefix("tcpdump: ") for line in self._messages if not NO_TROUBLE.search(line))
        for pattern, reason, remedy in HINTS:
            if pattern.search(message):
                return SourceError(self.name, reason, remedy)
        if code is None:
            how = ORPHANED if self._control.is_orphaned else "does not end"
        else:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return SourceError(self.name, how, message)
