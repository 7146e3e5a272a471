"""The core: bytes of captures in, batches of columns out (core/src/batch.rs declares them)."""

from collections.abc import Mapping, Sequence
from typing import Any

OPERATIONS: dict[str, int]
"""The operations of layouts: their names and codes."""

STEP_FLAGS: dict[str, int]
"""What a step of a lock session is: the names (LOCK, UNLOCK, GRANT, OVER, USUAL) and bits of its flags."""

MOMENT: int
"""Frames are captured, and requests served, out of order within so much (ns)."""

TO_THE_END: int
"""The last byte of a range that goes to the end of the file."""

ROWS_OF_EXCHANGE: int
"""So many rows of messages weigh as much as an exchange, where `undrained` counts what waits."""

BYTES_OF_EXCHANGE: int
"""So many bytes of strings likewise."""

class NotACapture(ValueError):
    """The bytes begin as no known capture format does; the message is the reason."""

class Layouts:
    """What message bodies hold (nfsrpc.protocols.compile), for any number of decoders."""

    def __init__(
        self,
        layouts: Sequence[tuple[Any, ...]],
        tables: Sequence[tuple[str, Sequence[tuple[str, str]]]],
        secondary: Sequence[int] = ...,
    ) -> None:
        """`secondary`: programs whose rows and strings are bounded apart. Raises ValueError for what is no layout."""

class Decoder:
    """The stages from container to exchange for one vantage: a file, or the files of one ring."""

    def __init__(
        self,
        layouts: Layouts | None = ...,
        domain: int = 0,
        fold: Sequence[tuple[int, int, int]] = ...,
        slow_ns: int = ...,
        keep: Sequence[tuple[int, int]] = ...,
        follow: Sequence[int] = ...,
        by_handle: Sequence[tuple[tuple[int, int, int], tuple[int, int, bool, int]]] = ...,
        ring: tuple[Sequence[tuple[int, int]], int, Sequence[int]] | None = ...,
        jobs: int = ...,
        threads_from: int | None = ...,
        stop_at: tuple[int, int] | None = ...,
    ) -> None:
        """`fold`: procedures (program, version, number) whose exchanges, if faster than `slow_ns`, are only counted.

        `keep`: frames (capture, number) to be handed out as they are, with the messages that are complete in them.
        `follow`: flows of which every packet is a row. `by_handle`: procedures whose successes are summed by the handle
        that is their first argument, and its length where XDR does not tell it (0: it does); after it, where the offset
        of the bytes stands, whether it has 64 bits, and where their count stands. `ring`: how many bytes to keep of the
        frames of a program's flows (`take_kept`), of those of other programs, and ports of which everything is kept, as
        TCP's handshakes are. `jobs`: how many threads decode behind the network layer, from `threads_from` bytes on;
        with one, or with `ring` or `follow`, no thread does. Rows are the same for any number, but for their order.
        `stop_at`: decoding stops where so much waits (`undrained`), which is asked after every so many frames, and
        known when it is asked the next time: after the same frame for any `jobs` and any chunks.
        """
    def feed(self, data: bytes) -> bool:
        """Any chunk of the file, without the GIL. Returns whether decoding stopped: `drain`, then `go_on`.

        Until then this, `next_capture` and `close` raise ValueError. Raises NotACapture.
        """
    def go_on(self) -> bool:
        """The rest of the chunk in which decoding stopped; as `feed`."""
    def next_capture(self) -> str:
        """The file has ended, and how: complete, cut, empty or cut-header. Raises NotACapture.

        The following bytes are the next file of the ring: frames count from 1, connections and calls go on.
        """
    def undrained(self) -> int:
        """How much the next `drain` gives, in exchanges, as far as threads have reported."""
    def release(self) -> None:
        """Before `drain`, of a capture that goes on: takes a frame whose time the next one was to confirm."""
    def drain(self) -> dict[str, Any]:
        """The rows that are final, each once."""
    def snapshot(self) -> dict[str, Any]:
        """Right after `drain`: exchanges and flows that are not over, and the file being read, as they stand."""
    def exchanges_in_reach(self) -> dict[str, Any]:
        """Right after `drain`: exchanges that are not over, as they stand."""
    def take_kept(self, all: bool) -> tuple[bytes, int, int, int]:  # noqa: A002
        """Frames to be kept as packet blocks of pcapng (ns): blocks, their number, first and last time.

        Without `all`, those wait whose program is not known yet, for two seconds of the capture at most.
        """
    def kept_interfaces(self, first: int) -> list[tuple[int, str, int]]:
        """Link type, name and snap length of the interfaces of these blocks, from this number on."""
    def forget(self) -> None:
        """Right after `drain`, of a capture without end: strings begin anew from number 0, those in use listed again.

        Addresses out of reach get new numbers when they are seen again. What has a limit has all its room again.
        """
    def forget_strings(self) -> None:
        """Right after `drain`: strings begin anew from number 0, and the next batch lists those in use again."""
    def begin_to_know_names(self, lookups: Sequence[tuple[tuple[int, int, int], int]]) -> None:
        """From now on, LOOKUPs that give a file the name once more that it had are counted only, and have no row.

        `lookups`: these procedures, with the length of the handle in their results where XDR does not tell it, else 0.
        They are counted (`fold`), and their program is `secondary`.
        """
    def forget_addresses(self) -> Any:
        """Right after `drain`: addresses out of reach get new numbers when seen again; the numbers of the others."""
    def close(self) -> dict[str, Any]:
        """The last rows, with the last file's "ending": nothing more is to come. Raises NotACapture."""

class LockSessions:
    """Lock sessions of which some are over and healthy, and leave (core/src/lock_sessions.rs)."""

    def __init__(
        self,
        steps: Mapping[str, Any],
        arguments: Sequence[tuple[int, Mapping[str, Any]]],
        beside: tuple[Mapping[str, Any], Any, Any],
        names: tuple[list[bytes], list[tuple[str, int]]],
        known: Sequence[Any],
        limits: tuple[int, int, int],
    ) -> None:
        """All arrays have the dtypes of the core's batches, and are contiguous.

        `steps`: of LOCKs, UNLOCKs, CANCELs and callbacks "exchange", "capture", "client", "server", "flow", "vers",
        "time", "reply_time" and "flags" (uint8, STEP_FLAGS). `arguments`: tables of messages, each with the version
        that it is of; a field is a pair of its values and a mask of those that are known. `beside`: accesses ("handle",
        "client", "first", "last"), moments when something was late or failed, and times of restarts, sorted. `names`:
        the strings and addresses that others are numbers of. `known`: sorted hashes of owners whose sessions have left
        (`owners`). `limits`: what is not over by this time (ns) stays, how long who was denied may wait before the next
        try (ns), and how many stay as the latest of their files.
        """
    def exchanges(self) -> Any:
        """The exchanges of the sessions that leave (uint32)."""
    def owners(self, names: tuple[list[bytes], list[tuple[str, int]]]) -> Any:
        """Hashes of the owners and ranges of the sessions that leave (uint64, sorted), the same for any numbers."""
    def owners_of(self, exchanges: Any, names: tuple[list[bytes], list[tuple[str, int]]]) -> Any:
        """Likewise of the steps that are of these exchanges, which are sorted."""
    def unlocked_again(self) -> Any:
        """The exchanges of UNLOCKs of owners that had unlocked before, in a session that may have left (uint32)."""
    def steps(self) -> dict[str, Any]:
        """Of each step "exchange", the number of its session ("stretch"), and whether that is "odd", or next to it."""

def few(moments: Any) -> Any:
    """Some of many moments (int64, ns), sorted: of those close to each other the first one."""

def last_byte(offset: int, length: int) -> int:
    """The last byte of a range, up to 2^64 - 1 both."""

def last_bytes(offsets: Any, lengths: Any) -> Any:
    """The last byte of each range (uint64, contiguous)."""

def summed(parts: Sequence[tuple[Mapping[str, Any], Any]], length: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sums of exchanges that were answered in time, as "tallies", in intervals of this length (ns), and "latencies".

    `parts`: contiguous columns of exchanges, with the dtypes of the core's batches, and which rows of them (int64).
    Latencies have the "interval" of each.
    """
