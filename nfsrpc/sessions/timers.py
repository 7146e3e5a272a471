"""The timers of kernels and daemons that make the gaps between messages, and which of them fits a gap.

Each has a kind of event that is repeated, and a time: one wait, or the times of a series since its start.
Other kernels, loaded hosts and lost packets stretch a wait, so a gap fits within a share of it. Where none
fits, the gap has no timer: it is the application's, or the network's.

References: Linux net/sunrpc/xprt.c, fs/lockd/host.c (timeouts), fs/lockd/mon.c, net/ipv4/tcp_timer.c; sm-notify(8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from nfsrpc.wording import duration

Kind: TypeAlias = Literal[
    "resend",  # a retransmission, with the same xid: seconds since the first call
    "poll",  # the same request, another xid
    "grace",  # LOCK again after DENIED_GRACE_PERIOD
    "syn",  # SYN: seconds since the first
    "ask",  # a repeated query to a portmapper for what is not registered
    "unreachable",  # a repeated query to a portmapper that does not answer
    "answer",  # a lock request and its answer
    "refusal",  # a lock request and DENIED_NOLOCKS
    "grant",  # GRANTED_MSG and its repetition
    "notice",  # SM_NOTIFY, or the query for its port: seconds since the first
    "reconnect",  # a connection that got no answer and the next from the same port
]


class Timer(NamedTuple):
    name: str
    kind: Kind
    seconds: tuple[float, ...]  # one wait, or the times of a series since its start
    share: float  # by which a gap may differ
    meaning: str


# Of a lock request: LOCKD_DFLT_TIMEO is 10 s, and each of three waits is 10 s longer; then they begin anew.
RESENDS = (10.0, 30.0, 60.0, 70.0, 90.0, 120.0, 130.0, 150.0, 180.0)
SYNS = (1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 127.0)
NOTICES = (2.0, 6.0, 14.0, 30.0, 62.0, 122.0, 182.0)

SEARCHES, BEHIND = "statd-search", "statd-search-behind"

TIMERS = (
    Timer("rpc-timer", "resend", RESENDS, 0.15, "the client's RPC timer"),
    Timer("blocked-poll", "poll", (30.0,), 0.15, "a blocked Linux client's own retry"),
    Timer("grace-retry", "grace", (5.0,), 0.25, "a Linux client's retry in the server's grace period"),
    Timer("syn-retry", "syn", SYNS, 0.15, "TCP retransmission back-off"),
    Timer("ask-again", "ask", (3.0,), 0.25, "the kernel's search for a service"),
    Timer("portmapper-retry", "unreachable", (5.0,), 0.25, "the kernel's retries of a portmapper that does not answer"),
    Timer("resolver", "answer", (5.0, 10.0, 15.0, 20.0, 30.0, 40.0), 0.05, "a resolver's timeout is 5 s per try"),
    Timer(SEARCHES, "answer", (61.5,), 0.04, "lockd's search for statd"),
    Timer(BEHIND, "answer", (123.0,), 0.06, "behind another request that waited a minute"),
    Timer("statd-timeout", "refusal", (60.0,), 0.05, "a Linux server's timeout for the reply of statd"),
    Timer("statd-timeout-ganesha", "refusal", (18.0,), 0.1, "Ganesha's timeout for the reply of statd"),
    Timer("grant-after-error", "grant", (10.0,), 0.25, "a Linux server's retry of the callback after an RPC error"),
    Timer("grant-without-result", "grant", (60.0,), 0.15, "a Linux server's timeout for GRANTED_RES"),
    Timer("notice-retry", "notice", NOTICES, 0.15, "back-off of sm-notify, from 2 s on"),
    Timer("tcp-gives-up", "reconnect", (182.0,), 0.1, "TCP's timeout of a connection without ACK"),
)

MAJOR_TIMEOUT_S = 60.5  # the kernel then logs "not responding", and looks the service up anew
LOGGED = "; at 60 s its kernel logs 'not responding'"


def fits(timer: Timer, seconds: float) -> bool:
    return any(abs(seconds - mark) <= max(timer.share * mark, 0.3) for mark in timer.seconds)


def timer_of(kind: Kind, *seconds: float) -> Timer | None:
    """The timer that most of these waits fit, and more than half; None where there is no such timer."""
    if not seconds:
        return None
    known = [(sum(fits(timer, wait) for wait in seconds), timer) for timer in TIMERS if timer.kind == kind]
    count, best = max(known, key=lambda pair: pair[0])
    return best if count * 2 > len(seconds) else None


def is_back_off(retransmissions: int, lasted_s: float) -> bool:
    """Whether so many retransmissions of a SYN took as long as TCP's back-off does.

    >>> is_back_off(6, 63.8), is_back_off(7, 7.0)
    (True, False)
    """
    if not 0 < retransmissions <= len(SYNS):
        return False
    return abs(lasted_s - SYNS[retransmissions - 1]) <= max(0.15 * SYNS[retransmissions - 1], 0.3)


def in_words(kind: Kind | None, seconds: Sequence[float], most: int = 4) -> str:
    """The waits in words, with the timer that made them where one of that kind fits.

    >>> in_words("resend", [10.3, 31.8, 60.4])
    "10.3 s, 31.8 s, 60.4 s: the client's RPC timer; at 60 s its kernel logs 'not responding'"
    >>> in_words("resend", [10.3, 31.8])
    "10.3 s, 31.8 s: the client's RPC timer"
    >>> in_words("resend", [0.4])
    '400 ms'
    >>> in_words(None, [10.3])
    '10.3 s'
    """
    waits = ", ".join(map(duration, seconds[:most])) + (" and later" if len(seconds) > most else "")
    timer = timer_of(kind, *seconds) if kind else None
    logged = LOGGED if kind == "resend" and max(seconds, default=0.0) >= MAJOR_TIMEOUT_S - 1 else ""
    return f"{waits}: {timer.meaning}{logged}" if timer else waits
