"""How servers call waiting clients back, and what becomes of it.

A server that grants a lock to a waiting client looks the client's lockd up with the client's portmapper, connects to it
and sends GRANTED_MSG (or GRANTED). Every step can fail; the waiter then gets the lock only by asking again, which Linux
does every 30 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfsrpc.columns import NAT, isin
from nfsrpc.facts.attempts import Attempt
from nfsrpc.facts.basic import Roles, fact
from nfsrpc.findings.finding import Evidence
from nfsrpc.protocols.numbers import GRANTS, Prog
from nfsrpc.tables import Calls, Registrations
from nfsrpc.wording import several


class Failure(NamedTuple):
    """A step of a server's callback to a client that did not work."""

    server: str
    client: str
    what: str
    first: int
    last: int
    tries: int
    evidence: tuple[Evidence, ...]
    port: int | None  # of the client's lockd, where that is what cannot be reached
    sure: bool = True  # that it was the lock manager that was to be reached


@fact
def failed_callbacks(
    nlm: Calls,
    registrations: Registrations,
    attempts: tuple[Attempt, ...],
    heard: frozenset[tuple[str, str]],
    roles: Roles,
    lossy: bool,
) -> tuple[Failure, ...]:
    """What servers tried in vain towards their clients, in order."""
    found = [
        *unanswered(nlm, lossy),
        *not_registered(registrations, roles, lossy),
        *not_connected(attempts, heard, roles),
    ]
    return tuple(sorted(found, key=lambda failure: failure.first))


def unanswered(nlm: Calls, lossy: bool) -> Iterator[Failure]:
    silent = (nlm["state"] == "unanswered") & ((nlm["retransmits"] > 0) | (not lossy))
    rows = nlm.where(isin(nlm["proc"], GRANTS) & silent)
    for row in rows.rows():
        note = f"{row.procedure} to {row.client if row.client == row.server else row.server}, never answered"
        proof = (Evidence(row.capture, row.call_frame, note),)
        tries = 1 + row.retransmits
        yield Failure(row.client, row.server, "is not answered", row.time, row.time, tries, proof, row.server_port)


def not_registered(registrations: Registrations, roles: Roles, lossy: bool) -> Iterator[Failure]:
    """The client's portmapper knows no lock manager, or does not answer."""
    asked = registrations.where((registrations["prog"] == Prog.NLM) & ~registrations["loopback"])
    for row in asked.rows():
        server = roles.calling(row.asker, row.host)
        if server is None or row.time is None:
            continue
        if row.state == "unanswered" and (row.resends or not lossy):
            proof = (Evidence(row.capture, row.frame, f"{row.asker} asks {row.host} for 100021, no answer"),)
            yield Failure(server, row.host, "its portmapper is silent", row.time, row.time, 1, proof, None)
        elif row.port == 0 and row.state == "answered":
            proof = (Evidence.of(row.reply_capture, row.reply_frame, f"lockd is not registered on {row.host}"),)
            yield Failure(server, row.host, "its lockd is not registered", row.time, row.time, 1, proof, None)


def not_connected(attempts: tuple[Attempt, ...], heard: frozenset[tuple[str, str]], roles: Roles) -> Iterator[Failure]:
    """SYNs to the client's lockd, or to its portmapper, that were dropped or refused.

    A port whose program the capture does not tell is most likely lockd's: a server has nothing else to ask a client.
    Who calls from another address may be anybody, unless it is lockd's port.
    """
    for attempt in attempts:
        server = roles.calling(attempt.client, attempt.server)
        asked = (Prog.NLM, Prog.PORTMAP, None) if server == attempt.client else (Prog.NLM,)
        if server is None or attempt.prog not in asked:
            continue
        if attempt.first == NAT or (attempt.outcome == "unanswered" and not is_ignored(attempt, heard)):
            continue
        what = {"unanswered": "SYNs are dropped", "refused": "connections are refused"}.get(
            attempt.outcome, "the host is unreachable"
        )
        proof = [Evidence(*frame, f"SYN to {attempt.server} port {attempt.port}") for frame in attempt.frames]
        if attempt.proof:
            proof.append(Evidence(*attempt.proof, "refused"))
        last = attempt.succeeded or attempt.last
        port = None if attempt.prog == Prog.PORTMAP else attempt.port
        text = f"{what}, port {attempt.port}, {several(attempt.tries, 'try', 'tries')}"
        ends = server, attempt.server
        sure = attempt.prog is not None
        yield Failure(*ends, text, attempt.first, last, attempt.tries, tuple(proof), port, sure)


def is_ignored(attempt: Attempt, heard: frozenset[tuple[str, str]]) -> bool:
    return attempt.ignored(heard) and attempt.tries >= 2 and attempt.seconds >= 1.0
