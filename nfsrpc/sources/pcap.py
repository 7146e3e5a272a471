"""Headers of pcap files (draft-ietf-opsawg-pcap), for live sources that write, cut or join streams of records.

The core decodes captures, whatever their format. Needed before it are only the first frame's time, by which files of a
ring are put in order, the ends of whole records, and the header of a stream that this process writes itself.
"""

from __future__ import annotations

import struct
import sys

FILE_HEADER, RECORD_HEADER = 24, 16  # bytes
MAX_SNAPLEN = 1 << 18  # MAXIMUM_SNAPLEN of libpcap
SNAPLEN = slice(16, 20)  # in the header of a file
NANOSECONDS = 0xA1B23C4D  # magic number of files with times in ns
# magic number, as it lies in the file -> byte order, and units per second
FORMATS = {
    bytes.fromhex("d4c3b2a1"): ("<", 10**6),
    bytes.fromhex("a1b2c3d4"): (">", 10**6),
    bytes.fromhex("4d3cb2a1"): ("<", 10**9),
    bytes.fromhex("a1b23c4d"): (">", 10**9),
}
# The variant with longer records, of Linux patches by Alexey Kuznetsov; the core reads it.
MODIFIED = (bytes.fromhex("a1b2cd34"), bytes.fromhex("34cdb2a1"))


def file_header(link_type: int) -> bytes:
    """The header of a file with times in ns and whole frames, in the byte order of this machine."""
    return struct.pack("=IHHiIII", NANOSECONDS, 2, 4, 0, 0, MAX_SNAPLEN, link_type)


def record(time: int, frame: bytes) -> bytes:
    """A whole frame as a record of such a file; `time` in ns since the epoch."""
    return struct.pack("=IIII", time // 10**9, time % 10**9, len(frame), len(frame)) + frame


def with_largest_snaplen(header: bytes) -> bytes:
    """The header of a file of this machine's byte order, with the largest snap length instead of its own."""
    return header[: SNAPLEN.start] + MAX_SNAPLEN.to_bytes(4, sys.byteorder) + header[SNAPLEN.stop :]


def first_time(head: bytes) -> float | None:
    """The time of the first frame, in s since the epoch, by the first bytes of a file; None if it is not there."""
    order, units = FORMATS.get(head[:4], ("", 0))
    if not units or len(head) < FILE_HEADER + 8:
        return None
    seconds, fraction = struct.unpack_from(f"{order}II", head, FILE_HEADER)
    return float(seconds + fraction / units)


def end_of_records(data: bytes) -> int:
    """The end of the last whole record in data that begins with one, in the byte order of this machine."""
    at = end = 0
    while at <= len(data):
        end = at
        at += RECORD_HEADER + int.from_bytes(data[at + 8 : at + 12], sys.byteorder)
    return end
