"""Compressed streams, recognised by their first bytes and decompressed as they arrive.

The decompressors of bz2, lzma, zstd and lz4 share one protocol (`decompress(data, max_length)`, `eof`, `needs_input`,
`unused_data`); zlib is adapted to it, so one loop serves all five. A stream is a sequence of members (gzip RFC 1952
§2.2, zstd frames RFC 8878 §3, xz streams), perhaps with zero padding between them. Output is asked for in bounded
pieces: a small input that expands without end costs no memory. Modules are imported when a stream needs them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple, Protocol

# `xz -9` asks for 65 MiB to decompress; a header may ask for 4 GiB.
XZ_MEMORY = 100 << 20


class Decompressor(Protocol):
    """One member of a stream. With `needs_input` false, `decompress(b"", n)` gives more of what it has been fed."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Codec(NamedTuple):
    """How decompression of a member begins, and the exception that bad bytes raise."""

    begin: Callable[[], Decompressor]
    error: type[Exception]


class Compression(NamedTuple):
    name: str
    magic: tuple[bytes, ...]
    load: Callable[[], Codec]


class Damaged(Exception):
    """A compressed stream is cut or broken; raised after everything that could be decompressed."""


class GzipMember:
    """zlib's decompressor with the protocol of the others."""

    def __init__(self) -> None:
        import zlib

        self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with gzip's header and trailer
        self._full = False
        self._before, self._fed = self._stream, b""

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        # zlib may have taken all its input and still hold output that did not fit.
        return not self._full and not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._before, self._fed = self._stream.copy(), self._stream.unconsumed_tail + data
        output = self._stream.decompress(self._fed, max_length)
        self._full = len(output) == max_length
        return output

    def salvage(self) -> bytes:
        """The output before the break in the last input: zlib drops it, so the input is fed again, byte by byte."""
        import zlib

        found: list[bytes] = []
        with suppress(zlib.error):
            found.extend(self._before.decompress(self._fed[at : at + 1]) for at in range(len(self._fed)))
        return b"".join(found)


def _gzip() -> Codec:
    import zlib

    return Codec(GzipMember, zlib.error)


def _zstd() -> Codec:
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        from backports import zstd
    return Codec(zstd.ZstdDecompressor, zstd.ZstdError)


def _xz() -> Codec:
    import lzma

    return Codec(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY), lzma.LZMAError)


def _bz2() -> Codec:
    import bz2

    return Codec(bz2.BZ2Decompressor, OSError)


def _lz4() -> Codec:
    import lz4.frame

    return Codec(lz4.frame.LZ4FrameDecompressor, RuntimeError)


# pzstd begins a file with a skippable frame (RFC 8878 §3.1.2: 0x184D2A50 to 0x184D2A5F).
SKIPPABLE = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))
COMPRESSIONS = (
    Compression("gzip", (b"\x1f\x8b\x08",), _gzip),
    Compression("zstd", (b"\x28\xb5\x2f\xfd", *SKIPPABLE), _zstd),
    Compression("xz", (b"\xfd7zXZ\x00",), _xz),
    Compression("bzip2", (b"BZh",), _bz2),
    Compression("lz4", (b"\x04\x22\x4d\x18",), _lz4),
)
LONGEST_MAGIC = max(len(magic) for compression in COMPRESSIONS for magic in compression.magic)


def recognise(head: bytes) -> Compression | None:
    """The compression of a stream that begins with `head`, or None for plain bytes.

    >>> recognise(bytes.fromhex("28b52ffd0458")).name
    'zstd'
    >>> recognise(bytes.fromhex("d4c3b2a10200")) is None
    True
    """
    return next((compression for compression in COMPRESSIONS if head.startswith(compression.magic)), None)


def decompress(compression: Compression, data: Iterable[bytes], max_length: int) -> Iterator[bytes]:
    """The decompressed bytes in pieces of at most `max_length`; at a break in the stream, `Damaged`."""
    begin, error = compression.load()
    member, between_members = begin(), False
    for chunk in data:
        while True:
            if between_members:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    break
                member, between_members = begin(), False
            try:
                piece = member.decompress(chunk, max_length)
            except error as reason:
                if isinstance(member, GzipMember) and (piece := member.salvage()):
                    yield piece
                raise Damaged(f"its {compression.name} stream is damaged: {reason}") from reason
            if piece:
                yield piece
            if member.eof:
                chunk, between_members = member.unused_data or b"", True
            elif member.needs_input:
                break
            else:
                chunk = b""
    if not between_members:
        raise Damaged(f"its {compression.name} stream is cut off")
