"""Several files: which go on with each other, which stand side by side, and how their numbers become one set."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.attacks import Writer, clients, dumps, long_names, machine_names
from benchmarks.hostile_bytes import copies_of_a_call
from nfsrpc import reading
from nfsrpc._core import Decoder, Layouts
from nfsrpc.columns import constant, lengthened
from nfsrpc.decode import NO_STRING, Decoded, as_captured, decode, renumbered_message, text_of
from nfsrpc.protocols import PROTOCOLS
from nfsrpc.protocols import compile as compile_protocols
from nfsrpc.reading import NO_TIME, RING_GAP, RING_OVERLAP, Batch, Counting, Ring, Vantage
from nfsrpc.sessions import WANTED
from nfsrpc.sessions.counting import COUNTING
from nfsrpc.sources import SourceError
from nfsrpc.sources.in_memory import InMemory
from tests.scenario import Host, Scenario

Files = Callable[..., list[Path]]
SECOND = 1_000_000_000
TRACES = ("trace-20260101-1200", "trace-20260101-1201")  # as tcpdump -G names files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    def write(**captures: bytes) -> list[Path]:
        paths = [tmp_path / f"{name}.pcap" for name in captures]
        for path, data in zip(paths, captures.values(), strict=True):
            path.write_bytes(data)
        return paths

    return write


def scenario() -> tuple[Scenario, Host, Host]:
    s = Scenario()
    return s, s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")


def minutes(count: int = 4) -> tuple[Scenario, Host, Host]:
    """A GETATTR and a lock each half minute."""
    s, server, client = scenario()
    for svid in range(2 * count):
        client.getattr(server, f"/srv/{svid}")
        client.lock(server, f"/srv/{svid}", svid=svid).granted(after=20)
        s.wait(10)
    return s, server, client


def found(decoded: Decoded) -> list[tuple[int, int, int, int, int]]:
    names = ("capture", "call_frame", "reply_capture", "reply_frame", "xid")
    return sorted(zip(*(decoded.exchanges[name].tolist() for name in names), strict=True))


def ring(s: Scenario, seconds: float, count: int) -> dict[str, bytes]:
    return {
        f"ring_{number:05}_20260101120000": s.capture(since=number * seconds + 1e-9, until=(number + 1) * seconds)
        for number in range(count)
    }


def test_a_ring_goes_on_from_file_to_file(files: Files) -> None:
    s, _, _ = minutes()
    pieces = ring(s, 50, 5)
    decoded = decode(files(**pieces), WANTED)
    whole = decode(files(whole=s.capture()), WANTED)
    assert decoded.vantages == [[0, 1, 2, 3, 4]]
    assert [row[4] for row in found(decoded)] == [row[4] for row in found(whole)]
    assert all(row[3] for row in found(decoded)), "every call finds its reply, also in another file"
    assert any(row[0] != row[2] for row in found(decoded))


def test_the_order_given_does_not_matter(files: Files) -> None:
    s, _, _ = minutes()
    paths = files(**ring(s, 50, 5))
    forth, back = decode(paths, WANTED), decode(paths[::-1], WANTED)
    assert back.vantages == [[4, 3, 2, 1, 0]]
    turned = [(4 - row[0], row[1], 4 - row[2], *row[3:]) for row in found(back)]
    assert sorted(turned) == found(forth)


def test_captures_of_the_same_minutes_are_vantages(files: Files) -> None:
    s, server, client = minutes()
    decoded = decode(files(**{TRACES[0]: s.capture(at=server), TRACES[1]: s.capture(at=client)}), WANTED)
    assert decoded.vantages == [[0], [1]]
    assert len(found(decoded)) == 2 * 16


@pytest.mark.parametrize(
    ("gap", "names", "vantages"),
    [
        (60, TRACES, [[0, 1]]),
        (60, ("server", "client"), [[0], [1]]),
        (60, ("cl1", "cl2"), [[0], [1]]),
        (600, TRACES, [[0], [1]]),
    ],
)
def test_what_goes_on_is_told_by_name_and_time(
    files: Files, gap: float, names: tuple[str, str], vantages: list[list[int]]
) -> None:
    s, server, client = scenario()
    client.getattr(server, "/srv")
    s.wait(gap)
    client.getattr(server, "/srv")
    captures = s.capture(until=gap / 2), s.capture(since=gap / 2)
    assert decode(files(**dict(zip(names, captures, strict=True)))).vantages == vantages


def test_numbers_of_several_vantages_are_made_unique(files: Files) -> None:
    s, server, _ = minutes(1)
    other, guest = s.host("10.0.1.9", name="other"), s.host("10.0.1.1", name="guest")
    guest.lock(other, "/srv/0", svid=70).granted()
    both = decode(files(a=s.capture(at=server), b=s.capture(at=other)), WANTED)
    assert len(set(both.exchanges["exchange"].tolist())) == len(both.exchanges["exchange"]) == 5
    assert len(set(both.flows["flow"].tolist())) == len(both.flows["flow"])
    assert [text for text, _ in both.addresses] == ["10.0.0.1", "10.0.0.9", "10.0.1.1", "10.0.1.9"]
    assert len(both.strings) == len(set(both.strings)), "a string has one number"
    names = both.column("nlm4.args", "caller_name", both.exchanges["exchange"])
    machines = both.exchanges["machine"]
    told = [both.strings[number] for number in names.values[names.valid]]
    assert sorted(told) == [b"guest", b"web-1", b"web-1"]
    assert (machines[names.valid] == names.values[names.valid]).all(), "the same text is the same number"
    clients = [both.addresses[number][0] for number in both.exchanges["client"][names.valid]]
    assert sorted(clients) == ["10.0.0.1", "10.0.0.1", "10.0.1.1"]
    flows = dict(zip(both.flows["flow"].tolist(), both.flows["server_port"].tolist(), strict=True))
    ports = both.exchanges["server_port"].tolist()
    assert [flows[number] for number in both.exchanges["flow"].tolist()] == ports


def test_fields_are_found_by_exchange(files: Files) -> None:
    s, _, _ = minutes(1)
    decoded = decode(files(a=s.capture()), WANTED)
    raw = decoded.exchanges
    svids = decoded.column("nlm4.args", "svid", raw["exchange"])
    assert svids.valid.tolist() == (raw["prog"] == 100021).tolist()
    assert sorted(svids.values[svids.valid].tolist()) == [0, 1]
    assert not decoded.column("nlm4.args", "no such field", raw["exchange"]).valid.any()
    assert not decoded.column("nsm1.args", "mon_name", raw["exchange"]).valid.any()
    assert decoded.text(np.array([0xFFFFFFFF])).tolist() == [None]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"no capture at all, this", "not a capture"),
        (b"\xd4\xc3\xb2\xa1\2\0", "is cut within its header"),
    ],
)
def test_what_is_no_capture_is_named(files: Files, data: bytes, reason: str) -> None:
    s, _, _ = minutes(1)
    (bad,) = files(bad=data)
    with pytest.raises(SourceError, match=f"bad.pcap.*{reason}"):
        decode([bad])
    with pytest.raises(SourceError, match=f"bad.pcap.*{reason}; 1 more cannot be read either"):
        decode([bad, bad])
    (good,) = files(good=s.capture())
    decoded = decode([bad, good], WANTED)
    assert (decoded.files, decoded.captures["capture"].tolist()) == ([str(good)], [0])
    assert [error.path for error in decoded.skipped] == [str(bad)]
    assert reason in decoded.skipped[0].reason
    assert len(found(decoded)) == len(found(decode([good], WANTED)))


def test_a_part_of_a_ring_that_cannot_be_read_stops_none_of_the_others(files: Files, tmp_path: Path) -> None:
    s, _, _ = minutes()
    paths = files(**ring(s, 50, 5))
    whole = decode([tmp_path], WANTED)
    paths[2].write_bytes(b"\xff" * 999)
    (tmp_path / "loop").symlink_to("loop")
    decoded = decode([tmp_path], WANTED)
    assert decoded.files == [str(path) for path in paths if path != paths[2]]
    assert {Path(error.path).name: error.reason for error in decoded.skipped} == {
        "loop": "cannot be opened: Too many levels of symbolic links",
        paths[2].name: "is not a capture",
    }
    assert 0 < len(found(decoded)) < len(found(whole))


class Torn:
    """A file that the disk gives up on, or that is gone when it is opened a second time."""

    def __init__(self, chunks: list[bytes | OSError]) -> None:
        self.chunks = iter(chunks)

    def read(self, _size: int, /) -> bytes:
        chunk = next(self.chunks, b"")
        if isinstance(chunk, OSError):
            raise chunk
        return chunk

    def close(self) -> None:
        pass


def torn(*readings: list[bytes | OSError]) -> InMemory:
    """What is read of it each time that it is opened."""
    each = iter(readings)
    return InMemory("torn", lambda: Torn(next(each)), False)


def test_what_was_read_before_the_disk_failed_counts() -> None:
    s, _, _ = minutes()
    half = s.capture()[: len(s.capture()) // 2]
    decoded = decode([torn([half, OSError(5, "Input/output error")])], WANTED)
    assert 0 < len(found(decoded)) < 16
    assert decoded.damages == {0: "cannot be read: Input/output error"}
    assert decoded.skipped == ()


def test_a_file_that_vanishes_meanwhile_stops_none_of_the_others(files: Files) -> None:
    s, _, _ = minutes()
    gone = torn([s.capture()], [OSError(2, "No such file or directory")])
    decoded = decode([gone, *files(good=s.capture())], WANTED)
    assert decoded.files[0] == "torn"
    assert decoded.captures["frames"].tolist()[0] == 0
    assert [str(error) for error in decoded.skipped] == ["torn: cannot be read: No such file or directory"]
    assert len(found(decoded)) == 16
    with pytest.raises(SourceError, match="torn: cannot be read"):
        decode([torn([OSError(5, "Input/output error")])])


def in_part_at_once(files: Files) -> list[Path]:
    """Captures that are called as a ring, of which one begins after another ended, and a third while that one lasts."""
    s, _, _ = minutes()
    spans = ((0, 31), (60, 150), (90, 200))
    names = ("trace-20260101-1200", "trace-20260101-1201", "trace-20260101-1202")
    return files(**{name: s.capture(since=first, until=last) for name, (first, last) in zip(names, spans, strict=True)})


def test_of_files_that_are_read_again_all_counts_once(files: Files) -> None:
    paths = in_part_at_once(files)
    told: list[tuple[int, int | None]] = []
    decoded = decode(paths, WANTED, progress=lambda done, total: told.append((done, total)))
    assert sorted(decoded.vantages) == [[0], [1], [2]]
    apart = [decode([path], WANTED) for path in paths]
    assert [decoded.captures[name].tolist() for name in ("frames", "first", "last")] == [
        [int(one.captures[name][0]) for one in apart] for name in ("frames", "first", "last")
    ]
    assert len(found(decoded)) == sum(len(found(one)) for one in apart)
    assert told[-1] == (sum(path.stat().st_size for path in paths),) * 2


def test_what_vanishes_is_named_once_though_files_are_read_again(files: Files) -> None:
    paths = in_part_at_once(files)
    missing = OSError(2, "No such file or directory")
    gone = torn([paths[2].read_bytes()], [missing], [missing])
    gone.name = str(paths[0]).replace("1200", "1203")
    decoded = decode([*paths, gone], WANTED)
    assert sorted(decoded.vantages) == [[0], [1], [2], [3]]
    assert [str(error) for error in decoded.skipped] == [f"{gone.name}: cannot be read: {missing.strerror}"]


def test_what_can_be_read_once_is_not_read_again(files: Files) -> None:
    paths = in_part_at_once(files)
    data = paths[0].read_bytes()
    pipe = InMemory(str(paths[0]).replace("1200", "1203"), lambda: io.BytesIO(data), True)
    decoded = decode([*paths, pipe], WANTED)
    assert [0, 1] in decoded.vantages


def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    s, _, _ = minutes(1)
    path = os.fsencode(tmp_path) + b"/caf\xe9.pcap"
    Path(os.fsdecode(path)).write_bytes(s.capture())
    decoded = decode([os.fsdecode(path)])
    assert decoded.files == [f"{tmp_path}/caf\\udce9.pcap"]
    assert decoded.sources == [os.fsdecode(path)]


def test_a_file_without_frames_is_no_error(files: Files) -> None:
    s, _, _ = minutes(1)
    decoded = decode(files(empty=s.capture(since=9999), full=s.capture()), WANTED)
    assert decoded.captures["frames"].tolist()[0] == 0
    assert len(found(decoded)) == 4


def test_a_broken_compressed_stream_is_read_as_far_as_it_goes(files: Files) -> None:
    s, _, _ = minutes()
    packed = gzip.compress(s.capture())
    decoded = decode(files(cut=packed[: len(packed) * 2 // 3]), WANTED)
    assert 0 < len(found(decoded)) < 16
    assert list(decoded.damages) == [0]


def test_progress_reaches_the_total(files: Files) -> None:
    s, _, _ = minutes()
    paths = files(a=s.capture(), b=gzip.compress(s.capture()))
    told: list[tuple[int, int | None]] = []
    decode(paths, WANTED, progress=lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for path in paths)
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_directory_is_its_captures(files: Files, tmp_path: Path) -> None:
    s, _, _ = minutes()
    files(**ring(s, 50, 5))
    (tmp_path / "notes.txt").write_text("not a capture")
    assert decode([tmp_path], WANTED).vantages == [[0, 1, 2, 3, 4]]


def test_names_that_are_not_printable_are_escaped() -> None:
    assert text_of(b"web-1") == "web-1"
    assert text_of("grün".encode()) == "grün"
    assert text_of(b"a\nb\xff") == "a\\nb\\xff"


def test_a_text_that_found_no_room_in_the_core_is_null() -> None:
    numbers, valid = np.array([0, NO_STRING, 1], dtype=np.uint32), np.array([True, True, False])
    of_strings = renumbered_message((numbers, valid), "string", {"string": 0})
    of_numbers = renumbered_message((numbers, valid), None, {})
    assert (of_strings.valid.tolist(), of_numbers.valid.tolist()) == ([True, False, False], [True, True, False])


@pytest.mark.parametrize(
    ("attack", "n", "waiting"),
    [
        (clients, 8_000, 3_904),  # exchanges, but for those in reach
        (dumps, 4_000, 1_000),  # a quarter of the items
        (long_names, 400, 2_971),  # each KiB is four, but for what short ones have
        (copies_of_a_call, 4_001, 1_000),  # a quarter of them
        (machine_names, 50_000, 55_402),  # sums, but for those that go on, and an eighth of the names
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_waits_in_the_core_weighs_as_much_as_it_takes(
    attack: Callable[[Writer, int], None], n: int, waiting: int, jobs: int
) -> None:
    w = Writer()
    attack(w, n)
    decoder = Decoder(Layouts(*compile_protocols(PROTOCOLS, WANTED)), 0, COUNTING.procedures, jobs=jobs)
    decoder.feed(w.capture())
    decoder.next_capture()
    assert decoder.undrained() == waiting


def test_nothing_follows_a_chunk_of_which_a_rest_is_to_be_decoded() -> None:
    w = Writer()
    clients(w, 50)
    data = w.capture()
    decoder = Decoder(Layouts(*compile_protocols(PROTOCOLS, WANTED)), stop_at=(0, 10))
    assert decoder.feed(data)
    for following in (lambda: decoder.feed(data), decoder.next_capture, decoder.close):
        with pytest.raises(ValueError, match="decoding has stopped: take rows, and go on, first"):
            following()
    exchanges = 0
    while True:
        exchanges += len(decoder.drain()["exchanges"]["exchange"])
        if not decoder.go_on():
            break
    assert not decoder.go_on(), "there is no rest"
    assert exchanges + len(decoder.close()["exchanges"]["exchange"]) == 50


def test_to_escape_a_name_nothing_is_imported() -> None:
    """A process that has given up its rights may not be able to: `nfsrpc live` as root."""
    names = r"text_of(b'a\x1b\xff\xe2\x80\xae')"
    script = f"import sys; from nfsrpc.decode import text_of; before = set(sys.modules); {names}"
    command = [sys.executable, "-c", f"{script}; print(sorted(set(sys.modules) - before))"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("jobs", [1, 2])
def test_batches_are_thinned_while_decoding_goes_on(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more than one job: some batches are taken from the decoder meanwhile; and all come out in their order."""
    monkeypatch.setattr("nfsrpc.reading.DRAIN_ROWS", 0)
    monkeypatch.setattr("nfsrpc.reading.ASKED_EVERY", 2)
    s, server, host = scenario()
    for number in range(40):
        host.lock(server, f"/srv/{number}", svid=number).granted()
    data, went_on, going_on = s.capture(at=server), threading.Event(), threading.Event()
    beside, waiting = list[bool](), [0]
    chunks = (data[first : first + 512] for first in range(0, len(data), 512))

    def fullness(batches: list[Batch]) -> float:
        if going_on.is_set():
            waiting.append(len(batches))
            if len(batches) == 2:
                went_on.set()
        return len(batches) / 4

    def thinned(batches: list[Batch], *_: Any) -> list[Batch]:
        going_on.set()
        beside.append(went_on.wait(0 if beside else 2))
        threading.Event().wait(0 if len(beside) > 1 else 0.1)  # more could come
        going_on.clear()
        return batches

    counting = Counting((), fullness, thinned, COUNTING.without_addresses)
    decoded = decode([chunks], WANTED, counting=counting, jobs=jobs)
    assert (len(beside) > 5, beside[0]) == (True, jobs > 1)
    assert max(waiting) == (4 if jobs > 1 else 0)
    exchanges = decode([data], WANTED).exchanges
    assert all((decoded.exchanges[name] == exchanges[name]).all() for name in ("exchange", "time", "reply_time"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_files_of_a_ring_leave_is_thinned_from_file_to_file(
    jobs: int, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though each of them has fewer rows than stop decoding."""
    monkeypatch.setattr("nfsrpc.sessions.batches.MANY", 1)
    s, _, _ = minutes()
    together: list[int] = []

    def thinned(batches: list[Batch], *beside: Any) -> list[Batch]:
        together.append(len(batches))
        return COUNTING.thinned(batches, *beside)

    decoded = decode(files(**ring(s, 50, 5)), WANTED, counting=COUNTING._replace(thinned=thinned), jobs=jobs)
    assert together == [1, 2, 2, 2, 3]
    assert len(decoded.exchanges["exchange"]) == 8, "the locks"


def test_a_batch_without_rows_takes_as_much_as_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Decoder().drain()
    assert [COUNTING.fullness([nothing] * count) < 1 for count in (39, 40)] == [True, False]


def test_what_thinning_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nfsrpc.reading.DRAIN_ROWS", 0)
    s, server, host = scenario()
    host.lock(server, "/srv", svid=1).granted()

    def thinned(*_: Any) -> list[Batch]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decode(
            [s.capture(at=server)],
            WANTED,
            counting=Counting((), lambda _: 1.0, thinned, COUNTING.without_addresses),
            jobs=2,
        )


class Read(Vantage):
    """A vantage of which only the end matters."""

    def __init__(self, name: str, last: int) -> None:
        super().__init__(Decoder(), {}, {})
        self.name, self.last = name, last


@given(
    firsts=st.lists(st.integers(0, 900), max_size=12),
    lengths=st.lists(st.integers(0, 300), min_size=12, max_size=12),
)
def test_a_file_continues_the_vantage_begun_last_of_those_that_end_there(firsts: list[int], lengths: list[int]) -> None:
    """As if each vantage were asked, the latest first; seconds."""
    ring = Ring()
    vantages: list[Read] = []
    for first, length in zip(sorted(firsts), lengths, strict=False):
        gaps = [(vantage, first * SECOND - vantage.last) for vantage in reversed(vantages)]
        expected = next((vantage for vantage, gap in gaps if -RING_OVERLAP <= gap <= RING_GAP), None)
        vantage = ring.continued_at(first * SECOND)
        assert vantage is expected
        if vantage is None:
            vantages.append(vantage := Read(f"{len(vantages)}", 0))
        vantage.last = max(vantage.last, (first + length) * SECOND)
        ring.add(vantage)


@pytest.mark.parametrize(("last", "first"), [(NO_TIME, 0), (0, NO_TIME)])
def test_what_has_no_time_continues_nothing(last: int, first: int) -> None:
    ring = Ring()
    ring.add(Read("a", last))
    assert ring.continued_at(first) is None


def test_more_files_than_have_numbers_are_refused(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    s, server, client = scenario()
    client.getattr(server, "/srv")
    paths = files(a=s.capture(), b=s.capture(), c=s.capture())
    monkeypatch.setattr("nfsrpc.reading.MAX_FILES", 3)
    assert len(decode(paths).files) == 3
    monkeypatch.setattr("nfsrpc.reading.MAX_FILES", 2)
    with pytest.raises(SourceError, match=r"c\.pcap: there are more than 2 files \(analyse fewer at once\)"):
        decode(paths)


def test_strings_of_many_vantages_keep_their_numbers(files: Files) -> None:
    """Vantages that share some names, each in another order."""
    s, server, _ = scenario()
    hosts = [s.host(f"10.0.0.{number}", name=f"web-{number % 5}") for number in range(1, 8)]
    for host in hosts:
        host.lock(server, "/srv", svid=1).granted()
    decoded = decode(
        files(**{f"v{'abcdefg'[number]}": s.capture(at=host) for number, host in enumerate(hosts)}), WANTED
    )
    names = decoded.column("nlm4.args", "caller_name", decoded.exchanges["exchange"])
    clients = [decoded.addresses[number][0] for number in decoded.exchanges["client"].tolist()]
    told = [decoded.strings[number].decode() for number in names.values.tolist()]
    assert dict(zip(clients, told, strict=True)) == {f"10.0.0.{n}": f"web-{n % 5}" for n in range(1, 8)}
    assert len(decoded.strings) == len(set(decoded.strings))


def test_a_column_of_one_value_is_one_value_in_memory() -> None:
    same, other = np.full(1_024, 7, dtype=np.uint32), np.arange(1_024, dtype=np.uint32) % 1_023
    column = constant(same)
    assert (column.strides, column.dtype, column.tolist()) == ((0,), np.dtype(np.uint32), same.tolist())
    assert constant(other) is other
    assert constant(same[:-1]).strides == (4,)


def test_a_column_grows_in_its_memory_and_while_its_values_are_equal_takes_that_of_one() -> None:
    same, other = np.full(1_024, 7, dtype=np.uint32), np.arange(1_024, dtype=np.uint32)
    column = lengthened(lengthened(None, same), same)
    assert (column.strides, len(column)) == ((0,), 2_048)
    assert lengthened(column, same[:0]).strides == (0,)
    grown = lengthened(column, other)
    assert (grown.flags.owndata, grown.tolist()) == (True, [*column.tolist(), *other.tolist()])
    again = lengthened(grown, same)
    assert again is grown
    assert again[-1_025:].tolist() == [1_023, *same.tolist()]
    assert lengthened(same[:0], other) is other


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_taken_piece_by_piece_is_what_is_taken_at_once(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    s, server, host = scenario()
    for number in range(2_000):  # of which some hundred stay in reach
        host.lock(server, f"/srv/{number}", svid=number).granted()
    data = s.capture(at=server)
    whole = decode([data], WANTED)
    taken: list[int] = []
    gather = reading.gathered

    def gathered(batches: list[Batch], batch: Batch) -> list[Batch]:
        taken.append(len(batch["exchanges"]["exchange"]))
        found = gather(batches, batch)
        assert [len(later["exchanges"]["exchange"]) for later in found[1:]] == [0] * (len(found) - 1)
        assert len(found[0]["exchanges"]["exchange"]) == sum(taken)
        return found

    monkeypatch.setattr("nfsrpc.reading.gathered", gathered)
    monkeypatch.setattr("nfsrpc.reading.PIECE_ROWS", 300)
    pieces = decode([chunked(data)], WANTED, jobs=jobs)
    assert sum(count > 0 for count in taken) > 3
    for name, values in whole.exchanges.items():
        assert pieces.exchanges[name].tolist() == values.tolist(), name
    exchanges = whole.exchanges["exchange"]
    for name in ("fh", "svid", "l_offset", "exclusive"):
        one, other = (decoded.column("nlm4.args", name, exchanges) for decoded in (whole, pieces))
        assert one.valid.tolist() == other.valid.tolist(), name
        texts = [
            [decoded.strings[number] for number in column.values.tolist()] if name == "fh" else column.values.tolist()
            for decoded, column in ((whole, one), (pieces, other))
        ]
        assert texts[0] == texts[1], name


def chunked(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 4_096] for at in range(0, len(data), 4_096))


def test_exchanges_stand_in_the_order_of_their_first_frames() -> None:
    """An orphan stands where its reply is, and files in the order of their vantages."""
    columns = {"capture": [0, 1, 1, 1], "call_frame": [4, 7, 0, 2], "reply_frame": [5, 9, 3, 8]}
    exchanges = {name: np.array(values, dtype=np.uint32) for name, values in columns.items()}
    found = as_captured(exchanges, [[1], [0]])
    assert found["capture"].tolist() == [1, 1, 1, 0]
    assert found["call_frame"].tolist() == [2, 0, 7, 4]


def test_an_import_of_numpy_that_is_interrupted_is_an_exception_without_a_panic() -> None:
    s, _, _ = minutes(1)
    program = (
        "import sys; from nfsrpc import reading; sys.modules['numpy'] = None\n"
        "try: reading.read([sys.stdin.buffer.read()])\n"
        "except ImportError: print('no numpy')"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, input=s.capture(), capture_output=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == (b"no numpy\n", b"")


@pytest.mark.parametrize("counting", [None, COUNTING])
def test_tables_without_rows_are_those_of_all_captures(counting: Counting | None) -> None:
    """Of many small captures they would take half of the memory."""
    captures = []
    for number in range(1, 9):
        s = Scenario()
        s.host(f"10.0.0.{number}").lock(s.host("10.0.0.9")).granted()
        captures.append([s.capture()])
    read = reading.read(captures, WANTED, counting=counting)
    tables = [of for vantage in read.vantages for batch in vantage.batches for of in batch["decoded"].items()]
    empty = [(name, columns) for name, columns in tables if not len(columns["exchange"])]
    assert len(empty) > 8 * 20
    assert len({id(columns) for _, columns in empty}) == len({name for name, _ in empty})
