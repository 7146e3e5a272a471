"""Lock sessions: what one lock owner did to one range of one file."""

from __future__ import annotations

from nfsrpc.decode import Decoded
from nfsrpc.sessions.hosts import Hosts
from nfsrpc.tables import LOCKS, Table, empty

WANTED: dict[str, tuple[str, ...]] = {}


def locks(decoded: Decoded, calls: Table, copies: Table, hosts: Hosts) -> Table:
    return empty(LOCKS)
