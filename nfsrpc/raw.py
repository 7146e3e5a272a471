"""Messages, frames and packets as they were captured: the files of a trace are read again for some of them.

They go through decoders in the same order as the first time (decode.py), so that frames, flows and exchanges have the
same numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nfsrpc._core import Decoder, Layouts
from nfsrpc.decode import Columns, Decoded, FileReader, Progress, refusing
from nfsrpc.protocols import Program, compile  # noqa: A004
from nfsrpc.sources import read_again

UNREACHABLE = 1  # kind of a packet: an ICMP message that another one did not arrive; 0 are segments and datagrams


class Message(NamedTuple):
    """An RPC message, from its xid on: as far as it was captured and stored (bulk data is not)."""

    capture: int
    frame: int  # in which it is complete
    exchange: int
    reply: bool
    copy: int  # 0 the first call or reply of its exchange, n the n-th further one
    length: int  # on the wire
    lost: bool  # a part was not captured
    bytes: bytes


class Frame(NamedTuple):
    """A frame as its file has it."""

    capture: int
    frame: int
    time: int
    interface: int  # of its file
    link_type: int
    wire_len: int
    bytes: bytes


class Raw(NamedTuple):
    messages: list[Message]
    frames: list[Frame]
    packets: Columns  # capture, frame, flow, source, source_port, tcp_flags, length, kind


def reread(
    decoded: Decoded,
    frames: Collection[tuple[int, int]] = (),
    flows: Collection[int] = (),
    programs: Sequence[Program] = (),
    progress: Progress | None = None,
) -> Raw:
    """Frames (capture, number), the messages that are complete in them, and the packets of some flows.

    Of messages of these programs all fields are kept, of others the header. Raises SourceError, and ValueError where a
    capture cannot be read a second time.
    """
    parts = list(rereading(decoded, frames, flows, programs, progress))
    packets = {name: np.concatenate([part.packets[name] for part in parts]) for name in parts[0].packets}
    return Raw(
        [row for part in parts for row in part.messages], [row for part in parts for row in part.frames], packets
    )


def rereading(
    decoded: Decoded,
    frames: Collection[tuple[int, int]] = (),
    flows: Collection[int] = (),
    programs: Sequence[Program] = (),
    progress: Progress | None = None,
) -> Iterator[Raw]:
    """Frames, messages and packets as `reread` returns them, in parts, for those that are too large to hold at once."""
    reader = FileReader([read_again(source) for source in decoded.sources], progress)
    layouts = Layouts(*compile(programs))
    numbers = {address: number for number, address in enumerate(decoded.addresses)}
    places = {capture: place for files in decoded.vantages for place, capture in enumerate(files)}
    wanted = defaultdict[int, list[tuple[int, int]]](list)  # frames by the first file of their vantage
    for capture, frame in frames:
        if capture not in places:
            continue
        wanted[decoded.vantages[decoded.vantage[capture]][0]].append((places[capture], frame))
    followed = sorted(flows)
    starts = [bisect_left(followed, flow) for _, flow in decoded.firsts]
    for files, firsts, begin, end in zip(
        decoded.vantages, decoded.firsts, starts, [*starts[1:], len(followed)], strict=True
    ):
        keep, follow = wanted[files[0]], [flow - firsts[1] for flow in followed[begin:end]]
        hosts: list[int] = []
        for batch in batches(Decoder(layouts, files[0], keep=keep, follow=follow), files, reader):
            hosts += [numbers[address] for address in batch["addresses"]]
            yield renumbered(batch, files, firsts, hosts)


def batches(decoder: Decoder, files: Sequence[int], reader: FileReader) -> Iterator[dict[str, Any]]:
    for number in files:
        with refusing(str(reader.files[number])):
            for chunk in reader.chunks(number):
                decoder.feed(chunk)
                yield decoder.drain()
            decoder.next_capture()
    yield decoder.close()


def renumbered(batch: Mapping[str, Any], files: Sequence[int], firsts: tuple[int, int], hosts: Sequence[int]) -> Raw:
    """The batch of a decoder with the trace's numbers of captures, exchanges, flows and addresses."""
    first_exchange, first_flow = firsts
    packets: Columns = batch["packets"]
    return Raw(
        [
            Message(**row | {"capture": files[row["capture"]], "exchange": first_exchange + row["exchange"]})
            for row in batch["messages"]
        ],
        [Frame(**row | {"capture": files[row["capture"]]}) for row in batch["frames"]],
        packets
        | {
            "capture": np.array(files, dtype=np.uint16)[packets["capture"]],
            "flow": packets["flow"] + np.uint32(first_flow),
            "source": np.array([hosts[number] for number in packets["source"].tolist()], dtype=np.uint32),
        },
    )
