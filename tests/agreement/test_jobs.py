"""The same rows and the same report, however many processors decode a capture, and whatever pieces it comes in."""

import json
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks import traffic
from benchmarks.attacks import NFS, NFSD, SERVER, Ends, Writer, handle, host, opaque
from nfsrpc import read, reading
from nfsrpc._core import Decoder, Layouts
from nfsrpc.decode import decode
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.reading import SECONDARY, WRITES, usual_jobs
from nfsrpc.report.contents import report_of
from nfsrpc.report.json import render
from nfsrpc.sessions import COUNTING, WANTED, Sessions, batches, thinning
from nfsrpc.sources import SourceError
from tests.agreement.test_chunking import BLOCK, LISTS, ODD
from tests.captures_dir import Capture, captures

LAYOUTS = Layouts(*compile(PROTOCOLS))
AS_ANALYZE: dict[str, Any] = {"fold": COUNTING.procedures, "by_handle": WRITES}
COUNTED = Layouts(*compile(PROTOCOLS, WANTED), SECONDARY)
TABLES = ("exchanges", "copies", "flows", "captures", "oddities", "tallies", "latencies", "accesses")
NULL = 1 << 80
LONGEST = 1 << 20  # for the test's time
THREADS_FROM = 2 << 20  # as the core has it
LOOKUP, REMOVE, RENAME = 3, 12, 14  # of NFSv3
LISTED = {"names": ("paths", "flows", "programs"), "locks": ("calls", "locks", "flows", "programs")}
# Jobs, bytes of a piece, whether rows are taken after each. Chunks of more than 64 KiB are shared by threads.
WAYS = ((2, 1 << 19, False), (3, BLOCK + 1, False), (5, ODD, True))


def rows(data: bytes, jobs: int, size: int, drained: bool = False, counted: bool = False) -> dict[str, list[Any]]:
    """Everything that the core says of `data`; the order of a table's rows is not its promise."""
    layouts, options = (COUNTED, AS_ANALYZE) if counted else (LAYOUTS, {})
    decoder = Decoder(layouts, jobs=jobs, threads_from=0, **options)
    batches: list[dict[str, Any]] = []
    for at in range(0, len(data), size):
        decoder.feed(data[at : at + size])
        if drained:
            batches.append(decoder.drain())
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for batch in [*batches, decoder.close()]:
        for name in LISTS:
            found[name] += batch[name]
        for name, columns in [*((name, batch[name]) for name in TABLES), *batch["decoded"].items()]:
            found[name] += zip(*map(values, columns.values()), strict=True)
    return {name: values if name in LISTS else sorted(values) for name, values in found.items() if values}


def values(column: Any) -> list[Any]:
    """Null is a value that no column has."""
    if isinstance(column, tuple):
        return [value if valid else -NULL for value, valid in zip(*(part.tolist() for part in column), strict=True)]
    return column if isinstance(column, list) else list(column.tolist())


@pytest.mark.parametrize("capture", captures("samples"))
def test_every_table(capture: Capture) -> None:
    data = capture.load()
    one = rows(data, 1, max(len(data), 1))
    for jobs, size, drained in WAYS:
        assert rows(data, jobs, size, drained) == one, f"{jobs} jobs, pieces of {size}"
    assert rows(data, 2, 1 << 19, counted=True) == rows(data, 1, 1 << 19, counted=True)


@pytest.mark.parametrize("capture", captures("kernel", "public", "hostile"))
def test_the_beginning_of_every_table(capture: Capture) -> None:
    data = capture.load()[:LONGEST]
    assert rows(data, 3, BLOCK + 1, counted=True) == rows(data, 1, len(data) or 1, counted=True)


@pytest.mark.parametrize("capture", captures("samples"))
def test_the_report(capture: Capture) -> None:
    def report(jobs: int) -> Any:
        trace = read(capture.path, count=True, jobs=jobs)
        return json.loads(render(report_of(trace.tables, trace.diagnosis)))

    assert report(3) == report(1)


def names() -> bytes:
    """Twelve clients that look up files, and in two thirds of the time remove and rename some as well."""
    w, dice, place, lookups = Writer(), Random(3), dict[int, int](), 9_000
    root, nothing = opaque(handle(0)), bytes(4)
    for one in range(lookups):
        ends = Ends(host(dice.randrange(12)), 700, SERVER, NFSD)
        file, kind = dice.randrange(100 if dice.random() < 0.5 else 3_000), dice.random()
        name = opaque(b"f%d" % file)
        if one // 1_000 % 3 == 0 or kind < 0.95:
            found = opaque(handle(place.setdefault(file, one + 1)))
            w.asked(ends, NFS, 3, LOOKUP, root + name, nothing + found + 2 * nothing)
        elif kind < 0.975:
            place.pop(file, None)
            w.asked(ends, NFS, 3, REMOVE, root + name, 3 * nothing)
        else:
            other = dice.randrange(3_000)
            place[other] = place.pop(file, one + 1)
            w.asked(ends, NFS, 3, RENAME, root + name + root + opaque(b"f%d" % other), 5 * nothing)
    return w.capture()


def locks(folder: Path) -> bytes:
    traffic.mixed(traffic.PAIRS, folder / "pairs.pcap", 24_000)
    return (folder / "pairs.pcap").read_bytes()


@pytest.mark.parametrize("kind", LISTED)
def test_what_is_yet_listed_where_exchanges_are_counted(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is decided while the capture is read, after the same frames in any way to read it."""
    for module, name, value in (
        (reading, "DRAIN_ROWS", 500),
        (reading, "ASKED_EVERY", 200),
        (thinning, "FEW_NAMED", 50),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(batches, "MANY", 1_500)
    data = names() if kind == "names" else locks(tmp_path)
    assert len(data) > THREADS_FROM

    def listed(jobs: int, size: int) -> dict[str, Any]:
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        sessions = Sessions(decode([pieces], WANTED, counting=COUNTING, jobs=jobs))
        return {name: [sessions[name].values(column) for column in sessions[name].columns] for name in LISTED[kind]}

    one = listed(1, len(data))
    assert all(columns[0] for columns in one.values())
    for jobs, size in ((1, 70_001), (2, len(data)), (2, 1 << 19), (3, 70_001), (5, 4_099)):
        assert listed(jobs, size) == one, f"{jobs} jobs, pieces of {size}"


def test_several_places_are_read_at_once_as_one_after_the_other() -> None:
    directory = Path("captures/contended")
    one, many = (read(directory, jobs=jobs) for jobs in (1, 8))
    assert one.files == many.files
    assert one.calls.equals(many.calls)
    assert one.locks.equals(many.locks)


def test_of_several_files_the_first_that_fails_is_named(tmp_path: Path) -> None:
    for name in ("a.pcap", "b.pcap", "c.pcap"):
        (tmp_path / name).write_bytes(b"no capture, but text")
    with pytest.raises(SourceError, match=r"c\.pcap: this is text, not a capture; 2 more"):
        read(tmp_path / "c.pcap", tmp_path / "a.pcap", tmp_path / "b.pcap", jobs=3)


def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFSRPC_JOBS", "3")
    assert usual_jobs() == 3
    for wrong in ("0", "-1", "many", "²"):
        monkeypatch.setenv("NFSRPC_JOBS", wrong)
        with pytest.raises(SourceError) as error:
            usual_jobs()
        assert str(error.value) == f"NFSRPC_JOBS: is no number of processors: {wrong!r} (unset it to use all)"
    monkeypatch.delenv("NFSRPC_JOBS")
    assert usual_jobs() >= 1
    monkeypatch.setenv("NFSRPC_JOBS", "9" * 5000)  # of which Python makes no number
    with pytest.raises(SourceError):
        usual_jobs()


def test_more_processors_than_any_machine_has_are_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFSRPC_JOBS", "1" + "0" * 20)
    assert read("captures/contended/nfssrv-any.pcap").verdict.state == "healthy"
