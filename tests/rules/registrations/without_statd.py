"""A server without statd, whose lockd looks for it."""

from __future__ import annotations

from tests.rules.stage import Stage
from tests.scenario import TRANSPORTS

STALL = [10.2, 31.7, 60.5]  # when Linux sends a LOCK again


def without_statd(stage: Stage) -> Stage:
    """A server without statd: its lockd asks 20 times, then grants."""
    stage.nfs()
    lock = stage.client.lock(stage.server)
    for _ in range(20):
        stage.server.getport(stage.server, "nsm1", port=0)
        stage.later(3.07)
    lock.granted(after=61.6, resent=STALL, copies=4)
    stage.nfs()
    return stage


def probed(stage: Stage, lockd: int = 0) -> None:
    """A monitoring system asks what is registered; its server may serve NFSv4 alone, without lockd and statd."""
    monitoring = stage.scenario.host("10.0.0.77", name="nagios")
    for _ in range(3):
        for protocol in ("nfs3", "mount3", "nlm4", "nsm1"):
            port = lockd if protocol == "nlm4" else 0
            for netid in TRANSPORTS:
                monitoring.getport(stage.server, protocol, netid=netid, transport="udp", cred=False, port=port)
        stage.client.call(stage.server, "nfs4", "NULL").reply()
        stage.wait(30)
