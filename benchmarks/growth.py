"""What hostile captures cost, and how that grows: python -m benchmarks.growth [NAME…] prints a table.

Each capture is made n, 2 n and 4 n large and analysed as `analyze` does it, with a report in every format, in a process
forked for it: its processor time, and the memory that it takes beyond what was taken before. Time of the order of
n log n is a little more than four times as much for 4 n.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import struct
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from time import process_time
from typing import NamedTuple

from benchmarks.attacks import ATTACKS, Writer
from benchmarks.hostile_bytes import BYTES

Files = list[bytes]
N = 4_000
# As large as what was seen to be slow, or as makes a second: things that are many in a packet, or cheap.
SIZES = {
    "closed_ports": 20_000,
    "corrupt_records": 400_000,
    "dumps": 150_000,
    "entries": 200_000,
    "identities": 2_000,
    "options": 400_000,
    "refused_by_all": 2_000,
    "ring": 250,
    "statistics": 100_000,
    "unavailable_programs": 8_000,
    "unknown_blocks": 100_000,
    "vantages": 250,
    "wait_chain": 8_000,
}
# Longer than any takes; a process that needs more is ended.
LIMIT_S = 300
COST = struct.Struct("dq")


class Cost(NamedTuple):
    seconds: float
    bytes: int


class TooLongError(Exception):
    """An analysis took longer than it may."""


def of_attack(generator: Callable[[Writer, int], None], n: int) -> Files:
    writer = Writer()
    generator(writer, n)
    return [writer.capture()]


CAPTURES: dict[str, Callable[[int], Files]] = {
    **{name: partial(of_attack, generator) for name, generator in ATTACKS.items()},
    **BYTES,
}


def analyse(files: Sequence[bytes]) -> None:
    """All that `analyze` does, in every format. Raises RuntimeError where a rule fails: it would cost nothing."""
    from nfsrpc.decode import decode
    from nfsrpc.diagnosis.verdict import diagnose
    from nfsrpc.report import html, json, markdown, text
    from nfsrpc.report.contents import report_of
    from nfsrpc.sessions import COUNTING, WANTED
    from nfsrpc.trace import Trace

    trace = Trace(decode(files, WANTED, counting=COUNTING))
    diagnosis = diagnose(trace.tables)
    if diagnosis.broken:
        raise RuntimeError(str(diagnosis.broken))
    report = report_of(trace.tables, diagnosis)
    text.render(report)
    json.render(report)
    markdown.render(report)
    html.render(report)


def cost(work: Callable[[], None], limit_s: int = LIMIT_S) -> Cost:
    """What some work costs in a process of its own. Raises TooLongError, and RuntimeError if it fails."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy has threads, of which the child uses none
        child = os.fork()
    if not child:
        os.close(reading)
        os.write(writing, COST.pack(*measured(work, limit_s)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise TooLongError(f"more than {limit_s} s")
    if not answer:
        raise RuntimeError("failed")
    return Cost(*COST.unpack(answer))


def measured(work: Callable[[], None], limit_s: int) -> Cost:
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
    gc.collect()
    gc.disable()  # as in `analyze`
    # What the parent had freed and kept would be taken again unseen, and the smaller of two captures look cheap.
    ctypes.CDLL(None).malloc_trim(0)
    begun, before = process_time(), resident()
    try:
        work()
    except BaseException:  # noqa: BLE001 - the process ends with it
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    return Cost(process_time() - begun, max(peak() - before, 0))


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def costs(name: str, sizes: Sequence[int], limit_s: int = LIMIT_S) -> list[Cost]:
    """Of the captures of one kind."""
    return [cost(partial(analyse, CAPTURES[name](n)), limit_s) for n in sizes]


def imported() -> None:
    """Does everything once, so that imports cost nothing in what is measured."""
    analyse(of_attack(ATTACKS["clients"], 10))


def main() -> None:
    imported()
    print(
        f"{'':32}{'n':>9}{'n, s':>9}{'2 n, s':>9}{'4 n, s':>9}{'n, MB':>9}{'2 n, MB':>9}{'4 n, MB':>9}{'time 4n/n':>11}"
    )
    for name in sys.argv[1:] or CAPTURES:
        n = SIZES.get(name, N)
        print(f"{name:32}{n:9}", end="", flush=True)
        try:
            found = costs(name, (n, 2 * n, 4 * n))
        except TooLongError as error:
            print(f"  {error}")
            continue
        seconds = "".join(f"{one.seconds:9.2f}" for one in found)
        memory = "".join(f"{one.bytes / 1e6:9.0f}" for one in found)
        print(f"{seconds}{memory}{found[2].seconds / found[0].seconds:11.1f}", flush=True)


if __name__ == "__main__":
    main()
