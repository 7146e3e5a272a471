"""The lines that kernels write about what the capture shows: which to expect, on which host, when.

    lockd: server X not responding, still trying   of a client: a request has waited for the major timeout, a minute
    lockd: server X OK                             of it: the answer has come
    lockd: server Y not responding, timed out      of a server: a waiting client could not be called back
    lockd: cannot monitor Z                        of either: its own statd cannot be reached, or refuses
    statd: server rpc.statd not responding, …      of either: its own statd has not answered for a minute

A log names hosts as they were mounted, or as they call themselves: for X stands the address that the capture shows.
Each line belongs to rules that find what it is about.

References: Linux net/sunrpc/clnt.c (call_timeout), fs/lockd/mon.c (nsm_monitor).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice, product

import numpy as np

from nfsrpc.columns import NAT, Array, isin
from nfsrpc.decode import rows_of
from nfsrpc.diagnosis.catalogue import accounting_for
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Finding, LogKind, LogLine
from nfsrpc.protocols.numbers import GRANTS, Nlm4Stats, NlmProc, Prog
from nfsrpc.sessions.timers import MAJOR_TIMEOUT_S
from nfsrpc.tables import Calls, Copies
from nfsrpc.wording import SECOND

DENIALS = 100  # more have no line of their own
RESENT_S = (50.0, 75.0)  # the major timeout, as a resend shows it
STATD_SILENT = "statd: server rpc.statd not responding, timed out"


def expected(findings: Sequence[Finding], inputs: Inputs) -> tuple[LogLine, ...]:
    """The lines about these findings, in order, each once."""
    grave = [finding for finding in findings if finding.severity != "info"]
    if not grave:
        return ()
    concerned = {(finding.rule, host) for finding in grave for host in finding.parties}

    @cache
    def is_expected(rules: tuple[str, ...], host: str, about: str) -> bool:
        return not concerned.isdisjoint(product(rules, (host, about)))

    lines = {one for source in SOURCES for one in source(grave, inputs)}
    return tuple(sorted(one for one in lines if is_expected(one.rules, one.host, one.about)))


def line(kind: LogKind, time: int, host: str, about: str, text: str) -> LogLine:
    return LogLine(time, host, about, text, accounting_for(kind))


def late_answers(findings: Iterable[Finding], inputs: Inputs) -> Iterator[LogLine]:
    """The lines of clients whose lock requests waited for a minute, logged at the retransmission."""
    requests = inputs.requests
    span = inputs.span
    if span is None:
        return
    ended = np.where(requests["reply_time"] == NAT, span.last, requests["reply_time"])
    overdue = requests.valid("time") & (ended - requests["time"] >= RESENT_S[0] * SECOND)
    overdue &= (requests["state"] == "answered") | (requests["state"] == "unanswered")
    rows = requests.where(overdue)
    complained = complaints(rows, inputs.copies)
    early = np.flatnonzero(complained < ended[overdue])
    columns = (rows.take(early).values(name) for name in ("reply_time", "client", "server"))
    for time, replied, client, server in zip(complained[early].tolist(), *columns, strict=True):
        yield not_responding(time, client, server)
        if replied is not None:
            yield line("lockd-silent", replied, client, server, f"lockd: server {server} OK")


def complaints(rows: Calls, copies: Copies) -> Array:
    """When the clients' kernels log: at the retransmission after the major timeout."""
    waits = copies["after_s"]
    with np.errstate(invalid="ignore"):
        about = ~copies["reply"] & (waits >= RESENT_S[0]) & (waits <= RESENT_S[1])
    resent = copies.where(about)
    number = rows_of(resent["exchange"][::-1], rows["exchange"])  # of several the first one
    after_s = np.append(resent["after_s"][::-1], MAJOR_TIMEOUT_S)[number]
    complained: Array = (rows["time"] + after_s * SECOND).astype(np.int64)
    return complained


def not_responding(time: int, client: str, server: str) -> LogLine:
    return line("lockd-silent", time, client, server, f"lockd: server {server} not responding, still trying")


def never_sent(findings: Iterable[Finding], inputs: Inputs) -> Iterator[LogLine]:
    """The lines of clients that could not send a lock request, since they looked for the server's port for a minute."""
    trying = clients_trying(inputs)
    hung = [
        finding for finding in findings if finding.rule in accounting_for("never-sent") or tries_lockd(finding, trying)
    ]
    for finding in hung:
        host = finding.table_host
        if host is not None and finding.first is not None and finding.last is not None:
            complained = finding.first + round(MAJOR_TIMEOUT_S * SECOND)
            for client in finding.clients if complained <= finding.last else ():
                yield not_responding(complained, client, host)


def clients_trying(inputs: Inputs) -> set[tuple[str, str]]:
    """Pairs of a server whose lockd could not be reached and a client that tried, and is not its server itself."""
    pairs = inputs.roles.pairs
    tried = ((attempt.server, attempt.client) for attempt in inputs.attempts if attempt.prog == Prog.NLM)
    return {ends for ends in tried if ends not in pairs}


def tries_lockd(finding: Finding, trying: set[tuple[str, str]]) -> bool:
    if finding.rule not in accounting_for("port-unreachable"):
        return False
    return any((finding.table_host, client) in trying for client in finding.clients)


def callbacks(findings: Iterable[Finding], inputs: Inputs) -> Iterator[LogLine]:
    """The lines of servers whose grant callback was not answered within a minute."""
    tries: list[tuple[int, int, str, str]] = [
        (attempt.first, attempt.last, attempt.server, attempt.client)
        for attempt in inputs.attempts
        if attempt.prog == Prog.NLM and (attempt.server, attempt.client) in inputs.roles.pairs
    ]
    nlm = inputs.nlm
    silent = nlm.where(isin(nlm["proc"], GRANTS) & (nlm["state"] == "unanswered"))
    span = inputs.span
    if span is not None:
        tries += [(row.time, span.last, row.server, row.client) for row in silent.where(silent.valid("time")).rows()]
    for first, last, client, server in tries:
        complained = first + round(MAJOR_TIMEOUT_S * SECOND)
        if complained <= last:
            text = f"lockd: server {client} not responding, timed out"
            yield line("callback-silent", complained, server, client, text)


def cannot_monitor(findings: Iterable[Finding], inputs: Inputs) -> Iterator[LogLine]:
    """The lines of hosts that deny a lock because their statd cannot monitor the peer."""
    requests = inputs.requests
    denied = requests.where((requests["proc"] == NlmProc.LOCK) & (requests["status"] == Nlm4Stats.DENIED_NOLOCKS))
    for row in islice(denied.where(denied.valid("reply_time")).rows(), DENIALS):
        yield LogLine(
            row.reply_time or 0,
            row.server,
            row.client,
            f"lockd: cannot monitor {row.client}",
            accounting_for("unmonitored"),
        )
    yield from islice(unmonitored(inputs), DENIALS)


def unmonitored(inputs: Inputs) -> Iterator[LogLine]:
    """The lines of clients whose own statd refuses connections."""
    for attempt in inputs.attempts:
        if attempt.loopback and attempt.outcome == "refused" and attempt.prog == Prog.NSM:
            for server in inputs.roles.servers_of.get(attempt.server, ()):
                text = f"lockd: cannot monitor {server}"
                yield line("statd-refused", attempt.first, attempt.server, server, text)


def statd_silent(findings: Iterable[Finding], inputs: Inputs) -> Iterator[LogLine]:
    """The lines of hosts whose statd did not answer SM_MON for a minute, or that denied a LOCK after as long."""
    span, monitors = inputs.span, inputs.monitors
    asked = monitors.where((monitors["procedure"] == "MON") & monitors["loopback"] & monitors.valid("time"))
    for row in islice(asked.rows(), DENIALS):
        if (row.reply_time or (span.last if span else row.time)) - row.time >= RESENT_S[
            0
        ] * SECOND and row.host is not None:
            gave_up = row.time + round(MAJOR_TIMEOUT_S * SECOND)
            yield line("statd-silent", gave_up, row.host, row.host, STATD_SILENT)
            ends, roles = (row.host, row.peer), inputs.roles
            if row.peer is not None and (ends in roles.pairs or ends in roles.mounting):
                yield LogLine(
                    gave_up, row.host, row.peer, f"lockd: cannot monitor {row.peer}", accounting_for("statd-silent")
                )
    requests = inputs.requests
    denied = requests.where((requests["status"] == Nlm4Stats.DENIED_NOLOCKS) & requests.valid("reply_time"))
    for lock in islice(denied.rows(), DENIALS):
        if (lock.latency_s or 0.0) >= RESENT_S[0] and lock.server not in inputs.loopbacks:
            yield line("statd-silent-denied", lock.reply_time or 0, lock.server, lock.client, STATD_SILENT)


SOURCES = (late_answers, never_sent, callbacks, cannot_monitor, statd_silent)
