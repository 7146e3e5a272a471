"""Kernel logs as text: the lines about NFS, its locks and RPC, with their times by the clock of the log.

    [   93.129579] lockd: server …                      dmesg, journalctl -k -o short-monotonic: seconds since the boot
    [Sun Nov 22 05:32:40 2026] lockd: server …          dmesg -T: local time
    2026-11-22T05:32:40,071234+00:00 lockd: server …    dmesg --time-format iso, journalctl -k -o short-iso
    Nov 22 05:32:40 cl1 kernel: lockd: server …         journalctl -k, /var/log/kern.log: local time without a year
    # clock: dmesg 0.0 = epoch 1795325466.941           optional, added by hand: the time of the boot

Which clock that is, and its offset to the capture's, is worked out where the lines are compared with a capture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from nfsrpc.sources.error import SourceError
from nfsrpc.sources.name import shown_name
from nfsrpc.wording import SECOND

Clock: TypeAlias = Literal["boot", "local", "utc"]

MAX_LOG_BYTES = 64 * 2**20  # a kernel's ring buffer has 1 MiB at most, a journal of months some tens
MAX_LINES = 10_000  # about NFS; more are a storm of the same

ABOUT = re.compile(r"\b(?:lockd|rpc\.statd|statd|sm-notify|nfsd?|NFSD?|nlm\w*|RPC|rpcbind|sunrpc)\b")
CHATTER = re.compile(r"Linux version|[Cc]ommand line:|Registered|Installing|Key type|FS-Cache|client tracking")

SECONDS = r"\d{1,10}\.\d{1,9}"  # 300 years, so that nanoseconds have a place in 64 bits
PRIORITY = r"(?:<\d+>|\w+\s*:\w+\s*:\s*)?"  # dmesg -r, dmesg -x
SYSLOG = r"(?P<host>\S+) kernel: "
DATE = r"\d{4}-\d\d-\d\d[T ][\d:]{8}(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
FORMS = (
    re.compile(rf"^{PRIORITY}\[ *(?P<boot>{SECONDS})\] (?:{SYSLOG})?(?P<text>.*)$"),
    re.compile(rf"^{PRIORITY}\[\w{{3}} (?P<local>\w{{3}} +\d+ [\d:]{{8}} \d{{4}})\] (?P<text>.*)$"),
    re.compile(rf"^{PRIORITY}(?P<iso>{DATE}) (?:{SYSLOG})?(?P<text>.*)$"),
    re.compile(rf"^(?P<short>\w{{3}} +\d+ [\d:]{{8}})(?:\.\d+)? {SYSLOG}(?:\[ *\d+\.\d+\] )?(?P<text>.*)$"),
)
BOOTED = re.compile(rf"^# clock: dmesg 0\.0 = epoch ({SECONDS}|\d{{1,10}})\s*$")


class Line(NamedTuple):
    number: int
    time: int  # ns: since the boot, or since 1970 as if it were UTC
    host: str | None
    text: str


class Log(NamedTuple):
    file: str
    clock: Clock
    booted: int | None  # ns since 1970; None where the log does not have it
    lines: tuple[Line, ...]


def read_log(file: str, about: int | None = None, zone: tzinfo | None = None) -> Log:
    """The kernel log in a file. Raises SourceError.

    `about` is a time near it, for lines without a year; `zone` is that of local times, where it is known.
    """
    try:
        with open(file, "rb") as source:
            data = source.read(MAX_LOG_BYTES)
    except OSError as error:
        raise SourceError(file, f"cannot be read: {error.strerror}") from None
    return log_of(file, data.decode("utf-8", "replace"), about, zone)


def log_of(file: str, text: str, about: int | None = None, zone: tzinfo | None = None) -> Log:
    """The kernel log in a text that comes from a file of this name. Raises SourceError."""
    lines: list[Line] = []
    clock: Clock | None = None
    booted: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if boot := BOOTED.match(line):
            booted = round(Decimal(boot[1]) * SECOND)
        for read, time, host, words in parsed(line, about):
            clock = clock or read
            if read == clock and ABOUT.search(words) and not CHATTER.search(words) and len(lines) < MAX_LINES:
                lines.append(Line(number, time, host, words))
    if clock is None:
        raise SourceError(file, "not a kernel log", "dmesg, dmesg -T or journalctl -k")
    if clock == "local" and zone is not None:
        clock, lines = "utc", [line._replace(time=in_zone(line.time, zone)) for line in lines]
    return Log(shown_name(file), clock, booted, tuple(lines))


def parsed(line: str, about: int | None) -> Iterator[tuple[Clock, int, str | None, str]]:
    """Clock, time, host and text of a line; nothing for a line that has none of the forms."""
    for form in FORMS:
        if found := form.match(line):
            parts = found.groupdict()
            try:
                clock, time = time_of(parts, about)
            except ValueError:
                return
            yield clock, time, parts.get("host"), parts["text"]
            return


def time_of(parts: dict[str, str | None], about: int | None) -> tuple[Clock, int]:
    """The clock that a line's time is by, and the time in ns. Raises ValueError for no time."""
    if boot := parts.get("boot"):
        return "boot", round(Decimal(boot) * SECOND)
    if local := parts.get("local"):
        return "local", ns(datetime.strptime(local, "%b %d %H:%M:%S %Y"))
    if iso := parts.get("iso"):
        moment = datetime.fromisoformat(iso.replace(",", "."))
        return ("local" if moment.tzinfo is None else "utc"), ns(moment)
    return "local", nearest(str(parts["short"]), about)


def nearest(short: str, about: int | None) -> int:
    """A time without a year, in ns, in the year that brings it nearest to `about` (None: now)."""
    near = datetime.now(UTC) if about is None else datetime.fromtimestamp(about // SECOND, UTC)
    years = (near.year - 1, near.year, near.year + 1)
    moments = []
    for year in years:
        try:
            moments.append(ns(datetime.strptime(f"{short} {year}", "%b %d %H:%M:%S %Y")))
        except ValueError:  # February 29
            continue
    return min(moments, key=lambda moment: abs(moment - ns(near)))


def in_zone(time: int, zone: tzinfo) -> int:
    """The time in UTC of a local time of this zone."""
    whole, rest = divmod(time, SECOND)
    return ns(datetime.fromtimestamp(whole, UTC).replace(tzinfo=zone)) + rest


def ns(moment: datetime) -> int:
    """A time in ns since 1970; one without a zone as if it were UTC."""
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000) * 1000
