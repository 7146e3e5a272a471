"""Payloads put together: fragments of datagrams, records of streams, and what bytes are a message at all."""

import struct

import pytest

from nfsrpc.carving.headers import UDP, FrameWriter, Packet
from nfsrpc.carving.payloads import MAX_AGE, MAX_NUMBER, Datagram, Direction, MessageHead, agreeing, datagrams, head
from nfsrpc.carving.pseudonyms import Pseudonyms

ONE, OTHER = b"\x0a\1\x54\x1f", b"\x0a\1\x54\x29"


def packet(data: bytes, offset: int = 0, more: bool = False, ident: int = 7) -> FrameWriter:
    """A frame that holds nothing else."""
    frame = FrameWriter(data, len(data), Pseudonyms(b"key"))
    frame.packet = Packet(UDP, ONE, OTHER, OTHER, ONE, ident, offset, more, 0, len(data), len(data))
    return frame


def joined(*frames: FrameWriter, times: tuple[int, ...] = ()) -> list[tuple[bytes, int | None]]:
    found = datagrams(frames, times or [0] * len(frames))
    return [(each.data, each.length) for each in found]


def test_fragments_in_any_order() -> None:
    first, second, last = packet(b"abcdefgh", 0, True), packet(b"ijklmnop", 8, True), packet(b"qrs", 16)
    whole = (b"abcdefghijklmnopqrs", 19)
    assert joined(first, second, last) == joined(last, first, second) == joined(first, first, second, last) == [whole]
    assert joined(first, last) == [(b"abcdefgh", 19)]
    assert joined(second, last) == [(b"", 19)]
    assert joined(first, second) == [(b"abcdefghijklmnop", None)]


def test_an_identification_comes_again() -> None:
    """With other bytes, with another length, or after the time that fragments are waited for."""
    first, last = packet(b"abcdefgh", 0, True), packet(b"xyz", 8)
    other, longer = packet(b"ABCDEFGH", 0, True), packet(b"wxyz", 8)
    assert joined(first, last, other, last) == [(b"abcdefghxyz", 11), (b"ABCDEFGHxyz", 11)]
    assert joined(first, last, longer) == [(b"abcdefghxyz", 11), (b"", 12)]
    assert joined(first, last, times=(0, MAX_AGE)) == [(b"abcdefghxyz", 11)]
    assert joined(first, last, times=(0, MAX_AGE + 1)) == [(b"abcdefgh", None), (b"", 11)]


def test_bytes_that_differ_are_zero() -> None:
    assert agreeing(b"abcd", b"abcd", b"wxyz") == b"wxyz"
    assert agreeing(b"abXd", b"abcd", b"wxyz") == b"wx\0z"


def call(prog: int = 100003, vers: int = 3, proc: int = 1, size: int = 0, version: int = 2) -> bytes:
    return struct.pack("!8I", 77, 0, version, prog, vers, proc, 1, size)


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (call(), True),
        (call(version=3), False),
        (call(prog=0), False),
        (call(vers=MAX_NUMBER), True),
        (call(vers=MAX_NUMBER + 1), False),
        (call(vers=MAX_NUMBER + 1, proc=0), True),
        (call(proc=MAX_NUMBER), True),
        (call(proc=MAX_NUMBER + 1), False),
        (call(size=400), True),
        (call(size=401), False),
        (call()[:20], True),
        (call()[:19], False),
        (struct.pack("!5I", 77, 1, 0, 0, 400), True),
        (struct.pack("!5I", 77, 1, 0, 0, 401), False),
        (struct.pack("!5I", 77, 1, 0, 8, 0), False),
        (struct.pack("!5I", 77, 1, 1, 1, 2), True),
        (struct.pack("!5I", 77, 1, 2, 0, 0), False),
        (struct.pack("!5I", 77, 2, 0, 0, 0), False),
    ],
)
def test_what_is_a_message(data: bytes, known: bool) -> None:
    assert (head(data) is not None) == known


def test_the_header_of_a_call() -> None:
    assert head(call()) == MessageHead(77, 0, 100003, 3, 1, 1)


def stream(*segments: tuple[int, bytes]) -> Direction:
    """One direction of a connection, of segments with their sequence numbers."""
    built = Direction(((ONE, 700), (OTHER, 2049)))
    for frame, (seq, data) in enumerate(segments):
        whole = Packet(6, ONE, OTHER, OTHER, ONE, 0, 0, False, 0, len(data), len(data))
        built.add(Datagram(whole, [(frame, 0, 0, len(data))], data, len(data), 0), 0, seq)
    built.join()
    return built


def record(body: bytes, last: bool = True) -> bytes:
    return struct.pack("!I", len(body) | last << 31) + body


def test_records_over_several_segments_and_fragments() -> None:
    message = call() + b"arguments of it"
    bytes_ = record(message[:24], False) + record(message[24:]) + record(call(proc=2))
    for cut in range(1, len(bytes_)):
        found = list(stream((2**32 - 9, bytes_[:cut]), ((cut - 9) % 2**32, bytes_[cut:])).records())
        assert [each.data for each in found] == [message, call(proc=2)]


def test_records_behind_a_hole() -> None:
    bytes_ = record(call() + bytes(100)) + record(call(proc=2)) + record(call(proc=3))
    middle = len(record(call() + bytes(100))) - 20
    # Lost: the end of the first and the beginning of the second one.
    found = list(stream((0, bytes_[:middle]), (middle + 40, bytes_[middle + 40 :])).records())
    assert [each.data[20:24] for each in found] == [call(proc=1)[20:24], call(proc=3)[20:24]]
    assert len(found[0].data) == middle - 4


def test_the_first_delivery_of_a_byte_counts() -> None:
    built = stream((0, b"abcd"), (2, b"CDEF"), (0, b"ABCDEFGH"))
    assert [bytes(island.data) for island in built.islands] == [b"abcdEFGH"]
