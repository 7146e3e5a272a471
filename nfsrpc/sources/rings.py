"""Which captures are files of one ring: written one after the other by one program on one host, by one clock.

A name decides where it has what only writers of rings count up: tcpdump -C and -W, -G with a date, dumpcap,
`nfsrpc record`, logrotate. Any other number may as well be a host's (`cl1.pcap`; `node-0001.pcap`, which `%H%M` writes,
too; a serial number, as `%s` looks), and what the caller holds in memory has no name: such captures are of one ring
only if the link layer shows that they were sent from the same addresses. Captures that were sent from different ones,
of which none has those of all, are none, whatever their names are.
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

# 2026-01-01 or 01.01.2026, with another separator; 20260101. What else looks like a time may be a serial number: `%s`,
# `%y%m%d`, `%d%m%Y`.
YEAR, MONTH, DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
HOUR, SIXTY = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
DATE = rf"(?:{YEAR}(?P<ymd>[-_.]?){MONTH}(?P=ymd){DAY}|{DAY}(?P<dmy>[-_.]){MONTH}(?P=dmy){YEAR})"
# 1200, 12:00:00; but four numbers are an address, and a separator and two digits may be a host's number.
TIME = (
    rf"(?:[-_T.@]?(?!\d+(?P<octets>[-_.])\d+(?P=octets)\d+(?P=octets)\d){HOUR}(?P<hms>[-_:.]?){SIXTY}"
    rf"(?:(?P=hms){SIXTY})?|{HOUR})(?:Z|\+\d\d:?\d\d)?"
)
# dumpcap has a number before its 14 digits or behind them, `nfsrpc record` behind the Z. A time without a date has
# seconds: 03:12 may be a rack's slot.
COUNTED = re.compile(
    rf"(?<!\d)(?:\d{{5}}_(?=\d{{14}}(?!\d)))?{DATE}(?:{TIME}(?:(?:(?<=\d{{14}})_|(?<=Z)-)\d{{5,12}})?)?(?!\d)"
    rf"|(?<![0-9A-Za-z:]){HOUR}:{SIXTY}:{SIXTY}(?![0-9A-Za-z:])"
)
# The number that tcpdump counts up, or what logrotate adds.
PARTS = re.compile(rf"(?P<stem>.+?)(?P<suffix>{SUFFIX})(?P<count>\d+|[-.][-.\d]+)?", re.IGNORECASE | re.DOTALL)
ROTATED = re.compile(r"\d*|\.\d+|-+(?:1\d{9})?")  # where dates are taken away; dateext may have `%s` behind the date

# Networks that many hosts have, each its own: link-local ones, and the default ones of Docker, Podman and libvirt.
OWN_NETWORKS = ("169.254.", "172.17.", "10.88.", "192.168.122.", "fe80:")


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


def is_address(text: str) -> bool:
    """Whether a text is an address, which in names of files often has dashes.

    >>> is_address("10.8.0.1"), is_address("10-8-0-1"), is_address("10_8_0_1"), is_address("fd00--1"), is_address("cl1")
    (True, True, True, True, False)
    """
    for separator in ".:":
        try:
            ip_address(text.replace("-", separator).replace("_", separator))
        except ValueError:
            continue
        return True
    return False


def rings_of(files: Sequence[str], senders: Sequence[Collection[str]]) -> list[int]:
    """For each file the first one of its ring. `senders`: the addresses that the capturing host sent from, if known."""
    names = [(os.path.dirname(os.path.abspath(file)), *ring_name(file)) for file in files]
    keys = [file if written is None else (folder, written) for file, (folder, written, _) in enumerate(names)]
    first: dict[Hashable, int] = {}
    rings: list[int] = []
    for file, (sent, (folder, _, numbered)) in enumerate(zip(hosts_of(keys, senders), names, strict=True)):
        key = (folder, numbered, sent) if sent else file if sent is None else keys[file]
        rings.append(first.setdefault(key, file))
    return rings


def hosts_of(keys: Sequence[Hashable], senders: Sequence[Collection[str]]) -> list[frozenset[str] | None]:
    """For each capture the addresses of its host. Captures of one host have the same ones, and the same key.

    A capture may lack addresses of its host; but where none of a key shows all that the others show, they may be of two
    hosts that share an address, which goes from one to the other: each has its own then, and None if it shows none.
    """
    own = [frozenset(address for address in sent if not address.startswith(OWN_NETWORKS)) for sent in senders]
    by_key: defaultdict[Hashable, set[frozenset[str]]] = defaultdict(set)
    for key, sent in zip(keys, own, strict=True):
        by_key[key].add(sent)
    most = {key: max(sets, key=len) for key, sets in by_key.items()}
    one_host = {key: all(sent <= most[key] for sent in sets) for key, sets in by_key.items()}
    return [most[key] if one_host[key] else sent or None for key, sent in zip(keys, own, strict=True)]
