"""RPC is encrypted: only sizes and times can be seen.

Sees
    RPC over TLS (AUTH_TLS, RFC 9289), or calls with RPCSEC_GSS and the privacy service (krb5p).

Why it matters
    Neither arguments nor results can be read. Times and sizes of calls and replies can.

Not flagged when
    The security flavor is krb5 or krb5i, which can be read. Lock requests (NLM) are never encrypted by krb5p.

How to confirm
    mount | grep -e sec= -e xprtsec=

How to fix
    Nothing to fix; for an analysis mount once with sec=sys or krb5i.

References
    RFC 9289; RFC 2203 section 5.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.findings.finding import Answer, Evidence, Rule
from nfsrpc.sessions.exchanges import ENCRYPTED
from nfsrpc.tables import Calls, Flows, Tallies
from nfsrpc.wording import named, several

RULE = Rule("CAP006", "encrypted", "info", judges="RPC", passes="no RPC is encrypted")


def check(flows: Flows, exchanges: Calls, counted: Tallies) -> Iterator[Answer]:
    tls = flows.where(flows["tls"])
    private = exchanges.where(exchanges["flags"] & ENCRYPTED != 0)
    sums = counted.where(counted["encrypted"] > 0)
    count = len(private) + int(sums["encrypted"].sum())
    if len(tls):
        row = tls.row(0)
        servers = {server for server in tls["server"].tolist() if server}
        yield RULE.finding(
            host=None,
            title=f"{several(tls.count, 'connection')} to {named(servers)} use TLS",
            explanation="Their calls and replies cannot be read. All other findings are about connections without TLS.",
            count=tls.count,
            evidence=(Evidence(row.capture, row.frame, f"{row.client} to port {row.server_port}, over TLS"),),
        )
    elif count:
        one = (private if len(private) else sums).row(0)
        frame = int((private["call_frame"] if len(private) else sums["first_frame"])[0])
        yield RULE.finding(
            host=None,
            title=f"{several(count, 'call')} to {one.server} encrypted by RPCSEC_GSS (krb5p)",
            explanation="Their times and sizes are known, their arguments and results are not.",
            count=count,
            evidence=(Evidence(one.capture, frame, "encrypted"),),
        )
