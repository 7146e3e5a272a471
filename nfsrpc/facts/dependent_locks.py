"""Lock requests whose outcome depends on a portmapper, which may be the client's own or the server's own.

A server's lockd asks its own portmapper for its statd, and denies the lock where that fails. The result of an
asynchronous request (LOCK_MSG) is a call of the server: it first asks the client's portmapper for the port.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nfsrpc.facts.basic import Roles, fact
from nfsrpc.facts.portmappers import PortmapperFailure
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls
from nfsrpc.wording import SECOND


class DependentLocks(NamedTuple):
    """Lock requests by the portmapper that they depend on."""

    stalled: Parts[Calls]  # late, unanswered and denied requests, by server
    messages: Parts[Calls]  # LOCK_MSG, by client and server
    results: Stretches  # when LOCK_RES were sent, by server and client
    roles: Roles

    def denied(self, server: str, failures: list[PortmapperFailure]) -> Calls:
        """Those that a server denied when its own portmapper had refused its question, or did not reply."""
        stalls = self.stalled[server]
        denied = stalls.where(stalls["status"] == Nlm4Stats.DENIED_NOLOCKS)
        # By another clock, where another capture shows it.
        own = [failure for failure in failures if failure.loopback and failure.how in ("refused", "hangs")]
        failed = Stretches.of(("own", failure.first - SECOND, failure.until + SECOND) for failure in own)
        times = zip(denied["time"].tolist(), denied["reply_time"].tolist(), strict=True)
        meanwhile = (failed.meet("own", time, reply) for time, reply in times)
        return denied.where(np.fromiter(meanwhile, dtype=np.bool_, count=len(denied)))

    def without_result(self, client: str, servers: Sequence[str], first: int, last: int) -> list[Calls.Row]:
        """A client's asynchronous requests in a stretch of time in which these servers sent it no result."""
        silent = [server for server in servers if not self.results.meet((server, client), first, last)]
        rows = (row for server in silent for row in self.messages[client, server].rows())
        return [row for row in rows if first <= row.time <= last]

    def clients(self, host: str, askers: Sequence[str]) -> set[str]:
        """The clients among those that ask a host's portmapper; the host itself, where its server asks it."""
        return {self.roles.client_of(host, asker) for asker in askers}


@fact
def dependent_locks(stalled: Parts[Calls], nlm: Calls, roles: Roles) -> DependentLocks:
    """The lock requests that depend on portmappers."""
    messages = nlm.where((nlm["proc"] == NlmProc.LOCK_MSG) & nlm.valid("time"))
    results = nlm.where(nlm["proc"] == NlmProc.LOCK_RES)
    sent = Stretches((results["client"], results["server"]), results["time"])
    return DependentLocks(stalled, Parts(messages, "client", "server"), sent, roles)
