"""How servers call waiting clients back, and which step of it fails.

A server that grants a lock to a waiting client asks the client's portmapper for its lockd, connects to the port that it
names, and sends GRANTED_MSG (or GRANTED). Every step can fail; the waiter then gets the lock only when it retries,
which Linux does every 30 s. Most often the client cannot be reached. But a server that calls a port which no portmapper
named, or calls from an address of another network than the client mounted, fails by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from nfsrpc.columns import NAT, isin
from nfsrpc.facts.attempts import Attempt
from nfsrpc.facts.basic import Roles, Span, fact
from nfsrpc.facts.networks import is_foreign
from nfsrpc.findings.finding import Evidence
from nfsrpc.protocols.numbers import GRANTS, AcceptStat, Prog
from nfsrpc.sessions.stretches import EARLIEST, Stretches
from nfsrpc.tables import Calls, Locks, Registrations
from nfsrpc.wording import SECOND, several

# A kernel whose connection is refused asks the portmapper again at once: 25 to 70 times per second were seen. A
# server that tries less often than this does not ask between its tries.
HAMMERING = 5
# Linux asks for a port again when the last answer is a minute old (nlm_bind_host), so a call without a question before
# it may come so long after the beginning of a capture.
REBIND_S = 65.0

# Whether the server looked the port up, or the client's lock manager answers at it; a lookup may lie before the
# capture, or outside of it.
Lookup: TypeAlias = Literal["seen", "unseen", "never"]


class CallbackFailure(NamedTuple):
    """A step of a server's callback to a client that did not work."""

    server: str
    client: str
    what: str
    first: int
    last: int
    tries: int
    evidence: tuple[Evidence, ...]
    port: int | None  # of the client's lockd, where that is what cannot be reached
    lookup: Lookup = "seen"  # of that port
    sure: bool = True  # that it was the lock manager that was to be reached
    caller: str | None = None  # the address that the server called from, of another network than the one mounted
    called: str | None = None  # the address that the server called, which is none from which the client locks

    @property
    def is_servers_own(self) -> bool:
        """Whether the server itself made it fail."""
        return self.lookup == "never" or self.caller is not None or self.called is not None


class LockdLookups:
    """Lookups of clients' lockd ports by servers, at the clients' portmappers."""

    def __init__(
        self,
        registrations: Registrations,
        nlm: Calls,
        span: Span | None,
        with_portmappers: frozenset[str],
        lossy: bool,
    ) -> None:
        """`lossy`: the capture lost packets, and with them perhaps the lookup of any port."""
        lookups = registrations.where((registrations["prog"] == Prog.NLM) & ~registrations["loopback"])
        self.rows, self.span, self.seen = lookups, span, with_portmappers
        self.pairs = set(zip(lookups["asker"].tolist(), lookups["host"].tolist(), strict=True))
        answered = lookups.where(lookups["state"] == "answered")
        named = answered.where(answered.valid("port") & (answered["port"] > 0))
        self.answers, self.ports = (
            Stretches((rows["asker"], rows["host"]), rows["reply_time"]) for rows in (answered, named)
        )
        served = delivered(nlm)
        self.known = set(zip(named["host"].tolist(), named["port"].tolist(), strict=True))
        self.none_seen: Lookup = "unseen" if lossy else "never"
        self.known |= set(zip(served["server"].tolist(), served["server_port"].tolist(), strict=True))

    def of_attempt(self, attempt: Attempt) -> Lookup:
        """Whether the server looked up the port that it could not connect to."""
        ends = attempt.client, attempt.server
        if attempt.registered:
            return "seen"
        if ends in self.pairs or attempt.outcome != "refused":
            return self.of_port(*ends, attempt.port, attempt.first)
        asks_between = attempt.tries >= HAMMERING * max(1.0, attempt.seconds)
        return "unseen" if asks_between and self.seen.isdisjoint(ends) else self.none_seen

    def of_port(self, server: str, client: str, port: int, time: int) -> Lookup:
        """Whether the server looked up a silent port before it called it."""
        if (client, port) in self.known:
            return "seen"
        if (server, client) in self.pairs:
            return self.none_seen if self.ports.meet((server, client), EARLIEST, time) else "unseen"
        captured = bool(self.seen & {server, client})
        late = self.span is not None and time - self.span.first > REBIND_S * SECOND
        return self.none_seen if captured and late else "unseen"


@fact
def failed_callbacks(
    nlm: Calls,
    locks: Locks,
    registrations: Registrations,
    attempts: tuple[Attempt, ...],
    sending_pairs: frozenset[tuple[str, str]],
    roles: Roles,
    lossy: bool,
    span: Span | None,
    with_portmappers: frozenset[str],
) -> tuple[CallbackFailure, ...]:
    """Failed callback steps in order of time, without those that succeeded later at the same port."""
    questions = LockdLookups(registrations, nlm, span, with_portmappers, lossy)
    found = [
        *unanswered(nlm, roles, questions, lossy),
        *misdirected(locks, roles),
        *not_registered(questions, roles, lossy),
        *not_connected(attempts, sending_pairs, roles, questions),
    ]
    grants = delivered(nlm)
    reached = Stretches((grants["client"], grants["server"], grants["server_port"]), grants["time"])
    lasting = (failure for failure in found if not was_reached(failure, reached))
    return tuple(sorted(lasting, key=lambda failure: failure.first))


def delivered(nlm: Calls) -> Calls:
    """Grants that reached a client's lock manager: it answered them, and not by an RPC error."""
    return nlm.where(
        isin(nlm["proc"], GRANTS) & (nlm["state"] == "answered") & (nlm["rpc_status"] == AcceptStat.SUCCESS)
    )


def was_reached(failure: CallbackFailure, reached: Stretches) -> bool:
    """Whether a later grant arrived at the same port, so that it was not closed: the host or network was away."""
    return reached.following((failure.server, failure.client, failure.port), failure.first) is not None


def unanswered(nlm: Calls, roles: Roles, questions: LockdLookups, lossy: bool) -> Iterator[CallbackFailure]:
    """Grants without reply, or answered by an RPC error: what listens there is no lock manager."""
    grants = nlm.where(isin(nlm["proc"], GRANTS) & nlm.valid("time"))
    silent = (grants["state"] == "unanswered") & ((grants["retransmits"] > 0) | (not lossy))
    refused = (
        (grants["state"] == "answered") & grants.valid("rpc_status") & (grants["rpc_status"] != AcceptStat.SUCCESS)
    )
    for row in grants.where(silent | refused).rows():
        server = roles.calling(row.client, row.server) or row.client
        is_silent = row.state == "unanswered"
        text = "is not answered" if is_silent else "is answered by an RPC error"
        lookup = questions.of_port(row.client, row.server, row.server_port, row.time)
        note = f"{row.procedure} from {row.client} to {row.server} port {row.server_port} {text}"
        yield CallbackFailure(
            server=server,
            client=row.server,
            what=f"GRANTED {text}",
            first=row.time,
            last=row.time,
            tries=1 + row.retransmits,
            evidence=(Evidence(row.capture, row.call_frame, note),),
            port=row.server_port,
            lookup=lookup,
            sure=lookup == "seen",
            caller=foreign_caller(server, row.client) if is_silent else None,
        )


def foreign_caller(server: str, caller: str) -> str | None:
    """The address that a server calls from, if its network is not that of the address that clients mount."""
    return caller if is_foreign(server, caller) else None


def misdirected(locks: Locks, roles: Roles) -> Iterator[CallbackFailure]:
    """Grants that are repeated to an address that never asked for a lock, while a client waits for that very lock."""
    called = locks.where(locks.valid("callback") & ~locks.valid("requested") & (locks["callbacks"] > 1))
    called = called.where(called["callback_state"] != "answered")
    if not len(called):
        return
    blocked = locks.where(locks.valid("blocked"))
    columns = (blocked[name].tolist() for name in ("server", "fh", "oh", "client"))
    waiting = {(server, fh, oh): client for server, fh, oh, client in zip(*columns, strict=True)}
    for row in called.rows():
        client = waiting.get((row.server, row.fh, row.oh))
        if client is None or (row.client, row.server) in roles.lock_pairs:
            continue
        at = row.callback or 0
        proof = (Evidence.of(row.callback_capture, row.callback_frame, f"GRANTED to {row.client} is not answered"),)
        text = f"GRANTED is sent to {row.client} and not answered"
        yield CallbackFailure(row.server, client, text, at, at, row.callbacks, proof, None, called=row.client)


def not_registered(questions: LockdLookups, roles: Roles, lossy: bool) -> Iterator[CallbackFailure]:
    """Failures at the client's portmapper: no lock manager registered there, or no answer."""
    for row in questions.rows.rows():
        server = roles.calling(row.asker, row.host)
        if server is None or row.time is None:
            continue
        ends = (server, row.host)
        if row.state == "unanswered" and (row.resends or not lossy):
            if questions.answers.following((row.asker, row.host), row.time) is not None:
                continue
            proof = (Evidence(row.capture, row.frame, f"{row.asker} asks {row.host} for 100021, no answer"),)
            text = "its portmapper does not answer"
            caller = foreign_caller(server, row.asker)
            yield CallbackFailure(*ends, text, row.time, row.time, 1 + row.resends, proof, None, caller=caller)
        elif row.port == 0 and row.state == "answered":
            proof = (Evidence.of(row.reply_capture, row.reply_frame, f"lockd is not registered on {row.host}"),)
            yield CallbackFailure(*ends, "its lockd is not registered", row.time, row.time, 1, proof, None)


def not_connected(
    attempts: tuple[Attempt, ...], sending_pairs: frozenset[tuple[str, str]], roles: Roles, questions: LockdLookups
) -> Iterator[CallbackFailure]:
    """SYNs to the client's lockd, or to its portmapper, that were dropped or refused.

    A port whose program the capture does not show is most likely lockd's: a server has nothing else to ask a client.
    A caller with another address may be any host, unless the port is lockd's.
    """
    for attempt in attempts:
        server = roles.calling(attempt.client, attempt.server)
        programs = (Prog.NLM, Prog.PORTMAP, None) if server == attempt.client else (Prog.NLM,)
        if server is None or attempt.prog not in programs:
            continue
        if attempt.first == NAT or (attempt.outcome == "unanswered" and not is_ignored(attempt, sending_pairs)):
            continue
        if attempt.prog == Prog.PORTMAP and attempt.succeeded is not None:
            continue
        yield of_attempt(server, attempt, questions)


WAYS = {"unanswered": "SYNs are dropped", "refused": "connections are refused", "unreachable": "it is unreachable"}


def of_attempt(server: str, attempt: Attempt, questions: LockdLookups) -> CallbackFailure:
    """A failed connection attempt of a server as a failure of its callback."""
    to_lockd = attempt.prog != Prog.PORTMAP
    lookup = questions.of_attempt(attempt) if to_lockd else "seen"
    proof = [Evidence(*frame, f"SYN to {attempt.server} port {attempt.port}") for frame in attempt.frames]
    if attempt.proof:
        proof.append(Evidence(*attempt.proof, "refused"))
    return CallbackFailure(
        server=server,
        client=attempt.server,
        what=f"{WAYS[attempt.outcome]}, port {attempt.port}, {several(attempt.tries, 'try', 'tries')}",
        first=attempt.first,
        last=attempt.succeeded or attempt.last,
        tries=attempt.tries,
        evidence=tuple(proof),
        port=attempt.port if to_lockd else None,
        lookup=lookup,
        sure=attempt.prog is not None and lookup == "seen",
        caller=foreign_caller(server, attempt.client) if attempt.outcome == "unanswered" else None,
    )


def is_ignored(attempt: Attempt, sending_pairs: frozenset[tuple[str, str]]) -> bool:
    """Whether the client left repeated SYNs without answer for a second or longer."""
    return attempt.ignored(sending_pairs) and attempt.tries >= 2 and attempt.seconds >= 1.0
