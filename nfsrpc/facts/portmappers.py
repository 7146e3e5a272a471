"""Portmappers that do not answer: how each question failed, and when they did answer.

A portmapper (RFC 1833) fails in five ways: port 111 is silent, refuses, or cannot be reached (ICMP); TCP accepts the
connection and acknowledges the call, but there is no reply (the process hangs; Linux repeats the call after 10.2 and
30.4 s); or the reply is MSG_DENIED (RFC 5531 section 9), by rpcbind's access control.

Only a host that speaks RPC is a client: a scan connects to port 111 as to any other port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import isin
from nfsrpc.facts.attempts import AGAIN, Attempt
from nfsrpc.facts.basic import Span, fact, pairs_of
from nfsrpc.facts.stalls import LATE_S
from nfsrpc.protocols.numbers import AuthFlavor, Port, Prog, Rejected
from nfsrpc.sessions.exchanges import CALL_ACKED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Copies, Flows, Registrations, Tallies
from nfsrpc.wording import SECOND

NULL, NFS4 = 0, 4
SELDOM = 25 * SECOND  # between two questions for one service: sm-notify begins after 2 s, kernels ask every 3 to 5 s
CALLIT = 5  # calls another program through the portmapper, which does not reply where that fails; often a broadcast

How: TypeAlias = Literal["unanswered", "refused", "unreachable", "hangs", "denied"]


class PortmapperFailure(NamedTuple):
    """Questions of one host to the portmapper of another that failed in one way."""

    host: str  # whose portmapper
    asker: str
    how: How
    transport: str
    loopback: bool
    tries: int
    first: int
    last: int  # when it was last tried
    until: int  # when the asker stopped waiting: with the reply, with the connection, or with the capture
    frame: tuple[int, int]  # capture and frame of the first try
    proof: tuple[int, int] | None  # of the refusal, or of a late reply
    prog: int | None  # asked for, where one question failed

    @property
    def wait_s(self) -> float:
        return (self.until - self.first) / SECOND


class Portmappers(NamedTuple):
    """Questions to portmappers."""

    failures: tuple[PortmapperFailure, ...]
    sending_pairs: frozenset[tuple[str, str]]  # (sender, receiver) of any frame
    talked: Stretches  # when portmappers sent replies other than refusals, by asker and host
    answered: Calls  # exchanges with such a reply
    speakers: frozenset[str]  # hosts that send RPC messages

    def is_alive(self, failure: PortmapperFailure) -> bool:
        """Whether the host sent anything to the asker."""
        return failure.how != "unanswered" or (failure.host, failure.asker) in self.sending_pairs

    def answered_soon(self, failure: PortmapperFailure, cured_s: float) -> bool:
        """Whether the portmapper answered this client soon after, over whatever transport."""
        later = self.talked.following((failure.asker, failure.host), failure.first)
        return later is not None and later <= max(failure.first + cured_s * SECOND, failure.last)


def answers_about(registrations: Registrations, programs: Sequence[int]) -> Registrations:
    """Answers of portmappers about these programs: a port, or 0 for not registered.

    UNSET is a change that a service makes, and no answer to a client.
    """
    named = registrations.valid("port") & registrations.valid("host") & ~registrations["source"].isin(("UNSET",))
    return registrations.where(isin(registrations["prog"], programs) & (registrations["state"] == "answered") & named)


@fact
def probes(registrations: Registrations, exchanges: Calls, counted_uses: Tallies) -> frozenset[tuple[str, str]]:
    """Pairs (asker, host) of a monitoring system or a scan that asks what is registered and uses nothing of it.

    It asks with AUTH_NONE, as rpcinfo does, for statd, for the lock manager and for more, or as seldom as SELDOM.
    mount.nfs asks for NFS and MOUNT, sm-notify for statd, a kernel for the lock manager, and they ask again within
    seconds; and a client of NFSv3 or of the lock manager, or a host with such a client there, is no probe.
    """
    answers = registrations["source"].isin(("DUMP", "SET", "UNSET"))
    questions = registrations.where(~registrations["loopback"] & ~answers)
    probing = {pair for pair, rows in Parts(questions, "asker", "host").items() if is_probe(rows) and None not in pair}
    if not probing:
        return frozenset()
    used = exchanges.where((exchanges["proc"] != NULL) & isin(exchanges["prog"], (Prog.NFS, Prog.MOUNT, Prog.NLM)))
    used = used.where((used["prog"] != Prog.NFS) | (used["vers"] < NFS4))
    sums = counted_uses.where((counted_uses["prog"] != Prog.NFS) | (counted_uses["vers"] < NFS4))
    clients = pairs_of(used) | pairs_of(sums)
    return frozenset(probing - clients - {(host, asker) for asker, host in clients})


def is_probe(questions: Registrations) -> bool:
    """Whether these questions of one host are those of a monitoring system or a scan."""
    if not (questions["flavor"] == AuthFlavor.AUTH_NONE).all():
        return False
    same = Parts(questions.where(questions.valid("time")), "prog", "vers", "netid").values()
    pauses = [np.diff(np.sort(rows["time"])) for rows in same if len(rows) > 1]
    seldom = bool(pauses) and all((pause >= SELDOM).all() for pause in pauses)
    return seldom or set(questions["prog"].tolist()) > {Prog.NSM, Prog.NLM}


def without_probes(answers: Registrations, probes: frozenset[tuple[str, str]]) -> Registrations:
    """The answers whose asker uses the service: those to probes are left out."""
    if not probes:
        return answers
    pairs = zip(answers["asker"].tolist(), answers["host"].tolist(), strict=True)
    return answers.where(np.array([pair not in probes for pair in pairs], dtype=np.bool_))


@fact
def portmappers(
    attempts: tuple[Attempt, ...],
    exchanges: Calls,
    copies: Copies,
    flows: Flows,
    registrations: Registrations,
    sending_pairs: frozenset[tuple[str, str]],
    lossy: bool,
    span: Span | None,
) -> Portmappers:
    """The failures and answers of portmappers."""
    calls = exchanges.where((exchanges["prog"] == Prog.PORTMAP) & exchanges.valid("server"))
    denied = calls.where(
        (calls["state"] == "answered") & (calls["rpc_status"] >= Rejected.AUTH_ERROR) & calls.valid("rpc_status")
    )
    answered = calls.where((calls["state"] == "answered") & ~isin(calls["exchange"], denied["exchange"]))
    timed = calls.where(calls.valid("time") & (calls["proc"] != CALLIT))
    at_port = flows.where(flows["server_port"] == Port.PORTMAP)
    spoke = at_port.where((at_port["s_bytes"] > 0) & ~isin(at_port["flow"], denied["flow"]))
    programs = dict(zip(registrations["exchange"].tolist(), registrations["prog"].tolist(), strict=True))
    failures = [
        *refused(attempts, sending_pairs),
        *datagrams(timed, copies, programs),
        *hanging(timed, at_port, programs, lossy, span),
        *denials(denied.where(denied.valid("time"))),
    ]
    with_rpc = flows.where(flows["rpc"])
    return Portmappers(
        failures=tuple(failure for failure in failures if not is_stray_notice(failure, sending_pairs)),
        sending_pairs=sending_pairs,
        talked=Stretches((spoke["client"], spoke["server"]), spoke["s_last"]),
        answered=answered,
        speakers=frozenset(with_rpc["client"].present()) | frozenset(with_rpc["server"].present()),
    )


def refused(attempts: tuple[Attempt, ...], sending_pairs: frozenset[tuple[str, str]]) -> Iterator[PortmapperFailure]:
    """Failures below RPC: SYNs or datagrams to port 111 without answer or refused."""
    for attempt in attempts:
        if attempt.port == Port.PORTMAP and (attempt.outcome != "unanswered" or attempt.ignored(sending_pairs)):
            yield PortmapperFailure(
                host=attempt.server,
                asker=attempt.client,
                how="unanswered" if attempt.outcome == "half-open" else attempt.outcome,
                transport=attempt.transport,
                loopback=attempt.loopback,
                tries=attempt.tries,
                first=attempt.first,
                last=attempt.last,
                until=attempt.last,
                frame=attempt.frames[0],
                proof=attempt.proof,
                prog=None,
            )


def datagrams(calls: Calls, copies: Copies, programs: Mapping[int, int | None]) -> Iterator[PortmapperFailure]:
    """Questions over UDP without a reply.

    A client without a reply repeats the question: one that is not repeated had a reply, which was not captured.
    """
    rows = calls.where((calls["transport"] == "udp") & (calls["state"] == "unanswered") & (calls["retransmits"] > 0))
    last = last_sent(rows, copies)
    for row in rows.rows():
        yield failure_of(row, "unanswered", last[row.exchange], last[row.exchange], programs.get(row.exchange))


def last_sent(rows: Calls, copies: Copies) -> Mapping[int, int]:
    """The time at which each of these calls was last sent or retransmitted."""
    again = copies.where(~copies["reply"] & isin(copies["exchange"], rows["exchange"]))
    found = dict(zip(rows["exchange"].tolist(), rows["time"].tolist(), strict=True))
    for exchange, time in zip(again["exchange"].tolist(), again["time"].tolist(), strict=True):
        found[exchange] = max(found[exchange], time)
    return found


def failure_of(row: Calls.Row, how: How, last: int, until: int, prog: int | None) -> PortmapperFailure:
    """One failed call as a PortmapperFailure."""
    return PortmapperFailure(
        host=row.server,
        asker=row.client,
        how=how,
        transport=row.transport,
        loopback=row.loopback,
        tries=1 + row.retransmits,
        first=row.time,
        last=last,
        until=until,
        frame=(row.capture, row.call_frame),
        proof=None,
        prog=prog,
    )


def hanging(
    calls: Calls, at_port: Flows, programs: Mapping[int, int | None], lossy: bool, span: Span | None
) -> Iterator[PortmapperFailure]:
    """Calls over TCP that reached the host and got no reply while they waited; how long is for the rule to judge.

    Where the capture lost packets, one that was not repeated had a reply, and so may the end of its connection be lost.
    """
    tcp = calls["transport"] == "tcp"
    silent = (calls["state"] == "unanswered") & (calls["flags"] & CALL_ACKED != 0)
    silent &= (calls["retransmits"] > 0) | (not lossy)
    again = np.maximum(at_port["c_retransmitted"], at_port["s_retransmitted"]) >= AGAIN
    late = (calls["latency_s"] >= LATE_S) & ~isin(calls["flow"], at_port["flow"][again])
    rows = calls.where(tcp & (silent | late))
    ends = {row.flow: row.last for row in at_port.where(isin(at_port["flow"], rows["flow"])).rows() if is_closed(row)}
    for row in rows.rows():
        until = row.reply_time or ends.get(row.flow) or (span.last if span else row.time)
        failure = failure_of(row, "hangs", row.time, until, programs.get(row.exchange))
        yield failure._replace(proof=reply_of(row))


def is_closed(flow: Flows.Row) -> bool:
    """Whether a FIN or a RST ended a connection."""
    return bool(flow.c_fin or flow.c_rst or flow.s_rst)


def denials(denied: Calls) -> Iterator[PortmapperFailure]:
    """MSG_DENIED, by host, asker and transport."""
    for rows in Parts(denied, "server", "client", "transport").values():
        head = rows.row(0)
        last = int(rows["time"].max())
        failure = failure_of(head, "denied", last, last, None)
        yield failure._replace(tries=rows.count, proof=reply_of(head))


def reply_of(row: Calls.Row) -> tuple[int, int] | None:
    return None if row.reply_frame is None else (row.reply_capture, row.reply_frame)


def is_stray_notice(failure: PortmapperFailure, sending_pairs: frozenset[tuple[str, str]]) -> bool:
    """Whether a failure is sm-notify's, towards a host that sends to others but never to this sender.

    A server with several addresses may send notices from one that its client does not use or cannot reach.
    """
    return failure.prog == Prog.NSM and (failure.host, failure.asker) not in sending_pairs
