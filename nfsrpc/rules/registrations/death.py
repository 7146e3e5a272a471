"""A statd that died: its registered port refused, and later its registration was removed."""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.facts.missing_statd import Unregistered
from nfsrpc.findings.finding import Evidence
from nfsrpc.wording import clock_time


def death(missing: Unregistered) -> str:
    """A sentence on the death of a statd, "" where the capture does not show it."""
    if missing.died is None:
        return ""
    return (
        f"Its rpc.statd died: at {clock_time(missing.died.first)} port {missing.died.port}, which its portmapper had "
        f"named, refused, and by {clock_time(missing.first)} the registration was removed. "
    )


def death_proof(missing: Unregistered) -> Iterator[Evidence]:
    if missing.died is not None and missing.died.proof is not None:
        yield Evidence(*missing.died.proof, f"port {missing.died.port} of its statd refuses")
