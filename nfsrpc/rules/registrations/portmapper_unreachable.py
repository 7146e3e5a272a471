"""A portmapper does not answer: it cannot be reached, hangs, or denies access.

Sees
    Port 111 of a host: SYNs or UDP calls without an answer, RST, or ICMP unreachable, repeated (Linux: every 5 s); a
    call over TCP that the host acknowledges and the portmapper never answers; or MSG_DENIED, by rpcbind's access
    control. No call is answered soon after. Or port 111 is refused, or hangs, over the loopback of a server that then
    denies a lock: its lockd could not find its statd.

Why it matters
    Clients cannot look up the ports of mountd, lockd and statd there: mounts fail, lock requests are not sent, and a
    server cannot call its waiting client back, nor send the result of an asynchronous request (LOCK_MSG).

Not flagged when
    The portmapper answers this client soon after, over whatever transport. The host boots. The capture lacks the other
    direction, and no SYN is repeated. The host that asks sends no RPC message at all: then it may be a port scan. A
    reboot notice is sent from an address to which that host never sends (MON004). Where the capture ends sooner
    after the first try than `cured_s`, and one whose clock cannot be compared shows the same hosts (CAP007), it is
    likely.

How to confirm
    rpcinfo -p HOST, from the host that asks.

How to fix
    Start rpcbind, or restart it where it hangs; open port 111, TCP and UDP, between these hosts; allow the client in
    /etc/hosts.allow where rpcbind uses TCP wrappers.

References
    RFC 1833; RFC 5531 section 9; Linux net/sunrpc/rpcb_clnt.c; hosts_access(5).

Parameters
    tries: so many failed tries
    during_s: over at least this time
    hang_s: a call over TCP that waits so long without a reply is enough by itself
    cured_s: an answer within this time outweighs the failures
    boot_s: a reboot notice within this time of the tries explains them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nfsrpc.columns import number_of
from nfsrpc.facts.basic import Span, booting, listed
from nfsrpc.facts.dependent_locks import DependentLocks
from nfsrpc.facts.portmappers import PortmapperFailure, Portmappers
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.findings.advice import RESTART_PORTMAPPER, START_PORTMAPPER, bare
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import DENIED
from nfsrpc.tables import Calls
from nfsrpc.wording import SECOND, duration, named, several

RULE = Rule(
    "REG005",
    "portmapper-unreachable",
    "error",
    explains=(*DENIED, "LCK008", "REG003", "MON004", "RPC002", "RPC005", "NET001", "NET002"),
    log=("lockd-silent", "nfs-silent"),
    judges="answers of portmappers",
    passes="portmappers answer",
)

HOW = {
    "unanswered": "{transport} calls are not answered",
    "refused": "{transport} is refused",
    "unreachable": "ICMP reports {transport} as unreachable",
    "hangs": "calls are acknowledged by TCP and not answered",
    "hung": "calls were acknowledged by TCP and answered only when they had waited for long",
    "denied": "calls are denied (MSG_DENIED)",
}
OUTCOME = {
    False: "The ports of lockd, statd and mountd there cannot be looked up, and requests to them are not sent.",
    True: "Until then the ports of lockd, statd and mountd there could not be looked up, and requests waited.",
}
PROOF = {"denied": "denied", "hangs": "the answer"}  # others are refused
MAX_EVIDENCE = 3  # failures that are evidence
# After which lockd denies a lock: its portmapper refuses; or does not reply until the RPC times out, after 60 s.
STOPPED_S, GAVE_UP_S = 5.0, 55.0


def check(
    portmappers: Portmappers,
    dependent_locks: DependentLocks,
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
    *,
    tries: int = 2,
    during_s: float = 3.0,
    hang_s: float = 10.0,
    cured_s: float = 30.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    failures = [failure for failure in portmappers.failures if not portmappers.answered_soon(failure, cured_s)]
    for host, mine in sorted(listed((failure.host, failure) for failure in failures).items()):
        of_clients = [failure for failure in mine if failure.asker in portmappers.speakers]
        outage = Outage(host, of_clients or mine, dependent_locks.denied(host, mine))
        if booting(boots, host, outage.first, outage.last, boot_s):
            continue
        if not (outage.persists(tries, during_s) or outage.hangs(hang_s) or len(outage.denied)):
            continue
        if of_clients:
            is_open = span is None or outage.answer_until(cured_s) > span.last
            yield finding(outage, any(map(portmappers.is_alive, outage.failures)), dependent_locks, is_open)
        else:
            yield RULE.cannot_tell(
                f"{named(outage.askers)} tried port 111 of {host} and sent no RPC message: it may be a port scan"
            )


class Outage(NamedTuple):
    """The failures of one portmapper."""

    host: str
    failures: Sequence[PortmapperFailure]
    denied: Calls  # locks that the host denied, because it could not ask its own portmapper

    @property
    def askers(self) -> list[str]:
        return sorted({failure.asker for failure in self.failures})

    @property
    def first(self) -> int:
        return min(failure.first for failure in self.failures)

    @property
    def last(self) -> int:
        return max(failure.until for failure in self.failures)

    @property
    def tries(self) -> int:
        return sum(failure.tries for failure in self.failures)

    def persists(self, tries: int, during_s: float) -> bool:
        """Whether the portmapper was tried often enough, for long enough."""
        failures = [failure for failure in self.failures if failure.how != "hangs"]
        if sum(failure.tries for failure in failures) < tries:
            return False
        first, last = min(failure.first for failure in failures), max(failure.last for failure in failures)
        return last - first >= during_s * SECOND

    def answer_until(self, cured_s: float) -> float:
        """When an answer to the first failed call would no longer be soon."""
        return min(max(failure.first + cured_s * SECOND, failure.last) for failure in self.failures)

    def hangs(self, hang_s: float) -> bool:
        return any(failure.how == "hangs" and failure.wait_s >= hang_s for failure in self.failures)


def finding(outage: Outage, alive: bool, locks: DependentLocks, is_open: bool) -> Finding:
    """The finding on one portmapper; `alive`: its host sent anything to those that asked.

    `is_open`: an answer that comes soon might come after the end of the capture.
    """
    host, failures, askers = outage.host, outage.failures, outage.askers
    waiting = locks.without_result(host, askers, outage.first - SECOND, outage.last)
    own = {host} if len(outage.denied) else set()
    clients = {*locks.clients(host, askers), *outage.denied["client"].present(), *(row.client for row in waiting)}
    kinds = sorted({HOW[how_of(failure)].format(transport=failure.transport.upper()) for failure in failures})
    return RULE.finding(
        certainty="certain" if alive else "likely",
        says_never=is_open,
        host=host,
        title=title(outage),
        explanation=(
            f"{named(askers)} called port 111 of {host} {several(outage.tries, 'time')}: {'; '.join(kinds)}. "
            + OUTCOME[all(how_of(failure) == "hung" for failure in failures)]
            + (f" {several(number_of(waiting), 'LOCK_MSG')} of {host} got no result meanwhile." if len(waiting) else "")
            + ("" if alive else f" {host} sent nothing to {named(askers)} in this capture: it may be down.")
        ),
        clients=tuple(sorted(clients - own)),
        count=outage.tries,
        first=outage.first,
        last=outage.last,
        evidence=(
            *evidence(failures),
            *(Evidence(row.capture, row.call_frame, f"{row.client}: LOCK_MSG, no LOCK_RES") for row in waiting[:1]),
        ),
        remedy=tuple(remedy(outage)),
        verify=(command("rpcinfo -p {host}", on="{asker}", host=bare(host), asker=askers[0]),),
        wait_s=(outage.last - outage.first) / SECOND,
    )


def how_of(failure: PortmapperFailure) -> str:
    """How a portmapper failed; one that hung has answered since."""
    return "hung" if failure.how == "hangs" and failure.proof else failure.how


def title(outage: Outage) -> str:
    kinds = {how_of(failure) for failure in outage.failures}
    if kinds == {"denied"}:
        return f"the portmapper of {outage.host} denies access"
    for how in ("hangs", "hung"):
        if how in kinds:
            return f"the portmapper of {outage.host} {how}"
    return f"the portmapper of {outage.host} cannot be reached"


def evidence(failures: Sequence[PortmapperFailure]) -> Iterator[Evidence]:
    for failure in failures[:MAX_EVIDENCE]:
        yield Evidence(*failure.frame, f"{failure.asker} calls port 111 over {failure.transport}")
        if failure.proof:
            yield Evidence(*failure.proof, PROOF.get(failure.how, "refused"))


def remedy(outage: Outage) -> Iterator[Command]:
    """The remedy, by the way in which the portmapper failed."""
    kinds, others = {failure.how for failure in outage.failures}, [who for who in outage.askers if who != outage.host]
    if "hangs" in kinds:
        yield from RESTART_PORTMAPPER
    elif kinds != {"denied"}:
        yield from START_PORTMAPPER
    if "denied" in kinds:
        yield command("grep -n rpcbind /etc/hosts.allow /etc/hosts.deny", note="allow the clients to use rpcbind")
    elif others and "hangs" not in kinds:
        yield remark("Open port 111, TCP and UDP, from {askers} to {host}.", askers=named(others), host=outage.host)


def suspected(signs: Signs) -> Suspicion | None:
    denied = signs.denied_s
    if denied is None or STOPPED_S <= denied < GAVE_UP_S:
        return None
    state = "is stopped" if denied < STOPPED_S else "hangs"
    return Suspicion(f"DENIED_NOLOCKS after {duration(denied)}: lockd does so when its own portmapper {state}", "", 2)
