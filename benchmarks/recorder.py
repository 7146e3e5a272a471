"""The cost of `nfsrpc record -`: python -m benchmarks.recorder.

It gets the packets of fifty clients of which a fifth of the exchanges are about locks: 100,000 a second, none, and a
week's at once, in which each client opens its connections anew every day. Processor time and memory are those of
proc(5). Nothing is lost where the ring has the frames that a decoder
at its leisure keeps of the same capture.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import monotonic, sleep
from typing import IO, NamedTuple

from benchmarks import traffic
from benchmarks.live import FILE_HEADER, FIRST, NFSRPC, Rate, frame_ends, paced, peak_memory, processor_time
from benchmarks.traffic import SMALL
from nfsrpc._core import Decoder
from nfsrpc.record.ring import terms
from nfsrpc.record.segment import PACKET, blocks

FRAMES = 1_000_000
CLIENTS = 50
LOCKS = 0.1  # LOCK, and as many UNLOCK
RATES = (Rate("100 000 packets/s", 100_000, 9.0), Rate("nothing comes", 0, 20))
DAYS, FRAMES_A_DAY = 7, 150_000
DAY_US = 86_400_000_000
SIZE = "512M"


class Cost(NamedTuple):
    share: float  # of a core
    memory: float  # MB, the peak
    delivered: int
    kept: int  # frames in the ring
    lost: int


def main() -> None:
    with TemporaryDirectory() as folder:
        capture = Path(folder, "mixed.pcap")
        mixed(capture)
        data = capture.read_bytes()
        title = "nfsrpc record - (a fifth NLM, 50 hosts)"
        print(f"\n{title:40}{'% of a core':>12}{'peak MB':>9}{'delivered':>11}{'in the ring':>13}{'lost':>6}")
        for rate in RATES:
            cost = record(data, rate, Path(folder, rate.title.replace("/", " ")))
            figures = f"{cost.share:12.2%}{cost.memory:9.0f}{cost.delivered:11}{cost.kept:13}{cost.lost:6}"
            print(f"{rate.title:40}{figures}", flush=True)
        days = list(week(Path(folder)))
        print("memory after each day of a week, MB     " + "".join(f"{memory:7.1f}" for memory, _ in days))
        print("ring on disk after each day, MB         " + "".join(f"{size:7.1f}" for _, size in days))


def mixed(path: Path, frames: int = FRAMES, length_us: int = FRAMES * SMALL.frame_us, day: int = 0) -> None:
    """A capture of the mix: `traffic.SMALL` with more clients, more locks, and its own length."""
    ordinary = tuple(share * (1 - 2 * LOCKS) / 0.9 for share in SMALL.shares[: traffic.LOCK])
    mix = traffic.Mix(
        shares=(*ordinary, LOCKS, LOCKS, SMALL.shares[traffic.GETPORT]),
        clients=CLIENTS,
        frame_us=length_us // frames,
        start_us=SMALL.start_us + day * DAY_US,
        seed=SMALL.seed + day,
    )
    traffic.mixed(mix, path, frames)


def started(directory: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [NFSRPC, "record", "-", "--directory", directory, "--size", SIZE, "--format", "jsonl", "--no-drop"]
    return subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=output)


def record(data: bytes, rate: Rate, directory: Path) -> Cost:
    ends = frame_ends(data)
    with TemporaryFile() as output:
        process = started(directory, output)
        assert process.stdin
        process.stdin.write(data[: ends[FIRST]])
        process.stdin.flush()
        sleep(3.0)
        before, began = processor_time(process.pid), monotonic()
        delivered = paced(process.stdin, data, ends, rate)
        share = (processor_time(process.pid) - before) / (monotonic() - began)
        memory = peak_memory(process.pid)
        process.stdin.close()
        process.wait()
    kept = sum(packets(file.read_bytes()) for file in directory.glob("ring-*"))
    decoder = Decoder(ring=terms(nfs=True))
    decoder.feed(data[: ends[FIRST]])
    expected = decoder.take_kept(True)[1]  # as in the pause after the start
    decoder.feed(data[ends[FIRST] : ends[delivered]])
    decoder.close()
    return Cost(share, memory, delivered, kept, expected + decoder.take_kept(True)[1] - kept)


def packets(data: bytes) -> int:
    return sum(kind == PACKET for kind, _, _ in blocks(data))


def week(folder: Path) -> Iterator[tuple[float, float]]:
    """Memory of the recorder and size of its ring, in MB, after each day of a week that passes at once."""
    directory = folder / "week"
    with TemporaryFile() as output:
        process = started(directory, output)
        assert process.stdin
        for day in range(DAYS):
            capture = folder / "day.pcap"
            mixed(capture, FRAMES_A_DAY, DAY_US - 10_000_000, day)
            process.stdin.write(capture.read_bytes()[FILE_HEADER if day else 0 :])
            process.stdin.flush()
            sleep(3.0)
            size = sum(file.stat().st_size for file in directory.glob("ring-*"))
            yield memory_now(process.pid), size / 1e6
        process.stdin.close()
        process.wait()


def memory_now(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
