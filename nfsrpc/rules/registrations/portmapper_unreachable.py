"""A portmapper cannot be reached.

Sees
    Port 111 of a host: SYNs that nobody answers, RST, ICMP unreachable, or questions over UDP that stay without answer,
    again and again (Linux: every 5 s), and no question answered soon after. Or it is refused over the loopback of a
    server that then denies a lock: its lockd could not find its statd.

Why it hurts
    Nobody finds the ports of mountd, lockd and statd there: mounts fail, lock requests are never sent, and a server
    cannot call its waiting client back.

Not flagged when
    The portmapper answers this client soon after, over whatever transport. The host boots. The capture does not hold
    the other direction, and no SYN is sent again.

How to confirm
    rpcinfo -p HOST, from the host that asks.

How to fix
    Start rpcbind; open port 111, TCP and UDP, between these hosts.

References
    RFC 1833; Linux net/sunrpc/rpcb_clnt.c.

Parameters
    tries: so many tries in vain
    during_s: over so long
    cured_s: an answer so soon makes up for them
    boot_s: a notice of reboot within this of the tries explains them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nfsrpc.columns import Table, isin
from nfsrpc.facts.attempts import Attempt
from nfsrpc.facts.basic import PORTMAP, booting, listed
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import DENIED_NOLOCKS
from nfsrpc.findings.advice import START_PORTMAPPER, bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND, named, seconds, several

RULE = Rule(
    "REG005",
    "portmapper-unreachable",
    "error",
    explains=(*DENIED, "REG003", "MON004", "RPC005", "NET001", "NET002"),
    log=("lockd-silent", "nfs-silent"),
)

PORT = 111
SAYS = {
    "unanswered": "gets no answer",
    "refused": "is refused",
    "unreachable": "is told by ICMP that it cannot be reached",
}


def check(
    attempts: tuple[Attempt, ...],
    connections: Table,
    exchanges: Table,
    copies: Table,
    heard: frozenset[tuple[str, str]],
    boots: Mapping[str, tuple[int, ...]],
    stalled: Parts,
    *,
    tries: int = 2,
    during_s: float = 3.0,
    cured_s: float = 30.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    asked = exchanges.where((exchanges["prog"] == PORTMAP) & exchanges.valid("server"))
    answered = asked.where(asked["state"] == "answered")
    rows = connections.where((connections["server_port"] == PORT) & (connections["s_bytes"] > 0))
    talked = Stretches((rows["client"], rows["server"]), rows["s_last"])
    tried = [*refused(attempts, heard), *datagrams(asked, copies)]
    failures = [failure for failure in tried if not answered_soon(failure, talked, cured_s)]
    accused = False
    for host, mine in sorted(listed((failure.server, failure) for failure in failures).items()):
        first, last = min(failure.first for failure in mine), max(failure.last for failure in mine)
        denied = denied_then(stalled[host], mine)
        enough = sum(failure.tries for failure in mine) >= tries and last - first >= during_s * SECOND
        if (enough or len(denied)) and not booting(boots, host, first, last, boot_s):
            accused = True
            alive = any(failure.outcome != "unanswered" or (host, failure.client) in heard for failure in mine)
            yield finding(host, mine, first, last, alive, denied)
    if not accused and len(answered):
        row = answered.row(0)
        yield RULE.clear(f"portmappers answer: {row.server} did in frame {row.reply_frame}")
    elif not accused:
        yield RULE.cannot_tell("no portmapper was asked in the capture")


def answered_soon(failure: Attempt, talked: Stretches, cured_s: float) -> bool:
    """Whether the portmapper spoke with this client soon after, over whatever transport."""
    later = talked.following((failure.client, failure.server), failure.first)
    return later is not None and later <= max(failure.first + cured_s * SECOND, failure.last)


def denied_then(stalls: Table, failures: list[Attempt]) -> Table:
    """Locks that the host denied just after it was refused by its own portmapper."""
    denied = stalls.where(stalls["status"] == DENIED_NOLOCKS)
    # By another clock, where another capture shows it.
    own = [failure for failure in failures if failure.loopback and failure.outcome == "refused"]
    refused = Stretches.of((PORT, failure.first - SECOND, failure.last + SECOND) for failure in own)
    times = zip(denied["time"].tolist(), denied["reply_time"].tolist(), strict=True)
    meanwhile = (refused.meet(PORT, time, reply) for time, reply in times)
    return denied.where(np.fromiter(meanwhile, dtype=np.bool_, count=len(denied)))


def refused(attempts: tuple[Attempt, ...], heard: frozenset[tuple[str, str]]) -> Iterator[Attempt]:
    for attempt in attempts:
        if attempt.port == PORT and (attempt.outcome != "unanswered" or attempt.ignored(heard)):
            yield attempt


def datagrams(asked: Table, copies: Table) -> Iterator[Attempt]:
    """Questions over UDP that stayed without answer, in the shape of attempts to connect.

    Who gets no answer asks again: a question that nobody repeats had one, which was not captured.
    """
    rows = asked.where((asked["transport"] == "udp") & (asked["state"] == "unanswered") & (asked["retransmits"] > 0))
    again = Parts(copies.where(~copies["reply"] & isin(copies["exchange"], rows["exchange"])), "exchange")
    for row in rows.rows():
        yield Attempt(
            client=row.client,
            server=row.server,
            port=PORT,
            transport="udp",
            program="portmap",
            prog=PORTMAP,
            registered=True,
            loopback=row.loopback,
            outcome="unanswered",
            tries=1 + row.retransmits,
            resent=row.retransmits,
            first=row.time,
            last=int(again[row.exchange]["time"].max(initial=row.time)),
            frames=((row.capture, row.call_frame),),
            proof=None,
            succeeded=None,
            otherwise=False,
        )


def finding(host: str, failures: list[Attempt], first: int, last: int, alive: bool, denied: Table) -> Finding:
    askers = sorted({failure.client for failure in failures})
    clients = tuple(sorted({*askers, *denied["client"].present()} - ({host} if len(denied) else set())))
    tries = sum(failure.tries for failure in failures)
    kinds = sorted({f"{failure.transport} {SAYS[failure.outcome]}" for failure in failures})
    return RULE.finding(
        certainty="certain" if alive else "likely",
        host=host,
        title=f"the portmapper of {host} cannot be reached",
        explanation=(
            f"{named(askers)} tried port 111 of {host} {several(tries, 'time')}: {', '.join(kinds)}. Nobody learns "
            "the ports of lockd, statd and mountd there, so requests to them are not even sent."
            + ("" if alive else " Nothing else of that host was captured: perhaps it is down.")
        ),
        clients=clients,
        count=tries,
        first=first,
        last=last,
        evidence=tuple(evidence(failures)),
        remedy=(
            *START_PORTMAPPER,
            *(
                remark("Open port 111, TCP and UDP, from {asker} to {host}.", asker=asker, host=host)
                for asker in askers
                if asker != host
            ),
        ),
        verify=(command("rpcinfo -p {host}", on="{asker}", host=bare(host), asker=askers[0]),),
        wait_s=(last - first) / SECOND,
    )


def evidence(failures: list[Attempt], limit: int = 3) -> Iterator[Evidence]:
    for failure in failures[:limit]:
        for capture, frame in failure.frames[:1]:
            yield Evidence(capture, frame, f"{failure.client} tries port 111 over {failure.transport}")
        if failure.proof:
            yield Evidence(*failure.proof, "refused")


def suspected(signs: Signs) -> Suspicion | None:
    if signs.denied_s is None or signs.denied_s >= 5:
        return None
    note = f"DENIED_NOLOCKS after {seconds(signs.denied_s)}: so lockd answers when its own portmapper is stopped"
    return Suspicion(note, "", 2)
