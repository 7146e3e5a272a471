"""Writes are counted by file, client and ten seconds, however the capture is read."""

from __future__ import annotations

from zlib import crc32

import pytest

import nfsrpc
from nfsrpc.watch import watch as module
from nfsrpc.watch.watch import Watch
from tests.scenario import Host, Scenario, handle

FOREVER_S = 1e8


def write(client: Host, server: Host, path: str, offset: int = 0, status: str = "OK", data: bytes = b"data") -> None:
    call = client.call(server, "nfs3", "WRITE", file=handle(path), offset=offset, count=len(data), data=data)
    call.reply(status=status)


@pytest.fixture
def capture() -> bytes:
    """Two clients write to two files over 20 s; one is refused once."""
    s = Scenario(start=1_700_000_000.0)
    server, one, two = s.host("10.0.0.9"), s.host("10.0.0.1"), s.host("10.0.0.2")
    one.lookup(server, "/srv", "a")
    for second in range(20):
        write(one, server, "/srv/a", 100 * (second + 1))
        if second % 5 == 0:
            write(two, server, "/srv/b", (1 << 40) - second)
        s.wait(1)
    write(two, server, "/srv/b", status="ACCES")
    return s.capture()


def rows(trace: nfsrpc.Trace) -> list[tuple[object, ...]]:
    table = trace.tables["writes"]
    names = ("client", "file", "exchanges", "first_frame", "last_frame", "first_byte", "last_byte")
    return list(zip(*(table.values(name) for name in names), strict=True))


def test_a_row_is_a_file_a_client_and_ten_seconds(capture: bytes) -> None:
    trace = nfsrpc.read(capture)
    by_client = trace.writes.groupby("client", observed=True)["exchanges"].sum()
    assert by_client.to_dict() == {"10.0.0.1": 20, "10.0.0.2": 4}
    assert set(trace.writes["file"]) == {".../a", f"FH:0x{crc32(handle('/srv/b')):08x}"}
    assert (trace.writes["last"] - trace.writes["first"]).max().total_seconds() < 10
    frames = dict(zip(trace.calls["call_frame"], trace.calls["time"], strict=True))
    assert trace.writes["first"].tolist() == [frames[frame] for frame in trace.writes["first_frame"]]
    assert trace.writes["last"].tolist() == [frames[frame] for frame in trace.writes["last_frame"]]


def test_the_bytes_are_from_the_lowest_to_the_highest(capture: bytes) -> None:
    writes = nfsrpc.read(capture).writes.groupby("client", observed=True)
    assert writes["first_byte"].min().to_dict() == {"10.0.0.1": 100, "10.0.0.2": (1 << 40) - 15}
    assert writes["last_byte"].max().to_dict() == {"10.0.0.1": 2003, "10.0.0.2": (1 << 40) + 3}
    assert (writes["first_byte"].max() > writes["first_byte"].min()).all(), "each row has its own"


def test_bytes_of_nfs2_are_those_of_the_data() -> None:
    s = Scenario(start=1_700_000_000.0)
    args = {"file": handle("/srv/a").ljust(32, b"\0"), "beginoffset": 7, "offset": 50, "totalcount": 90}
    s.host("10.0.0.1").call(s.host("10.0.0.9"), "nfs2", "WRITE", data=b"data", **args).reply(status="OK")
    writes = nfsrpc.read(s.capture()).writes
    assert (writes["first_byte"].tolist(), writes["last_byte"].tolist()) == ([50], [53])


def test_a_write_of_no_bytes_is_none() -> None:
    s = Scenario(start=1_700_000_000.0)
    write(s.host("10.0.0.1"), s.host("10.0.0.9"), "/srv/a", data=b"")
    assert not len(nfsrpc.read(s.capture()).writes)


def test_counting_gives_the_same(capture: bytes) -> None:
    assert rows(nfsrpc.read(capture, count=True)) == rows(nfsrpc.read(capture))


def test_watching_gives_the_same(capture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TAKEN_ROWS", 0)
    watch = Watch("a.pcap", FOREVER_S)
    for start in range(0, len(capture), 1000):
        watch.feed(capture[start : start + 1000])
        watch.stir()
        watch.trace()
    last = watch.close()
    assert last
    assert rows(last) == rows(nfsrpc.read(capture))
