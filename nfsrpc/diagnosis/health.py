"""What keeps a capture from being healthy although no rule fires: what the lock sessions show, one condition each.

*Healthy* says that locks work, to a reader who may have seen one hang. So locks have to have been granted in time, and
each UNLOCK to have been answered GRANTED in time. Fine are a lock that is still held at the end, one that waits behind
a holder, and a LOCK_NB that is denied behind a holder, or denied once and granted later. Whatever else there is gives a
reason why the verdict is that it cannot tell whether locks work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin
from nfsrpc.facts.basic import begun, booting
from nfsrpc.facts.callbacks import delivered
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.stalls import LATE_S, late
from nfsrpc.facts.waiters import held_until
from nfsrpc.protocols.numbers import NULL, Nlm4Stats, NlmProc, NsmProc, Prog
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.exchanges import CALL_CUT
from nfsrpc.sessions.grouping import Parts, codes_of, group
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.sessions.timers import RESENDS
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import SECOND, duration, named, several, times

UNSEEN = "no holder is seen in the capture"
# An application that tries each second is in trouble after a minute; a job that cron starts each minute may be skipped.
POLLING_S = 60.0
POLLED = 5
UNEXCUSED_S = RESENDS[0]  # the client's own retransmission timer: who waits for longer has noticed
RECLAIM_S = 3.0  # a client reclaims as soon as its statd has read its server's notice
BOOT_S = 60.0  # around a notice of reboot (SM_NOTIFY), requests wait for the server to come up
ONE_MOMENT_S = 1.0  # of two grants so close together LCK009 does not judge which was first
ANSWER_S = 1.0  # a message that was sent so shortly before the end may still be answered
CUT_SHARE = 0.1  # of requests without arguments: what is lost now and then hides no hang
# Requests that rules do not ask about, and that are answered at once.
AT_ONCE = (NlmProc.CANCEL, NlmProc.TEST, NlmProc.SHARE, NlmProc.UNSHARE, NlmProc.FREE_ALL)
# Calls that find out whether a daemon answers at all, and those of its own host; rules judge SM_MON and SM_NOTIFY.
QUESTIONS = {
    Prog.NLM: (NULL, NlmProc.NSM_NOTIFY),
    Prog.NSM: (NULL, NsmProc.SM_STAT, NsmProc.SM_UNMON, NsmProc.SM_UNMON_ALL, NsmProc.SM_SIMU_CRASH),
    Prog.PORTMAP: (NULL,),
}
DAEMONS = {Prog.NLM: "lockd", Prog.NSM: "statd", Prog.PORTMAP: "the port mapper"}
MIN_REPETITIONS = 2  # what is repeated once may be an application's, or have crossed its answer; twice is a timer

Condition: TypeAlias = Callable[[Inputs], str]


def doubts(inputs: Inputs) -> Iterator[str]:
    """The reasons why the verdict cannot be healthy, the gravest first; nothing where locks work."""
    yield from filter(None, (condition(inputs) for condition in CONDITIONS))


def cut_off(inputs: Inputs) -> str:
    """Too many requests are cut: without its arguments a request cannot be assigned to a lock."""
    requests = inputs.requests
    cut = int((requests["flags"] & CALL_CUT != 0).sum())
    total = len(requests) + int(inputs.counted_requests["exchanges"].sum())
    share = f"{several(cut, 'lock request')} of {total}"
    return f"the arguments of {share} are cut off (snap length)" if cut > CUT_SHARE * total else ""


def reclaim_refused(inputs: Inputs) -> str:
    locks = inputs.locks
    rows = locks.where(locks["reclaim"] & locks.valid("denied") & (locks["status"] != Nlm4Stats.DENIED_GRACE_PERIOD))
    return f"{several(len(rows), 'reclaimed lock')} denied {to_whom(rows)}" if len(rows) else ""


def unlock_failed(inputs: Inputs) -> str:
    """An UNLOCK was not answered GRANTED, as servers do even where nothing was locked: the lock may remain."""
    locks = inputs.locks
    with np.errstate(invalid="ignore"):
        answered = (locks["unlock_state"] == "answered") & locks.valid("unlock_status")
        failed = answered & ((locks["unlock_status"] != 0) | (locks["unlock_latency_s"] >= LATE_S))
    failed |= (locks["unlock_state"] == "unanswered") & ~recent(locks["unlock"], inputs)
    rows = locks.where(failed)
    return f"{several(len(rows), 'UNLOCK')} not answered GRANTED in time {to_whom(rows)}" if len(rows) else ""


def unanswered(inputs: Inputs) -> str:
    """A CANCEL, TEST or request for a share was not answered.

    A client repeats its CANCEL until then, and the lock may be granted meanwhile; who sent a TEST (F_GETLK) waits.
    """
    nlm = inputs.nlm
    open_ = nlm.where(isin(nlm["proc"], AT_ONCE) & (nlm["state"] == "unanswered") & ~recent(nlm["time"], inputs))
    rows = next(iter(Parts(open_, "procedure").values()), open_)
    return f"{several(len(rows), rows.row(0).procedure or '')} not answered {to_whom(rows)}" if len(rows) else ""


def unanswered_questions(inputs: Inputs) -> str:
    """A daemon did not answer a NULL, or another call that it answers at once, and answered that host nothing later.

    Its sender waits for the reply; or several stayed unanswered, and it uses files or locks of that host, or serves it.
    Who gives up does not wait, as `rpcinfo` after 10 s; where a host has nothing else to do there, that is monitoring.
    """
    calls, counted = inputs.exchanges, inputs.counted
    asking = np.logical_or.reduce([(calls["prog"] == prog) & isin(calls["proc"], of) for prog, of in QUESTIONS.items()])
    rows = calls.where(asking & ((calls["state"] == "unanswered") | retransmitted(calls)))
    if not len(rows):
        return ""
    answered = calls.where((calls["state"] == "answered") & isin(calls["prog"], QUESTIONS))
    answers = [
        Stretches([answered["client"], answered["server"], answered["prog"]], answered["reply_time"]),
        Stretches([counted["client"], counted["server"], counted["prog"]], counted["last"]),
    ]
    waiting = retransmitted(rows) | ((rows["transport"] == "tcp") & ~isin(rows["flow"], inputs.closed_by_client))
    waits = set(rows["exchange"][waiting].tolist())
    for (client, server, prog), asked in Parts(rows, "client", "server", "prog").items():
        key = client, server, prog
        open_ = [row for row in asked.rows() if all(of.following(key, row.time) is None for of in answers)]
        sent = sum(1 + row.retransmits for row in open_)
        is_peer = not inputs.roles.pairs.isdisjoint({(client, server), (server, client)})
        if any(row.exchange in waits for row in open_) or (is_peer and sent > MIN_REPETITIONS):
            what = f"{open_[0].procedure} of {client} to {DAEMONS[prog]} of {server}"
            return f"a {what} was sent {times(sent)} and not answered"
    return ""


def silent_over_udp(inputs: Inputs) -> str:
    """NFS calls over UDP have no reply for ANSWER_S when the capture ends, nor has any later one of that client.

    RPC005 waits for a retransmission: where the capture ends before, this may be the begin of a stall.
    """
    calls, counted = inputs.exchanges, inputs.counted
    about = (calls["prog"] == Prog.NFS) & (calls["transport"] == "udp") & (calls["proc"] != NULL)
    rows = calls.where(about & (calls["state"] != "answered") & calls.valid("time") & ~recent(calls["time"], inputs))
    if not len(rows):
        return ""
    of_nfs = calls.where((calls["prog"] == Prog.NFS) & (calls["state"] == "answered"))
    sums = counted.where(counted["prog"] == Prog.NFS)
    answers = [
        Stretches([of_nfs["client"], of_nfs["server"]], of_nfs["reply_time"]),
        Stretches([sums["client"], sums["server"]], sums["last"]),
    ]
    for (client, server), theirs in Parts(rows, "client", "server").items():
        last = int(theirs["time"].max())
        if all(of.following((client, server), last) is None for of in answers):
            unanswered_calls = f"{several(len(theirs), 'NFS call')} of {client} over UDP"
            return f"{unanswered_calls} not answered by {server} when the capture ends"
    return ""


def retransmitted(calls: Calls) -> Mask:
    """Which calls were repeated over UDP, where a sender that waits keeps no connection."""
    mask: Mask = (calls["transport"] == "udp") & (calls["retransmits"] >= MIN_REPETITIONS)
    return mask


def held_twice(inputs: Inputs) -> str:
    """Two hosts are granted one range within ONE_MOMENT_S, and both keep it: which of them was first is not known."""
    locks = inputs.locks
    rows = locks.where(locks["exclusive"] & locks.valid("granted") & locks.valid("requested"))
    if len(rows) < 2:
        return ""
    same = group(*(codes_of(rows[name]) for name in ("server", "fh", "l_offset", "l_len")))[0]
    hosts = codes_of(rows["caller_name"])
    order = np.lexsort((rows["granted"], same))
    same, hosts, since, until = same[order], hosts[order], rows["granted"][order], held_until(rows)[order]
    moment = round(ONE_MOMENT_S * SECOND)
    both = (same[1:] == same[:-1]) & (hosts[1:] != hosts[:-1]) & (since[1:] - since[:-1] <= moment)
    both &= np.minimum(until[1:], until[:-1]) > since[1:] + moment
    if not both.any():
        return ""
    one, other = (rows.row(int(order[at])) for at in np.flatnonzero(both)[0] + np.arange(2))
    return f"{one.server} granted {one.file} to {one.owner} and {other.owner} at the same time"


def waits_beyond(inputs: Inputs) -> str:
    """A LOCK was not granted when the capture ended in which it began, nor in one that goes on for much longer.

    Also where nothing is known of a pause between them: it may have been granted meanwhile, or not.
    """
    locks = inputs.locks
    rows = locks.where((locks["state"] == "waiting") & locks.valid("requested") & locks.valid("blocked"))
    ends = inputs.coverage.last_ends(rows)
    waited = np.where(ends == NEVER, 0, ends - rows["requested"]) / SECOND
    longer = waited - np.nan_to_num(rows["wait_s"]) >= LATE_S
    if not longer.any():
        return ""
    longest = duration(float(waited[longer].max()))
    return f"{several(int(longer.sum()), 'LOCK')} not granted for up to {longest}, and not all captures last so long"


def still_in_grace(inputs: Inputs) -> str:
    """A LOCK got DENIED_GRACE_PERIOD, and the capture ends before the client retries or is granted it."""
    locks = inputs.locks
    rows = locks.where((locks["status"] == Nlm4Stats.DENIED_GRACE_PERIOD) & ~locks.valid("granted") & ~locks["reclaim"])
    if not len(rows):
        return ""
    granted = locks.where(locks.valid("granted"))
    grants = Stretches([granted[name] for name in ("server", "client", "fh")], granted["granted"])
    last = np.where(rows["denied"] == NAT, rows["time"], rows["denied"]).tolist()
    later = [
        grants.following((row.server, row.client, row.fh), time) for row, time in zip(rows.rows(), last, strict=True)
    ]
    rows = rows.where(np.array([time is None for time in later]))
    what = several(len(rows), "LOCK")
    return f"{what} answered DENIED_GRACE_PERIOD {to_whom(rows)} and not granted since" if len(rows) else ""


def blocking_denied(inputs: Inputs) -> str:
    """A blocking request was DENIED: a server that can serve it answers BLOCKED instead."""
    locks = inputs.locks
    rows = locks.where(
        locks["block"] & ~locks["reclaim"] & locks.valid("denied") & (locks["status"] == Nlm4Stats.DENIED)
    )
    return f"{several(len(rows), 'blocking LOCK')} answered DENIED {to_whom(rows)}" if len(rows) else ""


def polling(inputs: Inputs) -> str:
    """One client retried a lock of one file for long and was always denied."""
    locks = inputs.locks
    denied = locks.where(locks.valid("denied") & (locks["status"] == Nlm4Stats.DENIED) & locks.valid("requested"))
    if len(denied) < POLLED:
        return ""
    granted = locks.where(locks.valid("granted") & locks.valid("requested"))
    grants = {key: np.sort(part["granted"]) for key, part in Parts(granted, "server", "client", "fh").items()}
    longest = 0.0
    of: Locks | None = None
    for key, part in Parts(denied, "server", "client", "fh").items():
        lasted = vain_s(np.sort(part["requested"]), grants.get(key))
        if lasted > longest:
            longest, of = lasted, part
    if of is None or longest < POLLING_S:
        return ""
    row = of.row(0)
    behind = "" if of.valid("held_by").all() else f", and {UNSEEN}"
    return f"LOCKs of {row.client} for {row.file} were repeatedly DENIED for {duration(longest)}{behind}"


def vain_s(times: Array, grants: Array | None) -> float:
    """The longest time from first to last of POLLED tries or more with no grant between them."""
    run = np.zeros(len(times), dtype=np.int64) if grants is None else np.searchsorted(grants, times)
    _, first, count = np.unique(run, return_index=True, return_counts=True)
    lasted = (times[first + count - 1] - times[first])[count >= POLLED]
    return float(lasted.max()) / SECOND if len(lasted) else 0.0


def denied_without_holder(inputs: Inputs) -> str:
    """A LOCK was DENIED, the capture shows no holder, and the client was not granted that file later.

    After a restart of the server the holder may have lost its lock, so that a grant out of the grace period does not
    count.
    """
    locks = inputs.locks
    rows = locks.where(locks.valid("denied") & (locks["status"] == Nlm4Stats.DENIED) & ~locks.valid("held_by"))
    if not len(rows):
        return ""
    granted = locks.where(locks.valid("granted") & (locks["grace"] == 0))
    grants = Stretches([granted[name] for name in ("server", "client", "fh")], granted["granted"])
    later = (grants.following((row.server, row.client, row.fh), row.denied or 0) for row in rows.rows())
    rows = rows.where(np.array([time is None for time in later]))
    return f"{several(len(rows), 'LOCK')} DENIED {to_whom(rows)}, and {UNSEEN}" if len(rows) else ""


def repeated_messages(inputs: Inputs) -> str:
    """A LOCK_MSG was repeated although it was granted: the LOCK_RES does not reach the client."""
    locks = inputs.locks
    rows = locks.where((locks["procedure"] == "LOCK_MSG") & (locks["state"] == "replaced"))
    same = ("server", "client", "owner", "fh", "l_offset", "l_len")
    for part in Parts(rows, *same).values() if len(rows) else ():
        if len(part) >= MIN_REPETITIONS and (part["exclusive"] == part["exclusive"][0]).all():
            row = part.row(0)
            return f"{row.client} repeated one LOCK_MSG {several(len(part), 'time')} although it was granted"
    return ""


def repeated_grants(inputs: Inputs) -> str:
    """A grant was repeated although its client accepted it: the GRANTED_RES does not reach the server."""
    locks = inputs.locks
    rows = locks.where((locks["callback_status"] == Nlm4Stats.GRANTED) & (locks["callbacks"] > MIN_REPETITIONS))
    for row in rows.rows():
        return f"{row.server} sent one grant to {row.client} {times(row.callbacks)} although it was accepted"
    return ""


def unanswered_messages(inputs: Inputs) -> str:
    locks = inputs.locks
    open_ = (locks["procedure"] == "LOCK_MSG") & ~locks.valid("status") & ~recent(locks["requested"], inputs)
    rows = locks.where(open_ & locks.valid("requested"))
    return f"{several(len(rows), 'LOCK_MSG')} without LOCK_RES {to_whom(rows)}" if len(rows) else ""


def result_late(inputs: Inputs) -> str:
    """A LOCK_MSG got its LOCK_RES late."""
    locks = inputs.locks
    with np.errstate(invalid="ignore"):
        rows = locks.where((locks["procedure"] == "LOCK_MSG") & (locks["latency_s"] >= LATE_S))
    if not len(rows):
        return ""
    longest = duration(float(rows["latency_s"].max()))
    return f"{several(len(rows), 'LOCK_MSG')} with LOCK_RES after up to {longest} {to_whom(rows)}"


def open_grants(inputs: Inputs) -> str:
    """A waiting client was called back, and did not answer until the capture ends, nor unlock since."""
    locks = inputs.locks
    rows = locks.where((locks["granted_by"] == "callback") & (locks["callback_state"] == "undecided"))
    rows = rows.where(~rows.valid("unlock") & ~recent(rows["callback"], inputs))
    if not len(rows):
        return ""
    return f"{several(len(rows), 'grant')} to {named(rows['client'].present())} not answered yet when the capture ends"


def failed_grants(inputs: Inputs) -> str:
    """A server failed to call a client back, and no grant reached that client later.

    CBK001 asks for the lock that waits for it, of which a capture that began later has no request.
    """
    reached = delivered(inputs.nlm)
    grants = Stretches((reached["client"], reached["server"]), reached["time"])
    for failure in inputs.failed_callbacks:
        if grants.following((failure.server, failure.client), failure.first) is None:
            return f"{failure.server} tried to call {failure.client} back: {failure.what}"
    return ""


def answered_late(inputs: Inputs) -> str:
    """A lock request was answered late, and the server did not restart meanwhile."""
    requests, boots = inputs.requests, inputs.boots
    rows = requests.where((requests["state"] == "answered") & late(requests, UNEXCUSED_S))
    calm = [not booting(boots, row.server, row.time, row.reply_time or row.time, BOOT_S) for row in rows.rows()]
    rows = rows.where(np.array(calm, dtype=np.bool_))
    if not len(rows):
        return ""
    longest = duration(float(np.nanmax(rows["latency_s"])))
    return f"{several(len(rows), 'lock request')} answered after up to {longest} {to_whom(rows)}"


def called_before(inputs: Inputs) -> str:
    """A reply of lockd, long after the capture began, is to a call from before the capture: it is late."""
    calls, nlm = inputs.calls, inputs.nlm
    orphans = calls.where((calls["state"] == "orphan") & calls.valid("reply_time") & ~calls.valid("duplicate_of"))
    if not len(orphans):
        return ""
    after = (orphans["reply_time"] - begun(inputs.captures)[orphans["vantage"]]) / SECOND
    is_late = after >= LATE_S
    lockds = set(zip(*(nlm[name].tolist() for name in ("client", "server", "server_port")), strict=True))
    for row, after_s in zip(orphans.where(is_late).rows(), after[is_late].tolist(), strict=True):
        if (row.client, row.server, row.server_port) in lockds:
            answered = f"{row.server} answered {row.client} {duration(after_s)}"
            return f"{answered} after the capture began, and the call is not in it"
    return ""


def replied_more_often(inputs: Inputs) -> str:
    """Each copy of a call is answered once: with more replies than calls it was sent before the capture began, too.

    Linux sends one reply per copy when its lockd goes on after a stall.
    """
    copies, requests = inputs.copies, inputs.requests
    again = isin(requests["exchange"], copies["exchange"][copies["reply"]])
    rows = requests.where(again & requests.valid("reply_time"))
    mine = copies.where(isin(copies["exchange"], rows["exchange"]))
    surplus: Counter[int] = Counter()
    for exchange, is_reply in zip(mine["exchange"].tolist(), mine["reply"].tolist(), strict=True):
        surplus[exchange] += 1 if is_reply else -1
    after = (rows["reply_time"] - begun(inputs.captures)[rows["vantage"]]) / SECOND
    for row, after_s in zip(rows.rows(), after.tolist(), strict=True):
        if surplus[row.exchange] > 0 and after_s >= LATE_S:
            sent = f"a {row.procedure} of {row.client} to {row.server} was sent before the capture began"
            return f"{sent}, and answered {duration(after_s)} after that"
    return ""


def looked_up_late(inputs: Inputs) -> str:
    """A portmapper answered late for lockd or statd: until then the client does not send its lock request."""
    asked = inputs.registrations
    asked = asked.where(isin(asked["prog"], (Prog.NLM, Prog.NSM)) & (asked["state"] == "answered"))
    waits = (asked["reply_time"] - asked["time"])[asked.valid("time") & asked.valid("reply_time")]
    longest = float(waits.max(initial=0)) / SECOND
    return f"a portmapper named the port of lockd or statd only after {duration(longest)}" if longest >= LATE_S else ""


def unanswered_queries(inputs: Inputs) -> str:
    """A reboot notice, or a query for the port of lockd or statd, was sent several times and never answered."""
    notices, questions = inputs.monitors, inputs.registrations
    notices = notices.where((notices["procedure"] == "NOTIFY") & ~notices["loopback"])
    questions = questions.where(isin(questions["prog"], (Prog.NLM, Prog.NSM)) & ~questions["loopback"])
    for what, rows in (("notice of a reboot", notices), ("question for the port of lockd or statd", questions)):
        answered = rows.where(rows["state"] == "answered")
        ends = set(zip(answered["asker"].tolist(), answered["host"].tolist(), strict=True))
        for (asker, host), open_ in Parts(rows.where(rows["state"] != "answered"), "asker", "host").items():
            sent = len(open_) + int(open_["resends"].sum())  # sm-notify has a new xid each time
            if sent > MIN_REPETITIONS and (asker, host) not in ends:
                return f"a {what} of {asker} to {host} was sent {times(sent)} and not answered"
    return ""


def not_reclaimed(inputs: Inputs) -> str:
    """The server sent a reboot notice (SM_NOTIFY), and a client that has locks there does not reclaim any."""
    locks, monitors, span = inputs.locks, inputs.monitors, inputs.span
    notices = monitors.where(
        (monitors["procedure"] == "NOTIFY") & monitors.valid("reply_time") & monitors.valid("time")
    )
    if span is None:
        return ""
    for row in notices.rows():
        if span.last - row.time < RECLAIM_S * SECOND:
            continue
        theirs = locks.where((locks["client"] == row.host) & (locks["server"] == row.asker))
        before = theirs.valid("granted") & (theirs["granted"] < row.time)
        held = before & ~(theirs.valid("released") & (theirs["released"] < row.time))
        if held.any() and not (theirs["reclaim"] | (theirs["reclaims"] > 0)).any():
            count = several(int(held.sum()), "lock")
            return f"{row.host} does not reclaim {count} after the reboot notice of {row.asker}"
    return ""


def wait_beyond_holder(inputs: Inputs) -> str:
    """A LOCK was granted long after its holder had unlocked, as far as the capture shows.

    Where no holder is seen at all, as at the client that waits, a wait is what blocking locks are for.
    """
    locks = inputs.locks
    with np.errstate(invalid="ignore"):
        late_grants = locks.valid("blocked") & locks.valid("held_by") & (locks["wait_s"] >= LATE_S)
    rows = locks.where(late_grants & locks.valid("requested") & ~locks.valid("cancelled"))
    if not len(rows):
        return ""
    held = locks.where(locks.valid("granted") | ~locks.valid("requested"))
    begun = np.where(held.valid("granted"), held["granted"], NAT + 1)
    holds = Stretches([held["server"], held["fh"]], begun, np.maximum(begun, held_until(held)))
    alone = []
    for row in rows.rows():
        waited_s = row.wait_s or 0.0
        ended = (row.requested or 0) + round(waited_s * SECOND)
        if not holds.meet((row.server, row.fh), ended - round(LATE_S * SECOND), ended - 1):
            alone.append(waited_s)
    waits = f"a LOCK waited for {duration(max(alone))}" if alone else ""
    return f"{waits}, longer than its holder kept it; why was not captured" if alone else ""


def never_granted(inputs: Inputs) -> str:
    """No LOCK was granted: UNLOCKs alone, or tests and denials, are no evidence that locks are granted."""
    locks, requests = inputs.locks, inputs.requests
    if (inputs.counted_requests["proc"] == NlmProc.LOCK).any():
        return ""
    asked = requests["proc"] == NlmProc.LOCK
    if (asked & (requests["status"] == Nlm4Stats.GRANTED)).any() or (
        locks.valid("granted") & (locks["status"] == Nlm4Stats.GRANTED)
    ).any():
        return ""
    number = int(asked.sum())
    return f"of {several(number, 'LOCK')} none was granted" if number else "no LOCK was captured, only other requests"


def recent(times: Array, inputs: Inputs) -> Mask:
    """Which times are so near the end of the capture that an answer may still come."""
    span = inputs.span
    mask: Mask = times > (NAT if span is None else span.last - round(ANSWER_S * SECOND))
    return mask


def to_whom(rows: Calls | Locks) -> str:
    servers = rows["server"].present()
    return f"by {named(servers)}" if servers else "by a server"


CONDITIONS: tuple[Condition, ...] = (
    cut_off,
    reclaim_refused,
    unlock_failed,
    unanswered,
    unanswered_questions,
    silent_over_udp,
    held_twice,
    blocking_denied,
    polling,
    denied_without_holder,
    repeated_messages,
    repeated_grants,
    unanswered_messages,
    result_late,
    open_grants,
    failed_grants,
    answered_late,
    called_before,
    replied_more_often,
    looked_up_late,
    unanswered_queries,
    not_reclaimed,
    wait_beyond_holder,
    still_in_grace,
    waits_beyond,
    never_granted,
)
