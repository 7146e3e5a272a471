"""Which questions a probe asks: first the port mapper, then each service at the port that it has registered.

The lists of registrations (DUMP, RFC 1833) are decoded as those of any capture are, and say where to go on. Of a server
the programs that a client's locks need are called; of a client (`as_server`) those that a server calls back: lockd and
statd. A host may list what it likes: only known programs are called, at that host alone, and a bounded number of them.
"""

from __future__ import annotations

import io
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from nfsrpc.probe.asking import ANSWERED, CLOSED, REFUSED, SILENT, UNREACHABLE, Asked, Question, ask
from nfsrpc.probe.wire import Transport, Wire, bare
from nfsrpc.protocols.numbers import NULL, IpProto, MountProc, Port, PortmapProc, Prog
from nfsrpc.tables import Registrations
from nfsrpc.trace import Trace, read

AT_ONCE = 16  # conversations; a host whose firewall drops all takes as long as one of them
MAX_ADDRESSES = 8  # of a name
MAX_SERVICES = 48  # program, version and transport; a Linux server has 20 of those that are asked
AGAIN_S = 3.2  # the kernel repeats its questions after 3 to 5 s
TIMEOUT_S = 4.0  # the kernel's SYNs of 0, 1 and 3 s

TRANSPORTS: tuple[Transport, ...] = ("tcp", "udp")
OF_SERVERS = (Prog.NFS, Prog.MOUNT, Prog.NLM, Prog.NSM)
OF_CLIENTS = (Prog.NLM, Prog.NSM)
# What a Linux client asks for before its first lock, and a server before a callback.
ASKED_FOR = {Prog.NFS: 3, Prog.MOUNT: 3, Prog.NLM: 4, Prog.NSM: 1}


class Place(NamedTuple):
    address: str
    transport: Transport
    port: int


class Probed(NamedTuple):
    """The conversation of a probe: as a trace, as a capture file, and question by question."""

    host: str
    as_server: bool
    trace: Trace
    capture: bytes
    asked: tuple[Asked, ...]


def probe(host: str, *, as_server: bool = False, timeout_s: float = TIMEOUT_S, name: str = "probe") -> Probed:
    """Asks a host's port mapper and services what a client's kernel would ask before a lock, and changes nothing.

    With `as_server`, what a server's kernel would ask a client before a callback. `timeout_s`: for one answer; `name`:
    what reports call the capture. The verdict is `Probed.trace.verdict`. Raises OSError where the name is unknown or
    nothing can be sent to the host.

    >>> probe("192.0.2.1").trace.verdict.rule   # doctest: +SKIP
    'REG001'
    """
    programs = OF_CLIENTS if as_server else OF_SERVERS
    wire = Wire()
    addresses = addresses_of(host)
    asked = ask_all(wire, [plan for address in addresses for plan in port_mapper(address)], timeout_s)
    unlisted = [address for address in addresses if address not in listed(asked)]
    asked += ask_all(wire, [plan for address in unlisted for plan in single(address, programs)], timeout_s)
    places = services(traced(wire).tables["registrations"], programs, addresses)
    asked += ask_all(wire, calls(places, addresses, as_server), timeout_s)
    asked = asked_again(wire, asked, timeout_s)
    capture = wire.pcapng()
    return Probed(host, as_server, read(Named(capture, name)), capture, tuple(asked))


def asked_again(wire: Wire, asked: list[Asked], timeout_s: float) -> list[Asked]:
    """Asks what had no answer once more, some seconds later: a host that boots, or lost a packet, answers then."""
    plans: dict[Place, list[Question]] = {}
    for each in asked:
        if each.outcome in (REFUSED, SILENT, CLOSED, UNREACHABLE) and each.question.proc == NULL:
            plans.setdefault(Place(each.address, each.transport, each.port), []).append(each.question)
    if not plans:
        return asked
    time.sleep(AGAIN_S)
    again = {(*each[:3], each.question): each for each in ask_all(wire, plans.items(), timeout_s)}
    return [again.get((*each[:3], each.question), each) for each in asked]


Plan = tuple[Place, list[Question]]


def addresses_of(host: str) -> list[str]:
    """The addresses of a host's name, each once, a link-local one with its interface: fe80::1%eth0."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    return list(dict.fromkeys(socket.getnameinfo(entry[4], numeric)[0] for entry in found))[:MAX_ADDRESSES]


class Named(io.BytesIO):
    """A capture in memory with a name."""

    def __init__(self, capture: bytes, name: str) -> None:
        super().__init__(capture)
        self.name = name


def traced(wire: Wire) -> Trace:
    return read(wire.pcapng())


def ask_all(wire: Wire, plans: Iterable[Plan], timeout_s: float) -> list[Asked]:
    """The outcomes of conversations that are held at the same time."""
    plans = list(plans)
    if not plans:
        return []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [
            pool.submit(ask, wire, place.transport, place.address, place.port, questions, timeout_s)
            for place, questions in plans
        ]
    failures = [each.exception() for each in running]
    if all(failures) and failures[0]:
        raise failures[0]
    return [asked for each, failure in zip(running, failures, strict=True) if not failure for asked in each.result()]


def port_mapper(address: str) -> Iterator[Plan]:
    """NULL and the lists of all versions. Version 2 knows no IPv6."""
    for transport in TRANSPORTS:
        for vers in (3, 4) if ":" in address else (2, 3, 4):
            questions = [Question(Prog.PORTMAP, vers), Question(Prog.PORTMAP, vers, PortmapProc.DUMP)]
            yield Place(address, transport, Port.PORTMAP), questions


def listed(asked: Iterable[Asked]) -> set[str]:
    """The addresses whose port mapper gave a list."""
    return {each.address for each in asked if each.question.proc == PortmapProc.DUMP and each.outcome == ANSWERED}


def single(address: str, programs: Iterable[Prog]) -> Iterator[Plan]:
    """The programs one by one, for a host that gives no list."""
    if ":" in address:
        return
    for transport in TRANSPORTS:
        number = IpProto[transport.upper()]
        yield (
            Place(address, transport, Port.PORTMAP),
            [
                Question(Prog.PORTMAP, 2, PortmapProc.GETPORT, struct.pack(">4I", prog, ASKED_FOR[prog], number, 0))
                for prog in programs
            ],
        )


def services(
    registrations: Registrations, programs: Iterable[int], addresses: Iterable[str]
) -> dict[Place, list[tuple[int, int]]]:
    """Programs and versions by the place where a host, of these addresses, has registered them."""
    wanted, asked = set(programs), {bare(address): address for address in addresses}  # a capture has no interfaces
    found: dict[tuple[Place, int, int], None] = {}
    for row in registrations.rows():
        transport = next((name for name in TRANSPORTS if name == row.transport), None)
        of_family = (row.netid or "").endswith("6") == (":" in row.host)
        if transport and row.port and row.prog in wanted and row.prog and row.vers and of_family:
            found[Place(asked.get(row.host, row.host), transport, row.port), row.prog, row.vers] = None
    places: dict[Place, list[tuple[int, int]]] = {}
    for place, prog, vers in islice(found, MAX_SERVICES):
        places.setdefault(place, []).append((prog, vers))
    return places


def calls(registered: dict[Place, list[tuple[int, int]]], addresses: list[str], as_server: bool) -> Iterator[Plan]:
    """NULL of each service, and mountd's list of exports; NFS at its own port also where it is not registered."""
    places = dict(registered)
    if not as_server:
        for address in addresses:
            places.setdefault(Place(address, "tcp", Port.NFS), [(Prog.NFS, 3)])
    for place, versions in places.items():
        questions = [Question(prog, vers) for prog, vers in sorted(versions)]
        if (Prog.MOUNT, 3) in versions and place.transport == "tcp":
            questions.append(Question(Prog.MOUNT, 3, MountProc.EXPORT))
        yield place, questions
