"""A pcapng file written with dpkt: frames with a comment, their interface, time in ns, and length on the wire.

dpkt writes a packet's captured length for both of its lengths; the block below keeps the length on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from dpkt import pcapng

from nfsrpc.raw import Frame

NANOSECONDS = b"\x09"  # if_tsresol: 10^-9 s
NULL_TIME = -(2**63)


class EnhancedPacketBlock(pcapng.EnhancedPacketBlockLE):  # type: ignore[misc]
    """An enhanced packet block with both lengths: the captured one and that on the wire."""

    def __bytes__(self) -> bytes:
        options = self._do_pack_options()
        data = self.pkt_data + bytes(-len(self.pkt_data) % 4)
        size = self.__hdr_len__ + len(data) + len(options)
        head = self._pack_hdr(
            self.type, size, self.iface_id, self.ts_high, self.ts_low, len(self.pkt_data), self.pkt_len, size
        )
        return bytes(head[:-4] + data + options + head[-4:])


def option(code: int, data: bytes) -> Any:
    return pcapng.PcapngOptionLE(code=code, data=data)


def options(*pairs: tuple[int, bytes]) -> list[Any]:
    """The options that are not empty, and the end of options."""
    return [option(code, data) for code, data in (*pairs, (pcapng.PCAPNG_OPT_ENDOFOPT, b"")) if data or not code]


class Interfaces:
    """The interfaces of several files as those of one file; equal ones (in the files of a ring) are one."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.numbers: dict[tuple[int, int], int] = {}  # capture, interface -> number in the file written
        self.known: dict[tuple[Any, ...], int] = {}
        for row in sorted(rows, key=lambda row: (row["capture"], row["interface"])):
            key = (row["interface"], row["link_type"], row["name"], row["snaplen"])
            self.numbers[row["capture"], row["interface"]] = self.known.setdefault(key, len(self.known))

    def blocks(self) -> Iterable[bytes]:
        for _, link_type, name, snaplen in self.known:
            block = pcapng.InterfaceDescriptionBlockLE(linktype=link_type, snaplen=snaplen)
            block.opts = options(
                (pcapng.PCAPNG_OPT_IF_NAME, name.encode()), (pcapng.PCAPNG_OPT_IF_TSRESOL, NANOSECONDS)
            )
            yield bytes(block)


def write(
    file: BinaryIO, interfaces: Sequence[Mapping[str, Any]], frames: Iterable[tuple[Frame, str]], about: str
) -> int:
    """Writes frames with their comments, and a comment on the whole; returns the number of frames."""
    section = pcapng.SectionHeaderBlockLE()
    section.opts = options(
        (pcapng.PCAPNG_OPT_COMMENT, about.encode()), (pcapng.PCAPNG_OPT_SHB_USERAPPL, b"nfsrpc carve")
    )
    written = Interfaces(interfaces)
    file.write(bytes(section))
    file.writelines(written.blocks())
    count = 0
    for count, (frame, comment) in enumerate(frames, 1):  # noqa: B007 - the result
        file.write(packet(frame, written.numbers[frame.capture, frame.interface], comment))
    return count


def packet(frame: Frame, interface: int, comment: str) -> bytes:
    time = 0 if frame.time == NULL_TIME else frame.time
    block = EnhancedPacketBlock(
        iface_id=interface,
        ts_high=time >> 32 & 0xFFFFFFFF,
        ts_low=time & 0xFFFFFFFF,
        pkt_data=frame.bytes,
        pkt_len=frame.wire_len,
    )
    block.opts = options((pcapng.PCAPNG_OPT_COMMENT, comment.encode("utf-8", "backslashreplace")))
    return bytes(block)
