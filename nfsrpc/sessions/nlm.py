"""NLM messages as steps of lock sessions: which owner requests what on which range, and the answer.

All versions are alike but for the width of ranges. In the asynchronous form LOCK_MSG is answered by a void reply, which
means nothing, and by a call LOCK_RES in the other direction with the same cookie, which may come before that reply
(X/Open C702 chapter 10). A cookie is unique to its sender only: every Linux host counts from the same number.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, NULLS, ROW, Array, Mask, Table, as_type, constant, isin, taken
from nfsrpc.decode import Decoded
from nfsrpc.protocols.numbers import AcceptStat, Nlm4Stats, Prog
from nfsrpc.sessions.exchanges import ANSWERED, UNANSWERED, UNANSWERED_NS, UNDECIDED
from nfsrpc.sessions.grouping import group, long_runs
from nfsrpc.sessions.wanted import ASYNCHRONOUS, LOCK, NLM_PROTOCOLS, RESULTS
from nfsrpc.tables import Calls

REQUEST, CANCEL, UNLOCK, GRANT = range(4)
STEPS = {
    "LOCK": REQUEST,
    "LOCK_MSG": REQUEST,
    "NM_LOCK": REQUEST,
    "CANCEL": CANCEL,
    "CANCEL_MSG": CANCEL,
    "UNLOCK": UNLOCK,
    "UNLOCK_MSG": UNLOCK,
    "GRANTED": GRANT,
    "GRANTED_MSG": GRANT,
}
# Linux answers an empty cookie with this one.
EMPTY_COOKIES = (b"", b"\0\0\0\0")
# A result captured this much before its _MSG call is still its answer: frames of several interfaces are out of order.
RESULT_FIRST = 1_000_000_000
# A LOCK_MSG that is sent so many times with one cookie, each within two minutes, though it was granted each time.
REPEATED = 3
REPEATED_NS = 120_000_000_000
# A client that is denied a range and requests it again so soon polls. A job that starts once per minute and exits where
# the lock is taken does not: its pauses are longer.
POLL_NS = 45_000_000_000

BOOLS = ("exclusive", "block", "reclaim")
# Others are numbers of strings, and a status.
DTYPES: dict[str, Any] = {"svid": np.int32, "l_offset": np.uint64, "l_len": np.uint64} | dict.fromkeys(BOOLS, np.bool_)


@dataclass(eq=False, repr=False)
class Steps:
    """One row per message about a range, in the order of time."""

    call: Array  # row of calls
    kind: Array  # REQUEST, CANCEL, UNLOCK or GRANT
    server: Array  # code of the host that grants
    client: Array  # code of the host that locks
    fields: dict[str, Array]  # of the lock: LOCK, and the cookie; strings by number
    known: dict[str, Mask]  # of BOOLS, and the cookie: whether the message has them
    state: Array  # of the answer: ANSWERED, UNANSWERED, UNDECIDED
    status: Array  # nlm4_stats, null without
    answer_time: Array
    answer_capture: Array
    answer_frame: Array
    again: Mask  # an UNLOCK of who had unlocked that before, in a session that may have been counted and left

    def __len__(self) -> int:
        return len(self.call)


def steps(decoded: Decoded, calls: Calls) -> Steps:
    """The steps of all lock sessions, with their answers. What the capture cut before the range is left out."""
    nlm = np.flatnonzero((calls["prog"] == Prog.NLM) & ~calls.valid("duplicate_of"))
    table = calls.take(nlm)
    of_sessions = table["procedure"].isin({*STEPS, *RESULTS})
    rows, table = nlm[of_sessions], table.where(of_sessions)
    fields = {name: field(decoded, table, name) for name in (*LOCK, "cookie", "stat")}
    kind = code_by_name(table, STEPS)
    grant = kind == GRANT
    client, server = table["client"].codes, table["server"].codes
    state = table["state"].codes.copy()
    status, answer_time = table["status"].copy(), table["reply_time"].copy()
    answer_capture, answer_frame = table["reply_capture"].copy(), table["reply_frame"].copy()
    asks, results = paired(decoded, table, *fields["cookie"])
    asynchronous = table["procedure"].isin(RESULTS.values())
    state[asynchronous] = without_result(decoded, table.where(asynchronous))
    void = asynchronous & (state != ANSWERED)
    answer_time[void], answer_capture[void], answer_frame[void] = NAT, NULLS["u16?"], NULLS["u32?"]
    state[asks], status[asks] = ANSWERED, fields["stat"][0][results].astype(np.int32)
    answer_time[asks], answer_capture[asks] = table["time"][results], table["capture"][results]
    answer_frame[asks] = table["call_frame"][results]
    whole = kind >= 0
    for name in ("fh", "oh", "svid", "l_offset", "l_len"):
        whole &= fields[name][1]
    ignored = not_taken(decoded, table, kind, fields, status)
    state[ignored], status[ignored] = UNANSWERED, NULLS["i32?"]
    answer_time[ignored], answer_capture[ignored], answer_frame[ignored] = NAT, NULLS["u16?"], NULLS["u32?"]
    keep = np.flatnonzero(whole)
    keep = keep[np.lexsort((rows[keep], table["time"][keep]))]
    return Steps(
        call=rows[keep].astype(ROW),
        kind=kind[keep],
        server=np.where(grant, client, server)[keep],
        client=np.where(grant, server, client)[keep],
        known={name: constant(taken(fields[name][1], keep)) for name in (*BOOLS, "cookie")},
        fields={name: constant(taken(fields.pop(name)[0], keep)) for name in (*LOCK, "cookie")},
        state=state[keep],
        status=constant(status[keep]),
        answer_time=answer_time[keep],
        answer_capture=constant(answer_capture[keep]),
        answer_frame=answer_frame[keep],
        again=isin(table["exchange"][keep], decoded.unlocked_again["exchange"]),
    )


def code_by_name(table: Calls, codes: dict[str, int]) -> Array:
    """The code of each row's procedure, -1 for one that has none."""
    procedure = table["procedure"]
    found: Array = np.array([*(codes.get(name, -1) for name in procedure.labels), -1], dtype=np.int8)[procedure.codes]
    return found


def field(decoded: Decoded, table: Table, name: str) -> tuple[Array, Mask]:
    """An argument, whichever version of NLM has it."""
    kind = DTYPES.get(name, np.uint32)
    versions = list(filter(decoded.has, (f"{protocol}.args" for protocol in NLM_PROTOCOLS)))
    if len(versions) == 1:
        only = decoded.column(versions[0], name, table["exchange"])
        if only.valid.all():
            return as_type(only.values, kind), only.valid
    values = np.zeros(len(table), dtype=kind)
    valid = np.zeros(len(table), dtype=np.bool_)
    for arguments in versions:
        found = decoded.column(arguments, name, table["exchange"])
        values[found.valid] = found.values[found.valid]
        valid |= found.valid
    return values, valid


def paired(decoded: Decoded, table: Table, cookie: Array, known: Mask) -> tuple[Array, Array]:
    """Rows of _MSG calls that have a result, and the rows of these results."""
    procedure = table["procedure"]
    relevant = np.flatnonzero(procedure.isin(ASYNCHRONOUS) & known)
    relevant = relevant[np.argsort(table["time"][relevant], kind="stable")]
    some = table.take(relevant)
    cookies = [decoded.strings[number] for number in cookie[relevant].tolist()]
    columns = (some["client"].codes, some["server"].codes, some["vers"], some["time"])
    asked: dict[tuple[object, ...], deque[int]] = defaultdict(deque)
    answers: list[tuple[tuple[object, ...], int]] = []
    times: dict[int, int] = {}
    entries = zip(relevant.tolist(), some["procedure"].tolist(), cookies, *map(np.ndarray.tolist, columns), strict=True)
    for row, name, raw_cookie, client, server, vers, time in entries:
        token = b"" if raw_cookie in EMPTY_COOKIES else raw_cookie
        times[row] = time
        if name in RESULTS:
            answers.append(((RESULTS[name], token, server, client, vers), row))
        else:
            asked[name, token, client, server, vers].append(row)
    pairs: list[tuple[int, int]] = []
    for key, row in answers:
        waiting = asked.get(key)
        while waiting and len(waiting) > 1 and times[waiting[1]] <= times[row]:
            waiting.popleft()  # the sender has used this cookie again since
        if waiting and times[waiting[0]] - RESULT_FIRST <= times[row]:
            pairs.append((waiting.popleft(), row))
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def not_taken(decoded: Decoded, table: Calls, kind: Array, fields: dict[str, Any], status: Array) -> Array:
    """Rows of LOCK_MSG that were granted, and repeated with the same cookie all the same: the client takes no LOCK_RES.

    It expects it from another address or at another port, or does not receive it. One that is repeated once may have
    crossed its result.
    """
    granted = (table["procedure"] == "LOCK_MSG") & (status == Nlm4Stats.GRANTED)
    if int(granted.sum()) < REPEATED:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero((kind != GRANT) & (kind >= 0))
    same = group(
        table["client"].codes[rows] + 1,
        table["server"].codes[rows] + 1,
        *(fields[name][0][rows] for name in ("fh", "oh", "svid", "l_offset", "l_len")),
    )[0]
    order = np.lexsort((table["time"][rows], same))
    rows, same = rows[order], same[order]
    cookie, time = fields["cookie"][0][rows], table["time"][rows]
    again = (same[1:] == same[:-1]) & (cookie[1:] == cookie[:-1]) & granted[rows][1:] & granted[rows][:-1]
    again &= time[1:] - time[:-1] <= REPEATED_NS
    runs = [rows[first:last] for first, last in long_runs(again, REPEATED)]
    found = [run for run in runs if cookie_of(decoded, fields, run[0]) not in EMPTY_COOKIES]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def cookie_of(decoded: Decoded, fields: dict[str, Any], row: int) -> bytes:
    return decoded.strings[int(fields["cookie"][0][row])]


def without_result(decoded: Decoded, table: Calls) -> Array:
    """The state of _MSG calls to which no result is found: a void reply is none."""
    state = table["state"].codes
    time = table["time"]
    long_enough = (time != NAT) & (decoded.vantage_ends[table["vantage"]] - time >= UNANSWERED_NS)
    void = (state == ANSWERED) & (table["rpc_status"] == AcceptStat.SUCCESS)
    return np.where(void, np.where(long_enough, UNANSWERED, UNDECIDED), state)
