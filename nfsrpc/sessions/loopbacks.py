"""Loopback interfaces of several hosts in one interface of a capture, as merging captures leaves them.

A 127.0.0.1 there is each of these hosts. The AUTH_SYS credentials of the kernels' calls tell them apart: a connection
belongs to the host that calls itself so in it. Each such host gets a loopback domain of its own; what goes without a
name stays in the old one, which is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nfsrpc.decode import EVERYWHERE, NO_STRING, Columns, Decoded
from nfsrpc.sessions.exchanges import Exchanges
from nfsrpc.sessions.hosts import SHARE, Hosts, senders, talk
from nfsrpc.tables import Array, distinct, isin


def told_apart(decoded: Decoded) -> Decoded:
    """The same, with a loopback domain for every host that shares one with another."""
    domains = {domain for _, domain in decoded.addresses if domain != EVERYWHERE}
    for domain in sorted(domains):
        if is_shared(decoded, domain):
            decoded = split(decoded, domain)
    return decoded


def is_shared(decoded: Decoded, domain: int) -> bool:
    """Whether several hosts captured here: senders of frames talk with each other, or several names come of nobody."""
    if talk(decoded, senders(decoded, domain)):
        return True
    return len(names_in(decoded, domain)) > 1 and Hosts(Exchanges(decoded)).sender_of(domain) is None


def names_in(decoded: Decoded, domain: int) -> Mapping[int, Array]:
    """By name (a number of a string): the connections on which callers of that loopback go by it."""
    raw = decoded.exchanges
    inside = [number for number, (_, own) in enumerate(decoded.addresses) if own == domain]
    named = isin(raw["client"], inside) & (raw["machine"] != NO_STRING)
    names, flows = raw["machine"][named], raw["flow"][named]
    return {name: distinct(flows[names == name]) for name in distinct(names).tolist()}


def split(decoded: Decoded, domain: int) -> Decoded:
    for share, flows in enumerate(names_in(decoded, domain).values(), 1):
        inside = {number: text for number, (text, own) in enumerate(decoded.addresses) if own == domain}
        own = {number: len(decoded.addresses) + place for place, number in enumerate(inside)}
        decoded = replace(
            decoded,
            addresses=[*decoded.addresses, *((text, domain + share * SHARE) for text in inside.values())],
            exchanges=decoded.exchanges | dict(moved(decoded.exchanges, flows, own)),
            flows=decoded.flows | dict(moved(decoded.flows, flows, own)),
        )
    return decoded


def moved(columns: Columns, flows: Array, own: Mapping[int, int]) -> Iterator[tuple[str, Array]]:
    """The ends of rows, which are other addresses on these flows."""
    mine = isin(columns["flow"], flows)
    for name in ("client", "server"):
        ends = columns[name].copy()
        for number, other in own.items():
            ends[mine & (columns[name] == number)] = other
        yield name, ends
