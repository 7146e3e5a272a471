"""What the core and the slow decoder say of a capture, in rows to compare with each other and with tshark's."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from nfsrpc._core import Decoder, Layouts
from nfsrpc.protocols import Layout, TableSpec
from tests.freeze import Row
from tests.reference import CALL, REPLY, UNKNOWN, Exchange
from tests.reference_packets import NO_TIME


class Call(NamedTuple):
    """An exchange, with all its frames. Frame 0 and NO_TIME stand for what there is not."""

    call_frame: int
    reply_frame: int
    time: int
    reply_time: int
    client: str
    client_port: int
    server: str
    server_port: int
    transport: int
    xid: int
    prog: int
    vers: int
    proc: int
    rpc_status: int
    resends: tuple[int, ...]
    duplicates: tuple[int, ...]


def decode(*captures: bytes, layouts: tuple[list[Layout], list[TableSpec]] = ([], [])) -> dict[str, Any]:
    decoder = Decoder(Layouts(*layouts))
    for number, data in enumerate(captures):
        if number:
            decoder.next_capture()
        decoder.feed(data)
    return decoder.close()


def calls_of_core(batch: dict[str, Any], offsets: Iterable[int] = (0,)) -> list[Call]:
    """The exchanges of a batch; `offsets` is added to the frames of each capture, to tell those of a ring apart."""
    shift = list(offsets)

    def frame(capture: int, number: int) -> int:
        return shift[capture] + number if number else 0

    copies: dict[tuple[int, int], list[int]] = {}
    for row in rows_of(batch["copies"]):
        copies.setdefault((row["exchange"], row["reply"]), []).append(frame(row["capture"], row["frame"]))
    hosts = [text for text, _ in batch["addresses"]]
    return sorted(
        Call(
            frame(row["capture"], row["call_frame"]),
            frame(row["reply_capture"], row["reply_frame"]),
            row["time"],
            row["reply_time"],
            hosts[row["client"]],
            row["client_port"],
            hosts[row["server"]],
            row["server_port"],
            row["transport"],
            row["xid"],
            row["prog"],
            row["vers"],
            row["proc"],
            row["rpc_status"],
            tuple(sorted(copies.get((row["exchange"], CALL), ()))),
            tuple(sorted(copies.get((row["exchange"], REPLY), ()))),
        )
        for row in rows_of(batch["exchanges"])
    )


def rows_of(columns: dict[str, Any]) -> list[dict[str, int]]:
    lists = {name: values.tolist() for name, values in columns.items()}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def calls_of_reference(exchanges: Iterable[Exchange]) -> list[Call]:
    return sorted(map(call_of_reference, exchanges))


def call_of_reference(exchange: Exchange) -> Call:
    call, reply = exchange.call, exchange.reply
    known = call or reply
    assert known
    client, server = (known.source, known.target) if call else (known.target, known.source)
    return Call(
        call.frame if call else 0,
        reply.frame if reply else 0,
        known.time,
        reply.time if reply else NO_TIME,
        *client[:2],
        *server[:2],
        known.transport,
        known.xid,
        known.prog,
        known.vers,
        known.proc,
        reply.rpc_status if reply else known.rpc_status,
        tuple(each.frame for each in exchange.resends),
        tuple(each.frame for each in exchange.duplicates),
    )


def messages(calls: Iterable[Call]) -> list[Row]:
    """The messages that calls are made of, each with the frame of the one that belongs to it."""
    rows = []
    for call in calls:
        facts = call.xid, call.prog, call.vers, call.proc
        client, server = (call.client, call.client_port), (call.server, call.server_port)
        sent = [frame for frame in (call.call_frame, *call.resends) if frame]
        answers = [frame for frame in (call.reply_frame, *call.duplicates) if frame]
        rows += [Row(frame, CALL, *facts, call.reply_frame, *client, *server) for frame in sent]
        rows += [Row(frame, REPLY, *facts, call.call_frame, *server, *client) for frame in answers]
    return sorted(rows)


def is_orphan(row: Row) -> bool:
    return row.prog == UNKNOWN
