"""What is left out where there is no room to list it, and what is said of that."""

from __future__ import annotations

import struct
from collections import Counter

import numpy as np
import pytest

from benchmarks.attacks import (
    ACK,
    CLIENT,
    NFSD,
    NLM,
    PORTMAP,
    RST,
    SERVER,
    SYN,
    TCP,
    Ends,
    Owner,
    Writer,
    directories,
    handle,
    host,
    opaque,
)
from nfsrpc.columns import isin
from nfsrpc.decode import Decoded, decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, Prog
from nfsrpc.sessions import COUNTING, WANTED, Sessions, crowding, tallies, thinning
from nfsrpc.sessions.exchanges import NO_NUMBER
from tests.little_room import ROOM

pytestmark = pytest.mark.usefixtures("little_room")


def counted(w: Writer) -> Decoded:
    return decode([w.capture()], WANTED, counting=COUNTING)


def kinds(decoded: Decoded) -> dict[str, int]:
    rows = zip(decoded.oddities["kind"], decoded.oddities["detail"], strict=True)
    return {kind: detail for kind, detail in rows if kind.endswith(("-full", "-summed"))}


def connect(w: Writer, port: int, answer: int = SYN | ACK, client: str = CLIENT) -> None:
    w.tcp(client, port, SERVER, NFSD, SYN, ack=0)
    w.tcp(SERVER, NFSD, client, port, answer, ack=2)


def test_as_many_as_there_is_room_for_are_listed() -> None:
    w = Writer()
    for svid in range(ROOM):
        w.lock(host(1), Owner(svid, svid, b"h1"), Nlm4Stats.GRANTED)
    decoded = counted(w)
    assert (len(Sessions(decoded)["locks"]), kinds(decoded)) == (ROOM, {})


def test_of_locks_that_are_held_the_latest_stay() -> None:
    w = Writer()
    for svid in range(ROOM + 1):
        w.lock(host(1), Owner(svid, svid, b"h1"), Nlm4Stats.GRANTED)
    decoded = counted(w)
    tables = Sessions(decoded)
    assert tables["locks"]["svid"].tolist() == list(range(11, 41))
    assert kinds(decoded) == {"locks-full": 11}
    assert tables["programs"]["calls"].tolist() == [ROOM + 1]
    assert diagnose(tables).verdict.summary.startswith("No fault: 41 lock requests were answered")


def test_who_unlocks_what_was_left_out_held_nothing_before() -> None:
    w = Writer()
    for svid in range(ROOM + 1):
        w.lock(host(1), Owner(svid, svid, b"h1"), Nlm4Stats.GRANTED)
        w.wait(10)
    w.lock(host(1), Owner(3, 3, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK)
    locks = Sessions(counted(w))["locks"]
    assert 3 not in locks["svid"].tolist()


def test_of_what_is_odd_the_beginning_and_the_end_stay() -> None:
    w = Writer()
    w.lock(host(1), Owner(1, 1, b"h1"), Nlm4Stats.GRANTED)
    for svid in range(2, ROOM + 12):
        w.lock(host(2), Owner(1, svid, b"h2"), Nlm4Stats.BLOCKED)
    w.end()
    decoded = counted(w)
    tables = Sessions(decoded)
    assert tables["locks"]["svid"].tolist() == [*range(1, 16), *range(37, 52)]
    assert kinds(decoded) == {"locks-full": 1, "exchanges-full": 21}
    assert tables["programs"]["calls"].tolist() == [1, 51]
    assert set(tables["locks"]["holder"].tolist()) == {None, "1@h1 (10.0.0.2)"}
    found = diagnose(tables)
    assert Counter(finding.rule for finding in found.findings)["LCK011"] == 1


def test_unanswered_calls_beyond_are_undecided() -> None:
    w = Writer()
    for svid in range(ROOM + 12):
        w.lock(host(1), Owner(svid, svid, b"h1"), None)
    w.end()
    tables = Sessions(counted(w))
    rows = {row.procedure: row for row in tables["programs"].rows()}
    assert (rows["LOCK"].calls, rows["LOCK"].unanswered + rows["LOCK"].undecided) == (52, 52)
    assert "of more than 30 lock requests" in diagnose(tables).verdict.summary


def test_healthy_is_not_said_where_something_odd_was_left_out() -> None:
    w = Writer()
    for svid in range(ROOM + 12):
        w.lock(host(1), Owner(svid, svid, b"h1"), Nlm4Stats.BLOCKED)
        w.wait(0.1)
        w.lock(host(1), Owner(svid, svid, b"h1"), Nlm4Stats.GRANTED)
        w.lock(host(1), Owner(svid, svid, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK)
    found = diagnose(Sessions(counted(w)))
    assert (found.verdict.state, found.verdict.rule) == ("cannot-tell", None)
    assert "more than there is room for" in found.verdict.summary
    assert diagnose(Sessions(decode([w.capture()], WANTED))).verdict.state == "healthy"


def test_of_many_programs_the_rarest_are_not_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MAX_LEFT_OUT", 4)
    prog = np.array([1, 2, 3, 4, 4, 5, 5], dtype=np.uint32)
    rows = {name: np.zeros(7, dtype=np.uint32) for name in tallies.OF_LEFT_OUT} | {"prog": prog}
    sums = tallies.left_out_summed(rows | {"exchanges": np.ones(7, dtype=np.uint32)})
    assert dict(zip(sums["prog"].tolist(), sums["exchanges"].tolist(), strict=True)) == {4: 2, 5: 2, NO_NUMBER: 3}
    few = {name: values[:4] for name, values in rows.items()} | {"exchanges": np.ones(4, dtype=np.uint32)}
    assert tallies.left_out_summed(few)["prog"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(("resends", "left"), [(ROOM // 2, ROOM // 2), (ROOM // 2 + 1, 8)])
def test_of_very_many_copies_the_first_and_the_last_of_each_message_stay(resends: int, left: int) -> None:
    """A call that is repeated without end, and its reply."""
    w, ends = Writer(), Ends(CLIENT, 700, SERVER, 111)
    for _ in range(1 + resends):
        w.wait(30)
        w.call(ends, PORTMAP, 2, 3, struct.pack(">IIII", Prog.NLM, 4, TCP, 0), xid=7)
    for _ in range(1 + ROOM // 2):
        w.wait(10)
        w.reply(ends, 7, struct.pack(">I", 32803))
    decoded = counted(w)
    copies, room = decoded.copies, ROOM // 2 if left == ROOM // 2 else 8
    assert [(copies["reply"] == side).sum() for side in (0, 1)] == [left, room]
    assert (decoded.messages["portmap2.res"]["copy"].values > 0).sum() == room
    assert decoded.exchanges["retransmits"].tolist() == [resends]
    assert kinds(decoded) == ({} if left > 8 else {"copies-full": 2 * ROOM // 2 + 1 - 16})
    if left == 8:
        frames = copies["frame"][copies["reply"] == 0].tolist()
        assert frames == [2, 3, 4, 5, resends - 2, resends - 1, resends, resends + 1]


def test_the_latest_names_stay() -> None:
    w = Writer()
    nothing = struct.pack(">II", 0, 0)
    for number in range(ROOM + 1):
        args = opaque(handle(0)) + opaque(b"file%d" % number)
        results = struct.pack(">I", 0) + opaque(handle(1 + number)) + nothing
        w.asked(Ends(host(1), 701, SERVER, NFSD), Prog.NFS, 3, 3, args, results)
    decoded = counted(w)
    names = Sessions(decoded)["paths"]["path"].tolist()
    assert (len(names), kinds(decoded)) == (30, {"names-full": 11})
    assert [name for name in names if name.endswith(("file10", "file40"))] == [names[-1]]


def mappings(count: int) -> bytes:
    """The results of DUMP: of lockd, and of programs that nobody knows."""
    items = (struct.pack(">IIIII", 1, NLM + (k > 0) * (100_000 + k), 4, TCP, 700) for k in range(count))
    return b"".join(items) + struct.pack(">I", 0)


def dumped(*counts: int) -> Decoded:
    """Answers to DUMP with so many mappings each."""
    w = Writer()
    for count in counts:
        w.asked(Ends(CLIENT, 600, SERVER, 111), PORTMAP, 2, 4, results=mappings(count))
    return counted(w)


def test_lists_for_which_there_is_room_stay() -> None:
    decoded = dumped(ROOM // 4, ROOM // 4, ROOM // 2)
    assert (len(Sessions(decoded)["registrations"]), kinds(decoded)) == (ROOM, {})


def test_of_longer_lists_the_first_and_the_last_stay() -> None:
    decoded = dumped(8, 10, 11, 12)
    tables = Sessions(decoded)
    assert list(Counter(tables["registrations"]["exchange"].tolist()).values()) == [8, 12]
    assert kinds(decoded) == {"locks-full": 2}
    assert tables["programs"]["calls"].tolist() == [4]


def test_a_list_that_is_too_long_by_itself_leaves() -> None:
    decoded = dumped(1, ROOM, 1)
    assert (len(Sessions(decoded)["registrations"]), kinds(decoded)) == (2, {"locks-full": 1})


def test_names_in_long_directories_leave() -> None:
    w = Writer()
    directories(w, 6 * 30)
    assert kinds(counted(w))["names-full"] == 6


def test_as_many_connections_as_there_is_room_for_are_listed() -> None:
    w = Writer()
    for port in range(ROOM):
        connect(w, 700 + port)
    decoded = counted(w)
    assert (len(Sessions(decoded)["flows"]), kinds(decoded)) == (ROOM, {})


def test_ordinary_connections_beyond_are_in_the_row_of_the_first() -> None:
    w = Writer()
    for port in range(ROOM + 1):
        connect(w, 700 + port)
        w.wait(1)
    decoded = counted(w)
    flows = Sessions(decoded)["flows"]
    assert kinds(decoded) == {"flows-summed": 10}
    assert flows["client_port"].tolist() == [700, *range(711, 741)]
    assert (flows["c_frames"].tolist(), flows["s_frames"].tolist()) == ([11, *[1] * 30],) * 2
    seconds = (flows["last"] - flows["first"]) // 10**9
    assert seconds.tolist() == [10, *[0] * 30]


def test_a_sum_of_connections_ends_where_one_is_refused() -> None:
    w = Writer()
    for port in range(ROOM + 1):
        connect(w, 700 + port, RST | ACK if port == 5 else SYN | ACK)
    decoded = counted(w)
    flows = Sessions(decoded)["flows"]
    assert kinds(decoded) == {"flows-summed": 9}
    assert flows["client_port"].tolist() == [700, 705, 706, *range(712, 741)]
    assert flows["c_frames"].tolist() == [5, 1, 6, *[1] * 29]


def test_of_refused_connections_the_beginning_and_the_end_stay() -> None:
    w = Writer()
    connect(w, 600)
    for number in range(ROOM):
        connect(w, 700, RST | ACK, host(number))
    decoded = counted(w)
    clients = Sessions(decoded)["flows"]["client"].tolist()
    assert clients == [host(number) for number in (*range(15), *range(25, 40))]
    assert kinds(decoded) == {"flows-full": 11}


def test_connections_of_exchanges_that_are_listed_stay() -> None:
    w = Writer()
    for number in range(2 * ROOM):
        w.lock(host(number), Owner(number, 1, b"h"), Nlm4Stats.GRANTED)
    decoded = counted(w)
    listed = Sessions(decoded)
    assert isin(listed["calls"]["flow"], listed["flows"]["flow"]).all()
    assert (len(listed["calls"]), kinds(decoded)["locks-full"]) == (30, 50)
    assert len(listed["flows"]) == 30 + 30


def test_sums_beyond_are_not_kept_by_host() -> None:
    w = Writer()
    for number in range(ROOM + 1):
        w.asked(Ends(host(number), 701, SERVER, NFSD), Prog.NFS, 3, 0)
        w.wait(1)
    decoded = counted(w)
    tables = Sessions(decoded)
    assert kinds(decoded) == {"hosts-full": 11, "flows-full": 11}
    assert tables["tallies"]["client"].tolist() == [host(number) for number in range(11, 41)]
    assert tables["programs"]["calls"].tolist() == [ROOM + 1]


def test_as_many_hosts_as_there_is_room_for_have_sums() -> None:
    w = Writer()
    for number in range(ROOM):
        w.asked(Ends(host(number), 701, SERVER, NFSD), Prog.NFS, 3, 0)
    decoded = counted(w)
    assert (len(Sessions(decoded)["tallies"]), kinds(decoded)) == (ROOM, {})


def test_of_writes_those_to_files_with_locks_stay() -> None:
    w = Writer()
    w.lock(host(1), Owner(0, 1, b"h1"), Nlm4Stats.GRANTED)
    for number in range(ROOM + 1):
        args = opaque(handle(number)) + struct.pack(">QII", 0, 4, 1) + opaque(b"data")
        results = struct.pack(">IIIIIQ", 0, 0, 0, 4, 1, 0)
        w.asked(Ends(host(2), 701, SERVER, NFSD), Prog.NFS, 3, 7, args, results)
    decoded = counted(w)
    written = Sessions(decoded)["writes"]["fh"].tolist()
    assert written == [handle(number).hex() for number in (0, *range(12, 41))]
    assert kinds(decoded) == {"accesses-full": 11}


def of_pairs(monkeypatch: pytest.MonkeyPatch, w: Writer) -> Decoded:
    """Read with room for ten pairs of hosts, of which eight stay where there are more."""
    for module in (crowding, thinning):
        monkeypatch.setattr(module, "MAX_PAIRS", 10)
    return counted(w)


def held_by(w: Writer, clients: int, first: int = 0) -> None:
    """Each client locks two files."""
    for one in range(first, first + clients):
        for svid in (1, 2):
            w.lock(host(one), Owner(10 * one + svid, svid, b"h%d" % one), Nlm4Stats.GRANTED)


@pytest.mark.parametrize(("clients", "left", "full"), [(10, 10, {}), (11, 8, {"locks-full": 6})])
def test_as_many_pairs_of_hosts_as_there_is_room_for_are_listed_the_latest(
    monkeypatch: pytest.MonkeyPatch, clients: int, left: int, full: dict[str, int]
) -> None:
    w = Writer()
    held_by(w, clients)
    decoded = of_pairs(monkeypatch, w)
    tables = Sessions(decoded)
    assert Counter(tables["locks"]["client"].tolist()) == {host(one): 2 for one in range(clients - left, clients)}
    assert kinds(decoded) == full
    assert sum(tables["programs"]["calls"].tolist()) == 2 * clients


def test_of_pairs_with_something_odd_the_beginning_and_the_end_stay_and_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = Writer()
    held_by(w, 2)
    for one in range(2, 13):
        w.lock(host(one), Owner(1000, 1, b"h%d" % one), Nlm4Stats.BLOCKED)
        w.lock(host(one), Owner(1000 + one, 2, b"h%d" % one), Nlm4Stats.GRANTED)
    w.end()
    decoded = of_pairs(monkeypatch, w)
    clients = Counter(Sessions(decoded)["locks"]["client"].tolist())
    assert clients == {host(one): 2 for one in (2, 3, 4, 5, 9, 10, 11, 12)}
    assert kinds(decoded) == {"locks-full": 8, "exchanges-full": 3}  # with the call at the end


def test_both_directions_between_two_hosts_are_one_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Writer()
    for one in range(10):
        w.lock(host(one), Owner(one, 1, b"h%d" % one), Nlm4Stats.GRANTED)
        w.asked(Ends(SERVER, 800, host(one), 40000), NLM, 4, 0)
    decoded = of_pairs(monkeypatch, w)
    assert (len(Sessions(decoded)["locks"]), kinds(decoded)) == (10, {})


def test_a_sum_stands_for_its_earliest_row_of_several_the_first() -> None:
    rows = {"kind": np.array([7, 5, 7, 5, 7]), "first": np.array([3, 9, 1, 4, 1])}
    groups, first = tallies.grouped(rows, "kind")
    assert (groups.tolist(), first.tolist()) == ([1, 0, 1, 0, 1], [3, 2])
