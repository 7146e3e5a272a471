"""What is left out where there is no room to list it, and what is said of that."""

from __future__ import annotations

import struct
from collections import Counter

import numpy as np
import pytest

from benchmarks.attacks import (
    BLOCKED,
    NFS,
    NFSD,
    NLM_GRANTED,
    SERVER,
    UNLOCK,
    Ends,
    Owner,
    Writer,
    handle,
    host,
    opaque,
)
from nfsrpc.decode import Decoded, decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.sessions import COUNTING, WANTED, Sessions, crowding, tallies, thinning
from nfsrpc.sessions.exchanges import NO_NUMBER

ROOM = 40


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MANY", 0)
    for module in (crowding, thinning):
        monkeypatch.setattr(module, "MAX_LISTED", ROOM)
        monkeypatch.setattr(module, "MAX_NAMES", ROOM)


def counted(w: Writer) -> Decoded:
    return decode([w.capture()], WANTED, counting=COUNTING)


def kinds(decoded: Decoded) -> dict[str, int]:
    rows = zip(decoded.oddities["kind"], decoded.oddities["detail"], strict=True)
    return {kind: detail for kind, detail in rows if kind.endswith("-full")}


def test_as_many_as_there_is_room_for_are_listed() -> None:
    w = Writer()
    for svid in range(ROOM):
        w.lock(host(1), Owner(svid, svid, b"h1"), NLM_GRANTED)
    decoded = counted(w)
    assert (len(Sessions(decoded)["locks"]), kinds(decoded)) == (ROOM, {})


def test_of_locks_that_are_held_the_latest_stay() -> None:
    w = Writer()
    for svid in range(ROOM + 1):
        w.lock(host(1), Owner(svid, svid, b"h1"), NLM_GRANTED)
    decoded = counted(w)
    tables = Sessions(decoded)
    assert tables["locks"]["svid"].tolist() == list(range(11, 41))
    assert kinds(decoded) == {"locks-full": 11}
    assert tables["programs"]["calls"].tolist() == [ROOM + 1]
    assert diagnose(tables).verdict.summary.startswith("No fault: 41 lock requests were answered")


def test_who_unlocks_what_was_left_out_held_nothing_before() -> None:
    w = Writer()
    for svid in range(ROOM + 1):
        w.lock(host(1), Owner(svid, svid, b"h1"), NLM_GRANTED)
        w.wait(10)
    w.lock(host(1), Owner(3, 3, b"h1"), NLM_GRANTED, UNLOCK)
    locks = Sessions(counted(w))["locks"]
    assert 3 not in locks["svid"].tolist()


def test_of_what_is_odd_the_beginning_and_the_end_stay() -> None:
    w = Writer()
    w.lock(host(1), Owner(1, 1, b"h1"), NLM_GRANTED)
    for svid in range(2, ROOM + 12):
        w.lock(host(2), Owner(1, svid, b"h2"), BLOCKED)
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
        w.lock(host(1), Owner(svid, svid, b"h1"), BLOCKED)
        w.wait(0.1)
        w.lock(host(1), Owner(svid, svid, b"h1"), NLM_GRANTED)
        w.lock(host(1), Owner(svid, svid, b"h1"), NLM_GRANTED, UNLOCK)
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


def test_the_latest_names_stay() -> None:
    w = Writer()
    nothing = struct.pack(">II", 0, 0)
    for number in range(ROOM + 1):
        args = opaque(handle(0)) + opaque(b"file%d" % number)
        results = struct.pack(">I", 0) + opaque(handle(1 + number)) + nothing
        w.asked(Ends(host(1), 701, SERVER, NFSD), NFS, 3, 3, args, results)
    decoded = counted(w)
    names = Sessions(decoded)["paths"]["path"].tolist()
    assert (len(names), kinds(decoded)) == (30, {"names-full": 11})
    assert [name for name in names if name.endswith(("file10", "file40"))] == [names[-1]]
