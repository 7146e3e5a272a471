"""Internet checksums (RFC 1071) of frames that are written anew: right ones are right again, and wrong ones wrong.

What a network card would have completed is kept as it was (core/src/checksum.rs): no checksum, or the sum of the
pseudo-header alone. What cannot be verified, because the snaplen cut the frame, becomes 0.
"""

from __future__ import annotations

from typing import NamedTuple

ALL_ONES = 0xFFFF


class Checksum(NamedTuple):
    """A checksum, the bytes that it is of, and those of the pseudo-header, before and after."""

    at: int
    begin: int
    end: int
    pseudo: bytes = b""
    new_pseudo: bytes = b""
    cut: bool = False

    def put(self, data: bytes, out: bytearray) -> None:
        """Writes the checksum of what was written."""
        if self.at + 2 > len(data):
            return
        before = int.from_bytes(data[self.at : self.at + 2], "big")
        value = 0 if self.cut else self.renewed(before, data, out)
        out[self.at : self.at + 2] = value.to_bytes(2, "big")

    def renewed(self, before: int, data: bytes, out: bytearray) -> int:
        out[self.at : self.at + 2] = bytes(2)
        pseudo, new_pseudo = total(self.pseudo), total(self.new_pseudo)
        error = (pseudo + total(data[self.begin : self.end])) % ALL_ONES
        if error and before == 0:
            return 0
        if error and self.pseudo and before % ALL_ONES == pseudo % ALL_ONES:
            return new_pseudo % ALL_ONES or ALL_ONES
        right = ALL_ONES - (new_pseudo + total(out[self.begin : self.end])) % ALL_ONES
        return (right + error) % ALL_ONES or ALL_ONES


def total(data: bytes | bytearray) -> int:
    """The sum of words, the last one filled up with zeros, modulo 2^16 - 1: that of one large number is the same."""
    return int.from_bytes(data + bytes(len(data) % 2), "big") % ALL_ONES
