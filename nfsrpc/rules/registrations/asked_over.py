"""For which transports a portmapper was asked: "not registered" is an answer for one transport (netid) and no other.

A client of Linux asks for TCP over IPv4 (netid tcp) unless it mounts over UDP or IPv6. Where no question was for that,
the program may well be registered for it, and the finding says so and is likely.
"""

from __future__ import annotations

from collections.abc import Iterable

from nfsrpc.wording import named

USUAL = "tcp"
WORDS = {"tcp6": "TCP over IPv6", "udp": "UDP", "udp6": "UDP over IPv6"}


def only_over(netids: Iterable[str | None]) -> str:
    """The transports asked for where TCP over IPv4 is not among them, else "".

    >>> only_over(["udp", "udp"]), only_over(["udp", "tcp"]), only_over(["udp6", "tcp6"])
    ('UDP', '', 'TCP over IPv6 and UDP over IPv6')
    """
    used = {netid for netid in netids if netid is not None}
    return "" if USUAL in used or not used else named(WORDS.get(netid, "another transport") for netid in used)


def in_question(over: str) -> str | None:
    """The transport (netid) for which a service is missing, where it was asked for over UDP only.

    >>> in_question("UDP"), in_question("")
    ('udp', None)
    """
    return "udp" if over.startswith("UDP") else None


def scope(over: str) -> str:
    """The end of a title after "registered": the transports, where the usual one was not looked up."""
    return f" for {over}" if over else ""


def caveat(over: str) -> str:
    """A sentence on the transports that were not looked up."""
    return f" It was asked for over {over} only; it may be registered for another transport." if over else ""
