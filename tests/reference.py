"""A second decoder, slow and simple, that the core is checked against: frames → packets → messages → exchanges.

Strategy: everything is in memory and every stage is a pass over all of it. A TCP direction becomes one byte array with
the frame that delivered each byte beside it, so order, overlap and repetition need no cases: the first delivery of a
byte counts, and a message stands at the latest frame among the bytes from the last hole up to its end. That is the
frame in which it could first be read in order, as Wireshark has it with `tcp.reassemble_out_of_order`. What the
capture cut or lost of a record is known as missing, since the record's length is; what lost its mark is looked for.
Where the longest bodies of procedures are known, a record of a longer one ends where the next call or reply to a call
begins, in the frame that shows this; which calls there are is found in a first pass.
Record marking is RFC 5531 section 11, messages are its section 9.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import dpkt
import numpy as np
from numpy.typing import NDArray

from tests.reference_packets import TCP, Frame, Packet, Party, frames, packets

CALL, REPLY = 0, 1
UNKNOWN = 0xFFFFFFFF
RPC_MISMATCH, AUTH_ERROR, NO_STATUS = 16, 32, 255  # rpc_status: accept_stat, or these for denied replies
MAX_FLAVOR = 6
MAX_AUTH = 400  # RFC 5531 section 8.2: opaque_auth body<400>
MAX_VERSION, MAX_PROCEDURE = 10_000, 10_000  # of programs in use, which tells calls from other bytes
GSS = 6
WINDOW = 65_535
MAX_RECORD = 1 << 24  # what claims more is no record mark
# A mark of less than 16 MiB, any xid, then CALL and RPC version 2, or REPLY and its state.
RECORD_START = re.compile(rb"(?=[\x00\x80].{7}\x00{3}(?:\x00{4}\x02|\x01\x00{3}[\x00\x01]))", re.DOTALL)
CAPTURED_TWICE_NS = 20_000_000  # an equal datagram this soon is one frame seen at two interfaces, not a resend
# The same where each has an IP identification of its own, unless what the other side sent was captured once.
SENT_AGAIN_NS = 1_000_000
SHORTEST = 20  # bytes of a message
RPCSEC_GSS = bytes((0, 0, 0, 6))
CROSSED_NS = 5_000_000  # a call retransmitted when its reply was on its way
EARLY_NS = 2_000_000_000  # a reply captured before its call, by interrupt steering or a merge of two clocks


Procedure = tuple[int, int, int]  # program, version, number
Most = dict[tuple[Procedure | None, int], int]  # the longest body of a procedure's CALL or REPLY, where there is one


class Message(NamedTuple):
    frame: int
    time: int
    transport: int
    source: Party
    target: Party
    xid: int
    msgtyp: int
    prog: int
    vers: int
    proc: int
    rpc_status: int
    body: bytes


@dataclass
class Exchange:
    call: Message | None
    reply: Message | None = None
    resends: list[Message] = field(default_factory=list)
    duplicates: list[Message] = field(default_factory=list)

    def clients(self) -> set[Party]:
        """Where a reply may go: a call retransmitted on a new connection is answered there or on the old one."""
        calls = {call.source for call in (self.call, *self.resends) if call}
        return calls or {reply.target for reply in (self.reply,) if reply}


def decode(data: bytes, most: Most | None = None) -> list[Exchange]:
    return exchanges(messages(frames(data), most))


def message(packet: Packet, frame: int, time: int, body: bytes) -> Message | None:
    """The RPC message that starts with these bytes, None when they are something else."""
    words = struct.unpack_from(f"!{min(len(body) // 4, 8)}I", body)
    header = {CALL: call_header, REPLY: reply_header}.get(words[1] if len(words) >= 5 else UNKNOWN)
    facts = header(words, body) if header else None
    return Message(frame, time, *packet[1:4], words[0], words[1], *facts, body) if facts else None


def call_header(words: tuple[int, ...], body: bytes) -> tuple[int, int, int, int] | None:
    _, _, version, prog, vers, proc, flavor, auth = *words, *(UNKNOWN, 0, 0)[len(words) - 5 :]
    known = version == 2 and prog and (vers <= MAX_VERSION or not proc) and (proc <= MAX_PROCEDURE or len(words) == 5)
    return (prog, vers, proc, NO_STATUS) if known and auth <= MAX_AUTH and not is_other(body, flavor, auth) else None


def is_other(body: bytes, flavor: int, auth: int) -> bool:
    """Bytes that begin like a call: NULL of version 0 has arguments, or nobody has that authentication."""
    verifier = 32 + (auth + 3) // 4 * 4
    size = int.from_bytes(body[verifier + 4 : verifier + 8], "big")
    arguments = body[verifier + 8 + (size + 3) // 4 * 4 :]
    return (flavor > 7 and flavor not in range(300_000, 400_000)) or (
        body[20:24] == bytes(4) and flavor != GSS and bool(arguments)
    )


def reply_header(words: tuple[int, ...], body: bytes) -> tuple[int, int, int, int] | None:
    denied, reason, detail = words[2:5]
    if (
        denied == 0 and reason <= MAX_FLAVOR and detail <= MAX_AUTH
    ):  # reason is the verifier's flavor, detail its length
        at = 20 + (detail + 3) // 4 * 4
        status = int.from_bytes(body[at : at + 4], "big") if len(body) >= at + 4 else NO_STATUS
        return (UNKNOWN, UNKNOWN, UNKNOWN, status) if status <= 5 or status == NO_STATUS else None
    known = denied == 1 and reason <= 1 and detail < AUTH_ERROR
    return (UNKNOWN, UNKNOWN, UNKNOWN, AUTH_ERROR + detail if reason else RPC_MISMATCH) if known else None


def datagram_messages(conversation: list[Packet], back: list[Packet]) -> Iterator[Message]:
    """The messages of one direction; `back`: the packets of the other one."""
    source = conversation[0].source
    seen: dict[tuple[Party, bytes], tuple[int, int]] = {}
    heard: set[Party] = set()  # who sent anything, and of whom anything was captured twice
    doubled: set[Party] = set()
    for packet in sorted((*conversation, *back), key=lambda packet: packet.frame.number):
        time = packet.frame.time
        found = message(packet, packet.frame.number, time, packet.data)
        last, ident = seen.get((packet.source, packet.data), (-CAPTURED_TWICE_NS, 0))
        unlike = 0 != ident != packet.ident != 0
        once = bool(heard - {packet.source}) and not doubled - {packet.source}
        again = abs(time - last) <= (SENT_AGAIN_NS if unlike else CAPTURED_TWICE_NS) and not (unlike and once)
        if found and not again and packet.source == source:
            yield found
        heard.add(packet.source)
        doubled |= {packet.source} if again else set()
        seen[packet.source, packet.data] = (time, packet.ident)


def header_size(body: bytes) -> int | None:
    """The bytes before the arguments or results; None where there are none, or RPCSEC_GSS may wrap them."""
    if len(body) < SHORTEST:
        return None
    msgtyp = int.from_bytes(body[4:8], "big")
    if msgtyp == REPLY and body[8:12] != bytes(4):
        return None
    at = 24 if msgtyp == CALL else 12
    if msgtyp == CALL and body[at : at + 4] == RPCSEC_GSS:
        return None
    for _ in range(2 - msgtyp):
        at += 8 + (int.from_bytes(body[at + 4 : at + 8], "big") + 3) // 4 * 4
    if msgtyp == REPLY:
        if body[at : at + 4] != bytes(4):
            return None
        at += 4
    return at if at <= len(body) else None


def stream_messages(segments: list[Packet], most: Most, asked: dict[int, Procedure | None]) -> Iterator[Message]:
    """The messages of one direction of one connection: from every possible start not read yet, as far as records go.

    `asked`: by xid, the calls of the other direction.
    """
    segments = [segment for segment in segments if segment.length > 0]
    places, place = [], segments[0].seq if segments else 0
    for segment in segments:  # sequence numbers wrap
        place += (segment.seq + bool(segment.flags & dpkt.tcp.TH_SYN) - place + 2**31) % 2**32 - 2**31
        places.append(place)
    starts = [place - min(places) for place in places]
    size = max((start + segment.length for start, segment in zip(starts, segments, strict=True)), default=0)
    data, captured, frame = np.zeros(size, np.uint8), np.zeros(size, np.bool_), np.zeros(size, np.uint32)
    for start, segment in zip(starts, segments, strict=True):
        fresh = frame[start : start + segment.length] == 0
        length = len(segment.data)
        data[start : start + length][fresh[:length]] = np.frombuffer(segment.data, np.uint8)[fresh[:length]]
        captured[start : start + length] |= fresh[:length]
        frame[start : start + segment.length][fresh] = segment.frame.number
    for island in np.split(frame, np.flatnonzero(np.diff(frame == 0)) + 1):
        np.maximum.accumulate(island, out=island)
    delivered = np.flatnonzero(frame)
    times = {segment.frame.number: segment.frame.time for segment in segments}
    starts = [match.start() for match in RECORD_START.finditer(data.tobytes())]

    def is_known(at: int) -> bool:
        found = record(data, captured, at)
        read = message(segments[0], 0, 0, found[1] if found else data[at + 4 :].tobytes())
        return read is not None and (read.msgtyp == CALL or read.xid in asked)

    def too_long(body: bytes, length: int) -> bool:
        read, header = message(segments[0], 0, 0, body), header_size(body)
        procedure = asked.get(read.xid) if read and read.msgtyp == REPLY else read[7:10] if read else None
        return header is not None and length - header > most.get((procedure, read.msgtyp), length)

    at = 0
    for start in starts:
        if start < at:
            continue
        at = start
        while found := record(data, captured, at):
            end, body = found
            last = end - 1
            if too_long(body, end - at - 4):
                inside = starts[bisect_left(starts, at + 4 + SHORTEST) : bisect_left(starts, end)]
                last = end = next(filter(is_known, inside), end)
                body, last = body[: end - at - 4], min(last, size - 1)
            number = int(frame[delivered[np.searchsorted(delivered, last)]])
            read = message(segments[0], number, times[number], body)
            if read is None:
                break
            yield read
            at = end


def record(data: NDArray[np.uint8], captured: NDArray[np.bool_], at: int) -> tuple[int, bytes] | None:
    """Where the record that starts here ends, and its bytes up to the first that was not captured."""
    end, last, pieces = at, 0, []
    while not last:
        if captured[end : end + 4].sum() != 4:
            return None
        mark = int.from_bytes(data[end : end + 4].tobytes(), "big")
        start, end, last = end + 4, end + 4 + (mark & 0x7FFFFFFF), mark >> 31
        if end > min(len(data), at + MAX_RECORD):
            return None
        pieces.append(np.arange(start, end))
    places = np.concatenate(pieces)
    cut = np.flatnonzero(~captured[places])
    return end, data[places[: cut[0] if len(cut) else None]].tobytes()


def calls_by_xid(conversation: list[Packet], most: Most) -> dict[int, Procedure | None]:
    """The procedure of each call; None where RPCSEC_GSS may wrap its body."""
    found = (each for each in stream_messages(conversation, most, {}) if each.msgtyp == CALL)
    return {each.xid: None if header_size(each.body) is None else each[7:10] for each in found}


def messages(capture: Iterable[Frame], most: Most | None = None) -> list[Message]:
    """Every message of a capture in the order of frames."""
    conversations: dict[tuple[int, Party, Party, int | None], list[Packet]] = defaultdict(list)
    opened: dict[frozenset[Party], int] = {}  # the number a connection began with, which tells it from an older one
    first: dict[tuple[Party, Party, int | None], int] = {}  # and the first number seen of each direction
    ends: dict[tuple[Party, Party], int] = {}  # where each direction of an open connection stands
    for packet in packets(capture):
        pair = frozenset((packet.source, packet.target))
        way = packet.source, packet.target
        if packet.flags & dpkt.tcp.TH_SYN and way in ends and packet.seq != opened.get(pair):
            odd = packet.flags & (dpkt.tcp.TH_FIN | dpkt.tcp.TH_RST | dpkt.tcp.TH_PUSH | dpkt.tcp.TH_URG)
            near = abs((packet.seq - ends[way] + 2**31) % 2**32 - 2**31) <= WINDOW
            near &= (packet.seq - first[*way, opened.get(pair)]) % 2**32 < 2**31
            if odd or packet.length or near:  # a damaged segment of a connection that goes on
                continue
        opens = packet.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK) == dpkt.tcp.TH_SYN
        if opens:
            opened[pair] = packet.seq
        if opens or packet.flags & (dpkt.tcp.TH_FIN | dpkt.tcp.TH_RST):
            ends.pop(way, None)
            ends.pop(way[::-1], None)
        elif packet.transport == TCP and packet.length:
            ends[way] = (packet.seq + packet.length) % 2**32
        first.setdefault((*way, opened.get(pair)), packet.seq)
        conversations[packet.transport, packet.source, packet.target, opened.get(pair)].append(packet)
    found: list[Message] = []
    for (transport, source, target, began), conversation in conversations.items():
        if transport == TCP:
            asked = calls_by_xid(conversations.get((transport, target, source, began), []), most) if most else {}
            found += stream_messages(conversation, most or {}, asked)
        else:
            found += datagram_messages(conversation, conversations.get((transport, target, source, began), []))
    return sorted(found, key=lambda each: each.frame)


def exchanges(found: Iterable[Message]) -> list[Exchange]:
    result: list[Exchange] = []
    history: dict[object, list[Exchange]] = defaultdict(list)
    for each in found:
        client, server = (each.source, each.target) if each.msgtyp == CALL else (each.target, each.source)
        past = history[each.transport, client[0], client[2], server, each.xid]
        if not (add_call if each.msgtyp == CALL else add_reply)(past, each):
            result.append(Exchange(each) if each.msgtyp == CALL else Exchange(None, each))
            past.append(result[-1])
    return result


def add_call(past: list[Exchange], call: Message) -> bool:
    """Whether it is a call seen before, perhaps from another port, or the call of a reply captured before it."""
    for exchange in reversed(past):
        first, reply = exchange.call, exchange.reply
        crossed = reply and reply.rpc_status == 0 and abs(call.time - reply.time) <= CROSSED_NS
        near = not reply or (crossed and reply.target == call.source)
        if first and near and (first[7:10], first.body) == (call[7:10], call.body):
            exchange.resends.append(call)
            return True
        if reply and not first and reply.target == call.source and call.time - reply.time <= EARLY_NS:
            exchange.call = call
            return True
    return False


def add_reply(past: list[Exchange], reply: Message) -> bool:
    """Whether it answers a call of its own flow, the newest first, or repeats the answer."""
    own = [exchange for exchange in past if reply.target in exchange.clients()]
    for exchange in reversed(own):
        if exchange.reply is None:
            exchange.reply = reply
            return True
    if own:
        own[-1].duplicates.append(reply)
    return bool(own)
