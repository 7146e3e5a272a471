"""NFS and MOUNT where port mappers answered port 0 for every version and transport, and whether clients use them.

A client may use a service that is not registered, at its well-known port.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, isin
from nfsrpc.facts.basic import fact
from nfsrpc.facts.portmappers import answers_about, without_probes
from nfsrpc.protocols.numbers import NULL, Prog
from nfsrpc.sessions.grouping import Parts, group, keys_of
from nfsrpc.tables import Calls, Registrations, Tallies


class MissingService(NamedTuple):
    """NFS or MOUNT of a host, for which no port mapper ever named a port."""

    host: str
    prog: int
    answers: Registrations  # that it is not registered
    is_used: bool  # a client with such an answer mounted all the same, or used NFS


@fact
def missing_services(
    registrations: Registrations, probes: frozenset[tuple[str, str]], exchanges: Calls, counted: Tallies
) -> tuple[MissingService, ...]:
    """NFS and MOUNT where they are not registered, by host and program."""
    answers = without_probes(answers_about(registrations, (Prog.NFS, Prog.MOUNT)), probes)
    named = answers.where(answers["port"] > 0)
    registered = set(zip(named["host"].tolist(), named["prog"].tolist(), strict=True))
    refused = Parts(answers.where(answers["port"] == 0), "host", "prog")
    missing = {place: rows for place, rows in refused.items() if place not in registered}
    latest = last_uses(exchanges, counted) if missing else {}
    return tuple(
        MissingService(host, prog, rows, is_in_use(latest, host, rows)) for (host, prog), rows in missing.items()
    )


def last_uses(exchanges: Calls, counted: Tallies) -> Mapping[tuple[str, str], int]:
    """When clients last mounted of servers or used NFS there, by both."""
    found: dict[tuple[str, str], int] = {}
    for table, last in ((exchanges, "time"), (counted, "last")):
        rows = table.where(isin(table["prog"], (Prog.NFS, Prog.MOUNT)) & (table["proc"] != NULL))
        pairs, first = group(rows["client"].codes + 1, rows["server"].codes + 1)
        times = np.full(len(first), NAT, dtype=np.int64)
        np.maximum.at(times, pairs, rows.column(last))
        for pair, time in zip(keys_of((rows["client"], rows["server"]), first), times.tolist(), strict=True):
            found[pair] = max(time, found.get(pair, NAT))
    return found


def is_in_use(latest: Mapping[tuple[str, str], int], host: str, refused: Registrations) -> bool:
    """Whether a client with this answer mounted all the same, or uses NFS."""
    since = int(refused["time"].min())
    return any((asker, host) in latest and latest[asker, host] >= since for asker in refused["asker"].present())
