"""The same rows and the same report, however many processors decode a capture, and whatever pieces it comes in."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from nfsrpc import read
from nfsrpc._core import Decoder
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.reading import SECONDARY, WRITES, usual_jobs
from nfsrpc.report.contents import report_of
from nfsrpc.report.json import render
from nfsrpc.sessions import COUNTING, WANTED
from nfsrpc.sources import SourceError
from tests.agreement.test_chunking import BLOCK, LISTS, ODD
from tests.captures_dir import Capture, captures

LAYOUTS = compile(PROTOCOLS)
AS_ANALYZE: dict[str, Any] = {"fold": COUNTING.procedures, "secondary": SECONDARY, "by_handle": WRITES}
COUNTED = compile(PROTOCOLS, WANTED)
TABLES = ("exchanges", "copies", "flows", "captures", "oddities", "tallies", "latencies", "accesses")
NULL = 1 << 80
LONGEST = 1 << 20  # for the test's time
# Jobs, bytes of a piece, whether rows are taken after each. Chunks of more than 64 KiB are shared by threads.
WAYS = ((2, 1 << 19, False), (3, BLOCK + 1, False), (5, ODD, True))


def rows(data: bytes, jobs: int, size: int, drained: bool = False, counted: bool = False) -> dict[str, list[Any]]:
    """Everything that the core says of `data`; the order of a table's rows is not its promise."""
    layouts, options = (COUNTED, AS_ANALYZE) if counted else (LAYOUTS, {})
    decoder = Decoder(*layouts, jobs=jobs, threads_from=0, **options)
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
