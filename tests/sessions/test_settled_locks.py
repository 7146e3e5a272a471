"""Which lock sessions leave while a capture is read: those that are over, healthy, and of which no question is left."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from benchmarks.attacks import LOCKD, NFSD, SERVER, STATD, Ends, Owner, Writer, handle, host, opaque
from nfsrpc._core import MOMENT, STEP_FLAGS, few
from nfsrpc.columns import NAT, NULLS, Array
from nfsrpc.decode import Decoded, decode, nothing_left
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, NsmProc, PortmapProc, Prog
from nfsrpc.reading import Batch, read
from nfsrpc.sessions import COUNTING, WANTED, Sessions, batches, settled_locks, thinning
from nfsrpc.sessions.nlm import POLL_NS
from nfsrpc.sessions.settled_locks import ACCESS, LOCK, NEVER, OVER, SLOW, UNLOCK, USUAL, Sieve, frontier
from nfsrpc.wording import SECOND

MIDDLE = 5
GRANT = opaque(b"ck") + struct.pack(">I", 0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MANY", 1)
    monkeypatch.setattr(settled_locks, "MAX_LATEST", 0)  # else the latest of each file stay


def counted(*captures: Writer) -> Decoded:
    return decode([capture.capture() for capture in captures], WANTED, counting=COUNTING)


def listed(decoded: Decoded) -> list[int]:
    """The owners (svid) of the sessions that stay."""
    svids: list[int] = Sessions(decoded)["locks"]["svid"].tolist()
    return svids


def session(w: Writer, svid: int, file: int = 1, client: int = 1, *, held_s: float = 0.1, **what: bool | int) -> None:
    owner = Owner(file, svid, b"h%d" % client)._replace(**what)
    w.lock(host(client), owner, Nlm4Stats.GRANTED)
    w.wait(held_s)
    w.lock(host(client), owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)


def sessions(middle: Callable[[Writer], None], pause_s: float = 100) -> list[int]:
    """Which of nine sessions of one client stay, with this in the middle of them."""
    w = Writer()
    for svid in range(1, 10):
        if svid == MIDDLE:
            middle(w)
        else:
            session(w, svid)
        w.wait(pause_s)
    return listed(counted(w))


def test_the_first_and_the_last_of_a_connection_stay() -> None:
    assert sessions(lambda w: session(w, MIDDLE)) == [1, 9]


def sessions_that_left(decoded: Decoded) -> int:
    sums = decoded.tallies
    return int(sums["exchanges"][(sums["prog"] == Prog.NLM) & (sums["proc"] == NlmProc.LOCK)].sum())


def test_what_left_is_counted() -> None:
    w = Writer()
    for svid in range(1, 10):
        session(w, svid, held_s=0.5)
    decoded = counted(w)
    assert sessions_that_left(decoded) == 7
    tables, every = Sessions(decoded), Sessions(decode([w.capture()], WANTED))
    assert tables["programs"]["calls"].tolist() == every["programs"]["calls"].tolist() == [9, 9]
    assert diagnose(tables).verdict.summary == diagnose(every).verdict.summary


def late(w: Writer, after: float) -> None:
    ends, owner = Ends(host(1), 700, SERVER, LOCKD), Owner(1, MIDDLE, b"h1")
    w.asked(ends, Prog.NLM, 4, NlmProc.LOCK, owner.arguments(NlmProc.LOCK), GRANT, after)
    w.lock(host(1), owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)


def test_what_takes_a_second_stays_and_so_do_its_neighbours() -> None:
    assert sessions(lambda w: late(w, 0.99)) == [1, 9]
    assert sessions(lambda w: late(w, 1.0)) == [1, 4, 5, 6, 9]


def resent(w: Writer) -> None:
    ends, owner = Ends(host(1), 700, SERVER, LOCKD), Owner(1, MIDDLE, b"h1")
    w.call(ends, Prog.NLM, 4, NlmProc.LOCK, owner.arguments(NlmProc.LOCK), xid=999)
    w.wait(0.1)
    w.asked_again = w.call(ends, Prog.NLM, 4, NlmProc.LOCK, owner.arguments(NlmProc.LOCK), xid=999)  # type: ignore[attr-defined]
    w.reply(ends, 999, GRANT)
    w.lock(host(1), owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)


def answered_twice(w: Writer) -> None:
    session(w, MIDDLE)
    w.wait(0.5)
    w.reply(Ends(host(1), 700, SERVER, LOCKD), w.xid, GRANT)


def unlock_message(w: Writer) -> None:
    arguments = Owner(1, MIDDLE, b"h1").arguments(NlmProc.UNLOCK)
    w.asked(Ends(host(1), 700, SERVER, LOCKD), Prog.NLM, 4, NlmProc.UNLOCK_MSG, arguments)


ODD: list[Callable[[Writer], None]] = [
    resent,
    answered_twice,
    lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), Nlm4Stats.DENIED),
    unlock_message,
    lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), Nlm4Stats.GRANTED, NlmProc.CANCEL_MSG),
]
# What may hold the range from then on, and what held it until then.
OPEN: list[tuple[Callable[[Writer], None], list[int]]] = [
    (lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), None), [1, 4, 5, 6, 7, 8, 9]),
    (lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), Nlm4Stats.GRANTED, NlmProc.LOCK_MSG), [1, 4, 5, 6, 7, 8, 9]),
    (lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), Nlm4Stats.GRANTED, NlmProc.NM_LOCK), [1, 4, 5, 6, 7, 8, 9]),
    (lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), Nlm4Stats.GRANTED), [1, 5, 6, 7, 8, 9]),
    (lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK), [1, 2, 3, 4, 5, 6, 9]),
    (lambda w: w.lock(host(1), Owner(1, MIDDLE, b"h1"), None, NlmProc.UNLOCK), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
]


@pytest.mark.parametrize("odd", ODD)
def test_the_neighbours_of_what_is_odd_on_the_file_stay(odd: Callable[[Writer], None]) -> None:
    assert sessions(odd) == [1, 4, 5, 6, 9]


@pytest.mark.parametrize(("odd", "kept"), OPEN)
def test_what_meets_a_lock_that_is_open_stays(odd: Callable[[Writer], None], kept: list[int]) -> None:
    assert sessions(odd) == kept


def test_a_lock_that_is_held_stays() -> None:
    w = Writer()
    for svid in range(1, 10):
        session(w, svid, file=1)
        w.wait(10)
        if svid == MIDDLE:
            w.lock(host(1), Owner(2, 77, b"h1"), Nlm4Stats.GRANTED)
    assert listed(counted(w)) == [1, 77, 9]


def overlapping(w: Writer, exclusive: bool, meet: bool) -> None:
    """A shared lock of one client, and a lock of another before it ends, or just after."""
    one, other = Owner(1, MIDDLE, b"h1", exclusive=False), Owner(1, 55, b"h2", exclusive=exclusive)
    w.lock(host(1), one, Nlm4Stats.GRANTED)
    w.wait(1)
    if meet:
        w.lock(host(2), other, Nlm4Stats.GRANTED)
    w.lock(host(1), one, Nlm4Stats.GRANTED, NlmProc.UNLOCK)
    w.wait(0.05)
    if not meet:
        w.lock(host(2), other, Nlm4Stats.GRANTED)
    w.lock(host(2), other, Nlm4Stats.GRANTED, NlmProc.UNLOCK)


@pytest.mark.parametrize(
    ("exclusive", "meet", "stay"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
def test_what_meets_another_of_its_range_stays_unless_both_are_shared(exclusive: bool, meet: bool, stay: bool) -> None:
    w = Writer()
    for svid in range(1, 10):
        if svid == MIDDLE:
            overlapping(w, exclusive, meet)
        else:
            session(w, svid)
            session(w, 10 + svid, client=2)
        w.wait(100)
    kept = set(listed(counted(w)))
    assert ({5, 55} <= kept) == stay
    assert kept >= {1, 9, 11, 19}
    assert not {3, 7} & kept


def test_other_ranges_of_the_file_are_in_nobodys_way() -> None:
    w = Writer()
    w.lock(host(2), Owner(1, 99, b"h2", offset=1000, length=10), Nlm4Stats.GRANTED)
    for svid in range(1, 10):
        session(w, svid, length=10)
        w.wait(100)
    assert listed(counted(w)) == [99, 1, 9]


@pytest.mark.parametrize(("pause_s", "stay"), [(45.8, True), (46.0, False)])
def test_who_was_denied_may_ask_again_for_a_while(pause_s: float, stay: bool) -> None:
    w = Writer()
    for svid in range(1, 6):
        session(w, svid)
        w.wait(100)
    w.lock(host(2), Owner(1, 50, b"h2"), Nlm4Stats.DENIED)
    w.wait(1)
    session(w, 6)
    w.wait(pause_s - 1)
    for svid in (7, 8, 9, 10):
        session(w, svid)
        w.wait(1)
    assert (8 in listed(counted(w))) == stay


def test_who_waits_keeps_all_that_have_the_range_meanwhile() -> None:
    w = Writer()
    for svid in range(1, 10):
        session(w, svid)
        w.wait(10)
        if svid == 3:
            w.lock(host(2), Owner(1, 50, b"h2"), Nlm4Stats.BLOCKED)
        if svid == 6:
            w.lock(host(2), Owner(1, 50, b"h2"), Nlm4Stats.GRANTED, NlmProc.CANCEL)
    assert listed(counted(w)) == [1, 3, 50, 4, 5, 6, 7, 9]


def notice(w: Writer) -> None:
    w.asked(Ends(SERVER, 701, host(1), STATD), Prog.NSM, 1, 6, opaque(b"srv") + struct.pack(">I", 3))


def free_all(w: Writer) -> None:
    w.call(Ends(host(1), 700, SERVER, LOCKD), Prog.NLM, 4, NlmProc.FREE_ALL, opaque(b"h1") + struct.pack(">I", 1))


def grace(w: Writer) -> None:
    w.lock(host(3), Owner(3, 33, b"h3"), Nlm4Stats.DENIED_GRACE_PERIOD)


@pytest.mark.parametrize("restart", [notice, free_all, grace])
def test_a_lock_that_was_held_over_a_restart_stays(restart: Callable[[Writer], None]) -> None:
    w = Writer()
    for svid in range(1, 5):
        session(w, svid)
        w.wait(10)
    w.lock(host(1), Owner(2, 50, b"h1"), Nlm4Stats.GRANTED)
    for svid in range(5, 8):
        session(w, svid)
        w.wait(10)
    restart(w)
    for svid in range(8, 11):
        session(w, svid)
        w.wait(10)
    w.lock(host(1), Owner(2, 50, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK)
    for svid in range(11, 14):
        w.wait(10)
        session(w, svid)
    kept = listed(counted(w))
    assert 50 in kept
    assert not {2, 3, 12} & set(kept)


@pytest.mark.parametrize(("writer", "after_s", "stay"), [(2, 9, True), (2, 21, False), (1, 1, False)])
def test_a_lock_beside_a_write_of_who_asks_for_none_stays(writer: int, after_s: float, stay: bool) -> None:
    w = Writer()
    for svid in range(1, 10):
        session(w, svid)
        if svid == MIDDLE:
            w.wait(after_s)
            args = opaque(handle(1)) + struct.pack(">QII", 0, 4, 1) + opaque(b"data")
            results = struct.pack(">IIIIIQ", 0, 0, 0, 4, 1, 0)
            w.asked(Ends(host(writer), 701, SERVER, NFSD), Prog.NFS, 3, 7, args, results)
        w.wait(100)
    assert (MIDDLE in listed(counted(w))) == stay


def test_each_name_and_connection_keeps_its_ends() -> None:
    w = Writer()
    for svid in range(1, 10):
        session(w, svid, client=1)
        owner = Owner(1, 20 + svid, b"another" if svid in (4, 5, 6) else b"h1")
        w.wait(10)
        w.lock(host(1), owner, Nlm4Stats.GRANTED)
        w.lock(host(1), owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)
        w.wait(10)
    assert listed(counted(w)) == [1, 24, 26, 29]


def test_an_owner_with_ranges_that_overlap_stays() -> None:
    w = Writer()
    w.lock(host(1), Owner(1, 50, b"h1", length=100), Nlm4Stats.GRANTED)
    for svid in range(1, 10):
        session(w, svid, file=2)
        session(w, 50, file=1, offset=10 * svid, length=5)
        w.wait(10)
    kept = listed(counted(w))
    assert kept.count(50) == len([svid for svid in listed(decode([w.capture()], WANTED)) if svid == 50])


def test_owners_at_two_addresses_are_two() -> None:
    def unlocked_again(*clients: int) -> int:
        w = Writer()
        for client in clients:
            w.lock(host(client), Owner(1, MIDDLE, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK)
        return len(counted(w).unlocked_again["exchange"])

    assert (unlocked_again(1, 2), unlocked_again(1, 1)) == (0, 1)


def test_what_one_host_does_at_two_addresses_stays() -> None:
    w = Writer()
    for svid in range(1, 10):
        owner = Owner(1, svid, b"h1", exclusive=False)
        for proc in (NlmProc.LOCK, NlmProc.UNLOCK):
            for client in (1, 2):
                w.lock(host(client), owner, Nlm4Stats.GRANTED, proc)
        w.wait(10)
    assert len(listed(counted(w))) == 18


def test_who_unlocks_again_had_not_held_it_since_before() -> None:
    w = Writer()
    for svid in range(1, 10):
        session(w, svid)
        w.wait(100)
    w.lock(host(1), Owner(1, 3, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK)
    w.lock(host(1), Owner(2, 33, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK)
    decoded = counted(w)
    assert sessions_that_left(decoded) == 7
    assert listed(decoded) == [1, 9, 33]


def thinned(w: Writer, earlier: Batch) -> Batch:
    """The rows of a capture as they are left, where this had left before."""
    batches: list[Batch] = []

    def thin(parts: list[Batch], *beside: Any) -> list[Batch]:
        batches.extend(COUNTING.thinned([parts[0] | earlier, *parts[1:]], *beside))
        return batches

    read([[w.capture()]], WANTED, counting=COUNTING._replace(thinned=thin), jobs=1)
    (batch,) = batches
    return batch


@pytest.mark.parametrize("table", ["counted_owners", "earlier_owners"])
def test_who_unlocks_again_is_known_by_all_owners_whose_sessions_have_left(table: str) -> None:
    def again(owners: Array) -> list[int]:
        w = Writer()
        w.lock(host(1), Owner(1, 3, b"h1"), Nlm4Stats.GRANTED, NlmProc.UNLOCK)
        numbers: list[int] = thinned(w, nothing_left() | {table: {"owner": owners}})["unlocked_again"][
            "exchange"
        ].tolist()
        return numbers

    w = Writer()
    for svid in range(1, 10):
        session(w, svid)
        w.wait(100)
    owners = thinned(w, {})["counted_owners"]["owner"]
    assert len(owners) == 7
    assert (again(owners), again(owners[:0])) == ([0], [])


def test_the_latest_of_each_file_stay_as_many_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled_locks, "MAX_LATEST", 3)
    w = Writer()
    for svid in range(1, 10):
        session(w, svid, file=svid)
        w.wait(100)
    assert listed(counted(w)) == [1, 7, 8, 9]


def test_another_vantage_decides() -> None:
    one, other = Writer(), Writer()
    for svid in range(1, 20):
        session(one, svid)
        one.wait(100)
    other.time = one.time - 1000 * 1_000_000_000  # nine sessions before, it had not begun
    session(other, 99, client=2)
    other.wait(2000)
    session(other, 98, client=2)
    assert len(listed(counted(one, other))) == 21


def test_each_flag_of_a_step_is_a_bit_of_its_own() -> None:
    assert sorted(STEP_FLAGS.values()) == [1, 2, 4, 8, 16]
    assert {name: getattr(settled_locks, name) for name in STEP_FLAGS} == STEP_FLAGS


def test_of_many_moments_one_in_some_time_is_looked_at() -> None:
    every = np.arange(4096, dtype=np.int64) * 100_000_000
    assert few(every).tolist() == every.tolist()
    some = few(np.arange(4097, dtype=np.int64) * 100_000_000)
    assert (len(some), np.diff(some).max()) == (410, 1_000_000_000)


def test_owners_that_have_left_are_known_until_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MAX_OWNERS", 4)
    tables = thinning.nothing_left()
    for owners in ([7, 3], [9, 1], [5], [8, 6, 4], [2]):
        tables |= thinning.owners_with(tables, np.array(owners, dtype=np.uint64))
    assert [tables[name]["owner"].tolist() for name in ("counted_owners", "earlier_owners")] == [[2], [4, 5, 6, 8]]


@pytest.mark.parametrize(("port", "kept"), [(STATD, [1, 9]), (0, [1, 4, 5, 6, 9]), (None, [1, 4, 5, 6, 9])])
def test_the_neighbours_of_a_question_stay_unless_a_port_was_named(port: int | None, kept: list[int]) -> None:
    def looked_up(w: Writer) -> None:
        session(w, MIDDLE)
        w.wait(0.2)
        w.getport(Ends(host(1), 700, SERVER, 111), Prog.NSM, 1, port)

    assert sessions(looked_up) == kept


def test_ranges_that_are_apart_are_in_nobodys_way_where_others_overlap() -> None:
    w = Writer()
    session(w, 90, client=3)
    for svid in range(1, 10):
        one, other = (Owner(1, number, b"h1", offset, 10) for number, offset in ((svid, 0), (100 + svid, 50)))
        for owner in (one, other):
            w.lock(host(1), owner, Nlm4Stats.GRANTED)
        for owner in (one, other):
            w.lock(host(1), owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)
        w.wait(10)
    session(w, 91, client=3)
    assert listed(counted(w)) == [90, 1, 109, 91]


def test_what_is_odd_on_a_file_keeps_no_sessions_of_another_file() -> None:
    w = Writer()
    for svid in range(1, 10):
        for file in (1, 2):
            owner = Owner(file, 10 * file + svid, b"h1")
            if (file, svid) in ((1, MIDDLE), (2, 1)):
                w.lock(host(1), owner, Nlm4Stats.DENIED)
            else:
                session(w, owner.svid, file)
            w.wait(100)
    assert sorted(listed(counted(w))) == [11, 14, 15, 16, 19, 21, 22, 29]


AT = 100 * SECOND
SOON = AT + SECOND // 1000
PLACES = {"call_frame": 1, "reply_frame": 2, "time": AT, "reply_time": SOON}
ODDITIES = dict.fromkeys(("rpc_status", "retransmits", "duplicates", "flags"), 0)
PARTIES = dict.fromkeys(("exchange", "capture", "client", "server", "flow"), 0)
LOCKED = PLACES | ODDITIES | PARTIES | {"prog": Prog.NLM, "vers": 4, "proc": NlmProc.LOCK, "status": Nlm4Stats.GRANTED}
NO_STATUS = NULLS["i32?"]
NOTIFY = {"prog": Prog.NSM, "proc": NsmProc.SM_NOTIFY}
CALLIT = 5
GRACE = {"status": Nlm4Stats.DENIED_GRACE_PERIOD}


def exchanges(*changes: dict[str, int]) -> dict[str, Any]:
    rows = [LOCKED | {"exchange": number} | change for number, change in enumerate(changes)]
    return {name: np.array([row[name] for row in rows], dtype=np.int64) for name in LOCKED}


def sieve(
    *known: dict[str, int], in_reach: tuple[dict[str, int], ...] = (), until: int = NEVER, decoded: Any = None
) -> Sieve:
    accesses = {name: np.zeros(0, dtype=kind) for name, kind in ACCESS.items()}
    names: dict[str, Any] = {"strings": [], "addresses": [], "accesses": accesses, "decoded": decoded or {}}
    owners = {"counted_owners": {"owner": [1]}, "earlier_owners": {"owner": [2]}}
    batch: Any = names | owners | {"exchanges": exchanges(*known)}
    return Sieve([batch], exchanges(*in_reach), until)


def test_what_is_plain_was_answered_once_in_time_with_success() -> None:
    plain = [{}, {"reply_time": AT}, {"reply_time": AT + SLOW - 1}, {"prog": Prog.PORTMAP, "status": NO_STATUS}]
    other = [{name: 1} for name in ("retransmits", "duplicates", "flags", "rpc_status", "status")]
    other += [{"call_frame": 0}, {"reply_frame": 0}, {"time": NAT}, {"status": NO_STATUS}]
    other += [{"time": NAT, "reply_time": NAT}]
    other += [{"reply_time": AT - 1}, {"reply_time": AT + SLOW}]
    assert sieve(*plain).plain.all()
    assert not sieve(*other).plain.any()
    assert sieve({}, {}, in_reach=({},)).plain.tolist() == [True, True, False]


def test_what_is_late_says_something_of_the_hosts() -> None:
    late = [{"reply_frame": 0}, {"reply_time": AT + SLOW}, {"retransmits": 1}, {"rpc_status": 1}, {"status": 2}]
    late += [{"prog": Prog.PORTMAP}, {"prog": Prog.NSM, "proc": NsmProc.SM_MON}, {"proc": NlmProc.FREE_ALL}]
    other = [{}, {"reply_time": AT + SLOW - 1}, {"duplicates": 1}]
    other += [{"status": status} for status in (Nlm4Stats.DENIED, Nlm4Stats.BLOCKED)]
    assert sieve(*late).late.all()
    assert not sieve(*other).late.any()


def test_what_is_in_reach_is_late_before_the_first_that_is_in_time() -> None:
    before, then = {"retransmits": 1, "time": AT - 1}, {"retransmits": 1}
    assert sieve(in_reach=(before, then, {})).late.tolist() == [True, False, False]
    assert sieve(in_reach=(before, then), until=AT).late.tolist() == [True, False]
    assert sieve(in_reach=(before, then)).late.tolist() == [True, True]
    assert sieve(then, in_reach=({"time": AT - 1},)).late.tolist() == [True, False]


def test_all_is_known_before_the_first_in_reach_that_is_in_time() -> None:
    late = [{"time": 1, "reply_frame": 0}, {"time": 2, "retransmits": 1}, {"time": NAT}]
    assert frontier(exchanges(*late)) == NEVER
    assert frontier(exchanges(*late, {}, {"time": AT + 1})) == AT


def test_moments_are_around_what_is_late_and_its_answer() -> None:
    around = [AT - MOMENT // 2, AT, AT + MOMENT]
    assert sorted(sieve({"reply_frame": 0, "reply_time": NAT}, {}).moments) == around
    assert sorted(sieve({"retransmits": 1}).moments) == sorted([*around, SOON - MOMENT, SOON])
    assert len(sieve({"retransmits": 1, "time": NAT}).moments) == 0


def test_what_shows_that_a_host_has_restarted() -> None:
    shown = [{"proc": NlmProc.NSM_NOTIFY}, {"proc": NlmProc.FREE_ALL}, GRACE, NOTIFY]
    other = [{}, NOTIFY | {"prog": Prog.PORTMAP}, GRACE | {"reply_frame": 0}, GRACE | {"prog": Prog.PORTMAP}]
    other += [NOTIFY | {"proc": proc} for proc in (0, NsmProc.SM_STAT, NsmProc.SM_MON, NsmProc.SM_UNMON)]
    other += [{"prog": Prog.PORTMAP, "proc": NlmProc.FREE_ALL}]
    assert sieve(*shown).restarts.all()
    assert not sieve(*other).restarts.any()


WITHOUT = {"status": NO_STATUS}
DENIED = {"status": Nlm4Stats.DENIED}
UNANSWERED = {"reply_frame": 0} | WITHOUT
CALLED = settled_locks.GRANT
STEPS: list[tuple[int, dict[str, int], int]] = [
    (NlmProc.LOCK, {}, LOCK | USUAL),
    (NlmProc.LOCK, {"status": Nlm4Stats.BLOCKED}, LOCK),
    (NlmProc.LOCK, DENIED, LOCK | OVER),
    (NlmProc.LOCK, GRACE, LOCK | OVER),
    (NlmProc.LOCK, UNANSWERED, LOCK),
    (NlmProc.LOCK_MSG, WITHOUT, 0),
    (NlmProc.NM_LOCK, {}, USUAL),
    (NlmProc.NM_LOCK, DENIED, 0),
    (NlmProc.UNLOCK, {}, UNLOCK | OVER | USUAL),
    (NlmProc.UNLOCK, UNANSWERED, UNLOCK),
    (NlmProc.UNLOCK_MSG, WITHOUT, OVER),
    (NlmProc.CANCEL, {}, OVER | USUAL),
    (NlmProc.CANCEL, UNANSWERED, 0),
    (NlmProc.CANCEL_MSG, WITHOUT, OVER),
    (NlmProc.GRANTED, {}, CALLED | USUAL),
    (NlmProc.GRANTED_MSG, WITHOUT, CALLED),
]


@pytest.fixture
def _no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the core would be given is the result."""
    monkeypatch.setattr(settled_locks, "LockSessions", lambda *given: given)


@pytest.mark.usefixtures("_no_core")
def test_what_a_step_is() -> None:
    others = [{"proc": NlmProc.TEST}, {"prog": Prog.NSM}, {"prog": Prog.PORTMAP}]
    rows = [{"proc": proc} | change for proc, change, _ in STEPS]
    steps, *_ = cast(Any, sieve(*others, *rows, in_reach=({},)).sessions)
    assert steps["exchange"].tolist() == [*range(len(others), len(others) + len(STEPS)), 0]
    assert steps["flags"].tolist() == [*(flags for *_, flags in STEPS), LOCK]


@pytest.mark.usefixtures("_no_core")
def test_what_the_core_is_given_beside_the_steps() -> None:
    rows = [NOTIFY | {"time": AT + after} for after in (5, 0, 9)]
    _, arguments, (_, _, restarts), names, known, limits = cast(Any, sieve(*rows, until=AT).sessions)
    assert (arguments, restarts.tolist(), names) == ([], [AT, AT + 5, AT + 9], ([], []))
    assert (known, limits) == ([[1], [2]], (AT, POLL_NS + MOMENT, 0))


def answers(exchange: list[int], port: list[int], known: list[bool]) -> dict[str, Any]:
    """Answers of a port mapper: of these exchanges, and whether the port was captured."""
    columns = {"exchange": np.array(exchange), "copy": np.zeros(len(exchange), dtype=np.uint16)}
    return {"portmap2.res": columns | {"res_port": (np.array(port), np.array(known, dtype=np.bool_))}}


def test_a_port_mapper_names_a_port_by_an_answer_to_getport() -> None:
    asked = WITHOUT | {"prog": Prog.PORTMAP, "proc": PortmapProc.GETPORT}
    rows = [asked, asked | {"duplicates": 1}, asked | {"proc": CALLIT}, asked, asked, asked]
    found = sieve(
        *rows, decoded=answers([0, 1, 2, 3, 4], [STATD, STATD, STATD, 0, STATD], [True, True, True, True, False])
    )
    assert found.names_port.tolist() == [True, False, False, False, False, False]
    assert sieve(*rows).names_port.tolist() == [False] * len(rows)
    assert not sieve(*rows, decoded=answers([], [], [])).names_port.any()
