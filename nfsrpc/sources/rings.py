"""Which captures are files of one ring: written one after the other by one program on one host, by one clock.

A name decides where it has what only writers of rings count up: tcpdump -C and -W, -G with a date or `%s`, dumpcap,
`nfsrpc record`, logrotate. Any other number may as well be a host's (`cl1.pcap`; `node-0001.pcap`, which `%H%M` writes,
too), and what the caller holds in memory has no name: such captures are of one ring only if the link layer shows that
they were sent from the same addresses. Captures that were sent from different ones are none, whatever their names are.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from ipaddress import ip_address
from string import digits
from typing import NamedTuple

# As tcpdump, Wireshark, snoop and NetApp's filers name their files, perhaps compressed.
SUFFIX = r"\.(?:pcap(?:ng)?|cap|snoop|trc)"
COMPRESSED = r"\.(?:gz|zst|xz|bz2|lz4)"

# 2026-01-01, 01.01.2026, with another separator or none; 260101 only before a time.
YEAR, MONTH, DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
HOUR, SIXTY = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
DATE = (
    rf"(?:{YEAR}(?P<ymd>[-_.]?){MONTH}(?P=ymd){DAY}|[0-3]\d(?P<dmy>[-_.]?)[0-3]\d(?P=dmy){YEAR}"
    rf"|\d\d{MONTH}{DAY}(?=[-_T]?{HOUR}{SIXTY}))"
)
# 12, 1200, 12:00:00; but four numbers are an address.
TIME = (
    rf"(?!\d+(?P<octets>[-.])\d+(?P=octets)\d+(?P=octets)\d){HOUR}(?:(?P<hms>[-_:.]?){SIXTY}(?:(?P=hms){SIXTY})?)?"
    r"(?:Z|\+\d\d:?\d\d)?"
)
EPOCH = r"1\d{9}(?:\d{3}){0,3}"  # from 2001 to 2033, in s, ms, µs or ns
# dumpcap has a number before the time or behind it, `nfsrpc record` behind it.
COUNTED = re.compile(
    rf"(?<!\d)(?:(?:\d{{5}}_)?{DATE}(?:[-_T.@]?{TIME})?(?:[-_]\d{{5,12}})?|{EPOCH})(?!\d)"
    rf"|(?<![0-9A-Za-z:]){HOUR}:{SIXTY}(?::{SIXTY})?(?![0-9A-Za-z:])"
)
# The number that tcpdump counts up, or what logrotate adds.
PARTS = re.compile(rf"(?P<stem>.+?)(?P<suffix>{SUFFIX})(?P<count>\d+|[-.][-.\d]+)?", re.IGNORECASE | re.DOTALL)
ROTATED = re.compile(r"\d*|\.\d+|[-.]+")  # where dates are taken away

# Networks that many hosts have, each its own: link-local ones, and the default ones of Docker, Podman and libvirt.
OWN_NETWORKS = ("169.254.", "172.17.", "10.88.", "192.168.122.", "fe80:")

# What a capture was taken on, at the end of a name: "srv-lo", "srv_eth0", "srv.enp3s0".
INTERFACE = re.compile(
    r"(?:^|[-_.])(?:any|wire|lo\d?|loopback|(?:eth|em|bond|team|br|vlan)\d+|(?:en[opsx]|ib)\w*\d\w*)$", re.IGNORECASE
)


class RingName(NamedTuple):
    """A file's name without what is counted up in it."""

    written: str | None  # what only writers of rings count up; None for what they name otherwise
    numbered: str  # a number at the end, too


def ring_name(file: str) -> RingName:
    """The name that the files of a ring share.

    >>> ring_name("n1/trace.pcap12"), ring_name("cl1.pcap")
    (RingName(written='trace.pcap', numbered='trace.pcap'), RingName(written='cl1.pcap', numbered='cl.pcap'))
    >>> ring_name("trace-20260101-1200.pcapng.gz").written, ring_name("trace7")
    ('trace-.pcapng', RingName(written=None, numbered='trace'))
    """
    name = re.sub(rf"{COMPRESSED}$", "", os.path.basename(file), flags=re.IGNORECASE)
    parts = PARTS.fullmatch(name)
    stem, suffix, count = parts.group("stem", "suffix", "count") if parts else (name, "", "")
    if parts and not ROTATED.fullmatch(COUNTED.sub("", count or "")):
        stem, suffix = name, ""
    if is_address(stem):
        return RingName(stem + suffix, stem + suffix)
    left, times = COUNTED.subn("", stem)
    return RingName(left + suffix if suffix or times else None, left.rstrip(digits) + suffix)


def without_interface(file: str) -> str:
    """A file's name without what a ring counts up and the interface, which several captures of one host differ in.

    >>> without_interface("srv-eth0.pcap12"), without_interface("srv-lo.pcap"), without_interface("10.9.0.1.pcap")
    ('srv', 'srv', '10.9.0.1')
    """
    name = re.sub(rf"{SUFFIX}$", "", ring_name(file).written or os.path.basename(file), flags=re.IGNORECASE)
    return INTERFACE.sub("", name.strip("-_."))


def is_address(text: str) -> bool:
    """Whether a text is an address, which in names of files often has dashes.

    >>> is_address("10.8.0.1"), is_address("10-8-0-1"), is_address("fd00--1"), is_address("cl1")
    (True, True, True, False)
    """
    for form in (text, text.replace("-", "."), text.replace("-", ":").replace("_", ":")):
        try:
            ip_address(form)
        except ValueError:
            continue
        return True
    return False


def rings_of(files: Sequence[str], senders: Sequence[Collection[str]]) -> list[int]:
    """For each file the first one of its ring. `senders`: the addresses that the capturing host sent from, if known."""
    names = [(os.path.dirname(os.path.abspath(file)), *ring_name(file)) for file in files]
    own = [frozenset(address for address in sent if not address.startswith(OWN_NETWORKS)) for sent in senders]
    joined = list(range(len(files)))

    def ring(file: int) -> int:
        while joined[file] != file:
            joined[file] = file = joined[joined[file]]
        return file

    def join(file: int, other: int) -> None:
        one, two = sorted((ring(file), ring(other)))
        joined[two] = one

    first: dict[Hashable, int] = {}
    for file, ((folder, written, numbered), sent) in enumerate(zip(names, own, strict=True)):
        if sent:
            join(file, first.setdefault((folder, numbered, sent), file))
        for address in sent if written is not None else ():
            join(file, first.setdefault((folder, written, address), file))
    hosts: defaultdict[Hashable, set[int]] = defaultdict(set)
    for file, ((folder, written, _), sent) in enumerate(zip(names, own, strict=True)):
        if sent:
            hosts[folder, written].add(ring(file))
    for file, ((folder, written, _), sent) in enumerate(zip(names, own, strict=True)):
        of_name = hosts[folder, written]
        if written is not None and not sent and len(of_name) <= 1:
            join(file, next(iter(of_name), first.setdefault((folder, written), file)))
    return [ring(file) for file in range(len(files))]
