"""Any packing of the same bytes gives the same bytes; what cannot be read is one line that names the file and why."""

import bz2
import gzip
import lzma
import os
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import lz4.frame
import pytest

from nfsrpc.sources import Source, SourceError, find_captures, open_source
from nfsrpc.sources.source import CHUNK_SIZE

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),  # as zstd(1) does
    "xz": lzma.compress,
    "bzip2": lambda data: bz2.compress(data, 1),  # of a block, 100 kB at this level, there is all or nothing
    "lz4": lz4.frame.compress,
}
packed = pytest.mark.parametrize("compression", PACKERS)
# Compresses a little, and is longer than several blocks of every compressor's.
PLAIN = random.Random(1).randbytes(200_000) + bytes(300_000) + random.Random(2).randbytes(100_000)


def chunks_of(path: Path, chunk_size: int = CHUNK_SIZE) -> tuple[Source, bytes]:
    source = open_source(path, chunk_size)
    return source, b"".join(source)


def written(directory: Path, data: bytes, name: str = "trace.pcap") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def test_plain_bytes_come_as_they_are(tmp_path: Path) -> None:
    source, data = chunks_of(written(tmp_path, PLAIN))
    assert data == PLAIN
    assert (source.name, source.size, source.position) == (str(tmp_path / "trace.pcap"), 600_000, 600_000)
    assert (source.compression, source.damage) == (None, None)


@packed
def test_compression_is_told_by_content_whatever_the_name(tmp_path: Path, compression: str) -> None:
    content = PACKERS[compression](PLAIN)
    for name in ("trace.pcap", "trace.gz", "trace.zst"):
        source, data = chunks_of(written(tmp_path, content, name))
        assert data == PLAIN
        assert (source.compression, source.size, source.position) == (compression, len(content), len(content))
        assert source.damage is None


def test_a_plain_capture_named_gz_is_plain(tmp_path: Path) -> None:
    source, data = chunks_of(written(tmp_path, PLAIN, "trace.pcap.gz"))
    assert (source.compression, data) == (None, PLAIN)


@packed
def test_several_members_are_one_stream(tmp_path: Path, compression: str) -> None:
    pack = PACKERS[compression]
    source, data = chunks_of(written(tmp_path, pack(PLAIN) + pack(b"second") + pack(b"") + pack(PLAIN)))
    assert data == PLAIN + b"second" + PLAIN
    assert source.damage is None


@packed
@pytest.mark.parametrize("chunk_size", [1, 7, 4096, 1 << 20])
def test_any_chunk_size_gives_the_same_bytes(tmp_path: Path, compression: str, chunk_size: int) -> None:
    pack = PACKERS[compression]
    plain = PLAIN[199_000:203_000]
    path = written(tmp_path, pack(plain) + pack(plain))
    chunks = list(open_source(path, chunk_size))
    assert b"".join(chunks) == plain * 2
    assert max(map(len, chunks)) <= chunk_size


@pytest.mark.parametrize("chunk_size", [1, 7, 4096])
def test_any_chunk_size_gives_the_same_plain_bytes(tmp_path: Path, chunk_size: int) -> None:
    assert chunks_of(written(tmp_path, PLAIN[:4100]), chunk_size)[1] == PLAIN[:4100]


@packed
def test_zeros_that_expand_without_end_come_in_bounded_chunks(tmp_path: Path, compression: str) -> None:
    path = written(tmp_path, PACKERS[compression](bytes(50 << 20)))
    sizes = [len(chunk) for chunk in open_source(path)]
    assert (sum(sizes), max(sizes)) == (50 << 20, CHUNK_SIZE)


@packed
def test_a_stream_cut_off_gives_what_there_is_and_says_so(tmp_path: Path, compression: str) -> None:
    content = PACKERS[compression](PLAIN)
    source, data = chunks_of(written(tmp_path, content[: len(content) * 9 // 10]))
    assert PLAIN.startswith(data)
    assert len(data) >= 199_000
    assert source.damage == f"its {compression} stream is cut off"


@packed
def test_every_cut_in_the_second_member_leaves_the_first(tmp_path: Path, compression: str) -> None:
    first, second = PACKERS[compression](b"first"), PACKERS[compression](b"second")
    for end in range(1, len(second)):
        source, data = chunks_of(written(tmp_path, first + second[:end]))
        assert data.startswith(b"first")
        assert b"firstsecond".startswith(data)
        assert source.damage, end


@packed
def test_a_stream_cut_before_its_first_byte_is_an_error(tmp_path: Path, compression: str) -> None:
    path = written(tmp_path, PACKERS[compression](PLAIN)[:9])
    with pytest.raises(SourceError, match=rf"trace\.pcap: its {compression} stream is cut off"):
        chunks_of(path)


@packed
def test_a_compressed_nothing_is_an_error(tmp_path: Path, compression: str) -> None:
    with pytest.raises(SourceError, match=f"holds nothing, compressed with {compression}"):
        chunks_of(written(tmp_path, PACKERS[compression](b"")))


@packed
def test_a_broken_stream_gives_what_came_before_and_says_so(tmp_path: Path, compression: str) -> None:
    pack = PACKERS[compression]
    prose = b"".join(b"%d lockd: server not responding, " % count for count in range(20_000))
    broken = bytearray(pack(prose))
    broken[len(broken) // 2 : len(broken) // 2 + 64] = b"\xff" * 64
    source, data = chunks_of(written(tmp_path, pack(b"first") + broken), chunk_size=4096)
    assert data.startswith(b"first" + prose[:1000])
    assert len(data) < len(prose)
    assert source.damage is not None
    assert source.damage.startswith(f"its {compression} stream is damaged: ")
    assert "\n" not in source.damage


def test_of_gzip_all_counts_that_stands_before_the_break(tmp_path: Path) -> None:
    """zlib drops what a piece of input held before its break; here all is one piece."""
    noise = random.Random(8).randbytes(100_000)
    broken = bytearray(gzip.compress(noise))
    broken[50_000:50_064] = b"\xff" * 64
    source, data = chunks_of(written(tmp_path, bytes(broken)))
    assert data[:49_000] == noise[:49_000]
    assert source.damage is not None


@packed
def test_a_stream_broken_from_its_first_byte_is_an_error(tmp_path: Path, compression: str) -> None:
    head = PACKERS[compression](PLAIN)[:6]
    with pytest.raises(SourceError, match=f"its {compression} stream is"):
        chunks_of(written(tmp_path, head + b"\xff" * 1000))


@packed
def test_padding_after_the_stream_is_no_damage_but_other_bytes_are(tmp_path: Path, compression: str) -> None:
    content = PACKERS[compression](PLAIN)
    assert chunks_of(written(tmp_path, content + bytes(512)))[0].damage is None
    source, data = chunks_of(written(tmp_path, content + b"no member of any kind"))
    assert data == PLAIN
    assert source.damage is not None


def test_zstd_may_begin_with_a_skippable_frame(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"
    source, data = chunks_of(written(tmp_path, skippable + zstd.compress(PLAIN)))
    assert (data, source.compression, source.damage) == (PLAIN, "zstd", None)


def test_flushed_gzip_is_read_as_far_as_it_was_written(tmp_path: Path) -> None:
    """tcpdump | gzip, interrupted: the trailer is missing."""
    stream = zlib.compressobj(wbits=31)
    content = stream.compress(PLAIN) + stream.flush(zlib.Z_SYNC_FLUSH)
    source, data = chunks_of(written(tmp_path, content))
    assert (data, source.damage) == (PLAIN, "its gzip stream is cut off")


def test_position_grows_with_the_compressed_input(tmp_path: Path) -> None:
    content = gzip.compress(random.Random(3).randbytes(1 << 20))
    source = open_source(written(tmp_path, content), 1 << 16)
    positions = [source.position for _ in source]
    assert positions == sorted(positions)
    assert source.position == source.size == len(content)


# --- standard input and pipes

READ_STDIN = """
import sys
from nfsrpc.sources import open_source
source = open_source("-")
data = b"".join(source)
print(source.name, source.size, source.compression, len(data), source.position)
"""


@pytest.mark.parametrize("compression", [None, *PACKERS])
def test_standard_input_plain_or_compressed(compression: str | None) -> None:
    content = PACKERS[compression](PLAIN) if compression else PLAIN
    run = subprocess.run([sys.executable, "-c", READ_STDIN], input=content, capture_output=True, check=True)
    assert run.stdout.decode().strip() == f"standard input None {compression} 600000 {len(content)}"


def test_a_pipe_that_gives_its_magic_byte_by_byte() -> None:
    read_end, write_end = os.pipe()
    content = gzip.compress(b"slow")
    with subprocess.Popen([sys.executable, "-c", READ_STDIN], stdin=read_end, stdout=subprocess.PIPE) as process:
        os.close(read_end)
        for byte in content:
            os.write(write_end, bytes([byte]))
            time.sleep(0.001)
        os.close(write_end)
        assert process.stdout is not None
        assert process.stdout.read().decode().split()[2:4] == ["None", "gzip"]


def test_a_chunk_of_a_live_pipe_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "live"
    os.mkfifo(fifo)
    script = f"import time; f = open({str(fifo)!r}, 'wb', 0); f.write(b'packet 1'); time.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        chunks: Iterator[bytes] = iter(open_source(fifo))
        assert next(chunks) == b"packet 1"
        process.kill()
        assert list(chunks) == []


def test_the_interpreter_ends_while_a_read_waits() -> None:
    script = "from nfsrpc.sources import open_source\nprint(next(iter(open_source('-'))))"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"packet 1")
        process.stdin.flush()
        assert process.stdout.read() == b"b'packet 1'\n"
        assert process.wait(10) == 0


# --- what cannot be read


def complaint(path: str | Path) -> str:
    with pytest.raises(SourceError) as caught:
        b"".join(open_source(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing() -> None:
    assert complaint("/nowhere/trace.pcap") == "/nowhere/trace.pcap: no such file"


def test_a_url() -> None:
    what_to_do = "(it looks like a URL: nfsrpc analyze --dask reads those)"
    assert complaint("s3://b/x") == f"s3://b/x: no such file {what_to_do}"
    (wildcard,) = find_captures(["s3://b/*.pcap"])
    assert str(wildcard) == f"s3://b/*.pcap: no file matches {what_to_do}"


def test_a_directory(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"{tmp_path}: is a directory"


def test_empty(tmp_path: Path) -> None:
    path = written(tmp_path, b"")
    assert complaint(path).startswith(f"{path}: is empty")


def test_empty_standard_input() -> None:
    run = subprocess.run([sys.executable, "-c", READ_STDIN], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.stderr.splitlines()[-1].startswith("nfsrpc.sources.error.SourceError: standard input: is empty")


def test_not_permitted(tmp_path: Path, unprivileged: None) -> None:
    assert complaint(tmp_path / "trace.pcap").startswith(f"{tmp_path}/trace.pcap: permission denied (")


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """A file that even root's tests may not read: they put root's rights away meanwhile."""
    written(tmp_path, PLAIN).chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_an_error_while_reading_names_the_file() -> None:
    # Reading /proc/self/mem at 0 fails with EIO.
    assert complaint("/proc/self/mem") == "/proc/self/mem: cannot be read: Input/output error"


def test_a_compression_that_python_was_built_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, lzma.compress(PLAIN))
    monkeypatch.setitem(sys.modules, "lzma", None)
    assert complaint(path).endswith(f"(xz -dc {path} | nfsrpc … -)")


def test_an_xz_header_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    content = bytearray(lzma.compress(PLAIN, filters=filters))
    # Stream header 12 bytes; block header: size, flags, filter id 0x21, size of properties 1, dictionary size code.
    assert content[14:16] == b"\x21\x01"
    content[16] = 40  # 4 GiB - 1
    header_end = 12 + (content[12] + 1) * 4
    content[header_end - 4 : header_end] = zlib.crc32(content[12 : header_end - 4]).to_bytes(4, "little")
    assert "Memory usage limit" in complaint(written(tmp_path, bytes(content)))


def test_importing_sources_is_cheap() -> None:
    script = "import sys; import nfsrpc.sources; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "numpy", "lz4", "lzma", "bz2", "zlib", "backports.zstd", "compression.zstd"} & set(modules)
