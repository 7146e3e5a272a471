"""The answers of portmappers and rpcbinds: portmap v2's ports and rpcbind's universal addresses as rows of one kind.

A universal address (RFC 1833 §2.1, RFC 5665 §5.2.3.3) is an address, a dot, and the two bytes of the port in decimal
with a dot between; an empty one means not registered, which is port 0 here as in version 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nfsrpc.columns import NULLS, Array, Coded, Mask, Masked, Table
from nfsrpc.decode import Decoded, text_of
from nfsrpc.protocols import program_name
from nfsrpc.protocols.numbers import AcceptStat, Prog
from nfsrpc.sessions.calls import OF_QUESTIONS
from nfsrpc.sessions.exchanges import REPLY_CUT, TRANSPORTS
from nfsrpc.sessions.universal_addresses import universal_address
from nfsrpc.sessions.wanted import MAPPING
from nfsrpc.tables import REGISTRATIONS, Calls, Registrations

ASKING = ("GETPORT", "GETADDR", "GETVERSADDR")
LISTS = {"DUMP": ("mappings", "rpcblist"), "GETADDRLIST": ("rpcb_entry_list",)}
CHANGING = ("SET", "UNSET")
PROTOCOLS = {2: "portmap2", 3: "rpcbind3", 4: "rpcbind4"}
NETIDS = {"tcp": "tcp", "tcp6": "tcp", "udp": "udp", "udp6": "udp"}


class Entry(NamedTuple):
    """One program's entry, as a portmapper has it."""

    prog: int | None
    vers: int | None
    transport: str | None
    netid: str | None
    port: int | None
    address: str | None
    owner: str | None


NOTHING = Entry(None, None, None, None, None, None, None)


def registrations(decoded: Decoded, calls: Calls) -> Registrations:
    procedures = (*ASKING, *LISTS, *CHANGING)
    rows = np.flatnonzero(
        (calls["prog"] == Prog.PORTMAP) & calls["procedure"].isin(procedures) & ~calls.valid("duplicate_of")
    )
    asked = calls.take(rows)
    entries = [
        entry
        for vers, protocol in PROTOCOLS.items()
        for entry in entries_of(decoded, protocol, asked, np.flatnonzero(asked["vers"] == vers))
    ]
    entries.sort(key=lambda entry: entry[0])
    return table(asked.take(np.array([row for row, _ in entries], dtype=np.int64)), [entry for _, entry in entries])


class DecodedFields:
    """The decoded fields of some exchanges, as Python values."""

    def __init__(self, decoded: Decoded, protocol: str, exchanges: Array) -> None:
        self.decoded, self.protocol, self.exchanges = decoded, protocol, exchanges

    def numbers(self, table: str, name: str) -> list[int | None]:
        return numbers(self.decoded.column(f"{self.protocol}.{table}", name, self.exchanges))

    def texts(self, table: str, name: str) -> list[str | None]:
        return self.decoded.text(self.decoded.column(f"{self.protocol}.{table}", name, self.exchanges)).tolist()


def numbers(column: Masked) -> list[int | None]:
    return [
        value if known else None for value, known in zip(column.values.tolist(), column.valid.tolist(), strict=True)
    ]


def entries_of(decoded: Decoded, protocol: str, asked: Calls, rows: Array) -> list[tuple[int, Entry]]:
    """The entries in answers of one version, each with its row in `asked`."""
    if not len(rows):
        return []
    fields = DecodedFields(decoded, protocol, asked["exchange"][rows])
    questions = portmap_questions(fields) if protocol == "portmap2" else rpcbind_questions(fields)
    listed = {name: lists(decoded, protocol, names) for name, names in LISTS.items()}
    found: list[tuple[int, Entry]] = []
    procedures = asked["procedure"][rows].tolist()
    exchanges = asked["exchange"][rows].tolist()
    for row, procedure, exchange, (question, answer) in zip(
        rows.tolist(), procedures, exchanges, questions, strict=True
    ):
        if procedure in LISTS:
            found += [(row, merged(question, item)) for item in listed[procedure].get(exchange, [NOTHING])]
        else:
            found.append((row, changed(procedure, question, answer)))
    return found


class Answer(NamedTuple):
    port: int | None
    address: str | None
    result: int | None


def changed(procedure: str | None, question: Entry, answer: Answer) -> Entry:
    """The entry after an answer: the queried one with the port in the answer, the one set, or port 0 if unset."""
    if procedure in ASKING:
        return question._replace(port=answer.port, address=answer.address)
    if not answer.result:
        return question._replace(port=None)
    return question._replace(port=0) if procedure == "UNSET" else question


def merged(question: Entry, item: Entry) -> Entry:
    """An item of a list, with the queried program where it has none, as in GETADDRLIST."""
    return item if item.prog is not None else item._replace(prog=question.prog, vers=question.vers)


def portmap_questions(fields: DecodedFields) -> list[tuple[Entry, Answer]]:
    columns = [fields.numbers("args", name) for name in MAPPING]
    ports, results = fields.numbers("res", "res_port"), fields.numbers("res", "res_result")
    return [
        (mapping(*question), Answer(port, None, result))
        for question, port, result in zip(zip(*columns, strict=True), ports, results, strict=True)
    ]


def mapping(prog: int | None, vers: int | None, prot: int | None, port: int | None) -> Entry:
    transport = TRANSPORTS.get(prot) if prot is not None else None
    return Entry(prog, vers, transport, transport, port, None, None)


def rpcbind_questions(fields: DecodedFields) -> list[tuple[Entry, Answer]]:
    prog, vers = (fields.numbers("args", name) for name in ("r_prog", "r_vers"))
    netid, addr, owner = (fields.texts("args", name) for name in ("r_netid", "r_addr", "r_owner"))
    answers, results = fields.texts("res", "res_addr"), fields.numbers("res", "res_result")
    questions = [rpcb(*question) for question in zip(prog, vers, netid, addr, owner, strict=True)]
    addresses = [(None, None) if text is None else universal_address(text) for text in answers]
    return [
        (question, Answer(port, address, result))
        for question, (address, port), result in zip(questions, addresses, results, strict=True)
    ]


def rpcb(prog: int | None, vers: int | None, netid: str | None, addr: str | None, owner: str | None) -> Entry:
    address, port = universal_address(addr) if addr is not None else (None, None)
    return Entry(prog, vers, NETIDS.get(netid or ""), netid, port, address, owner)


def lists(decoded: Decoded, protocol: str, names: tuple[str, ...]) -> dict[int, list[Entry]]:
    """The entries of the lists in answers, by exchange."""
    found: dict[int, list[Entry]] = {}
    for name in names:
        columns = decoded.children(f"{protocol}.{name}")
        if not columns:
            continue
        if name == "mappings":
            items = [mapping(*item) for item in zip(*(numbers(columns[key]) for key in MAPPING), strict=True)]
        elif name == "rpcblist":
            texts = [strings(decoded, columns[key]) for key in ("r_netid", "r_addr", "r_owner")]
            items = [
                rpcb(*item) for item in zip(numbers(columns["r_prog"]), numbers(columns["r_vers"]), *texts, strict=True)
            ]
        else:
            texts = [strings(decoded, columns[key]) for key in ("r_nc_netid", "r_maddr")]
            items = [rpcb(None, None, netid, addr, None) for netid, addr in zip(*texts, strict=True)]
        for exchange, item in zip(columns["exchange"].values.tolist(), items, strict=True):
            found.setdefault(exchange, []).append(item)
    return found


def strings(decoded: Decoded, column: Masked) -> list[str | None]:
    return [
        text_of(decoded.strings[number]) if known else None
        for number, known in zip(column.values.tolist(), column.valid.tolist(), strict=True)
    ]


def table(asked: Table, entries: list[Entry]) -> Registrations:
    """The table of registrations: the rows of the calls, each beside its entry."""
    prog, vers, transport, netid, port, address, owner = zip(*entries, strict=True) if entries else ((),) * 7
    names = {number: program_name(number, 0) for number in set(prog) if number is not None}
    complete: Mask = (asked["rpc_status"] == AcceptStat.SUCCESS) & (asked["flags"] & REPLY_CUT == 0)
    same = OF_QUESTIONS | {
        "asked_by_transport": "transport",
        "asked_vers": "vers",
        "source": "procedure",
        "flavor": "flavor",
    }
    columns: dict[str, Any] = {name: asked.data(source) for name, source in same.items()}
    columns |= {
        "prog": nullable(prog),
        "program": Coded.of(None if number is None else names[number] for number in prog),
        "vers": nullable(vers),
        "transport": Coded.of(transport),
        "netid": Coded.of(netid),
        "port": nullable(port),
        "address": Coded.of(address),
        "owner": Coded.of(owner),
        "complete": complete,
    }
    return Registrations(REGISTRATIONS, len(asked), columns)


def nullable(values: tuple[int | None, ...]) -> Array:
    return np.array([NULLS["u32?"] if value is None else value for value in values], dtype=np.uint32)
