"""What `nfsrpc analyze` takes for hostile captures of a million packets: python -m benchmarks.reach [NAME…].

Each of `ATTACKS` is made of a sixteenth, a quarter and all of so many packets, on disk, and analysed by a fresh process
of the installed command: its peak of resident memory and its processor time. Of what comes many in one packet there
are as many as packets. The table that is printed is one of Markdown. All of them take an hour or two.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.attacks import ATTACKS, Writer
from benchmarks.run import GROWING, NFSRPC, Measure, last_line, run

PACKETS = 1_000_000
FEW = 2_000  # of a kind, of which packets are counted; and twice as many
PARTS = [f"n / {part}" if part > 1 else "n" for part in GROWING]
COLUMNS = ("attack", "n", *(f"{what}, {part}" for what in ("MB", "s") for part in PARTS), "s per packet, × of n / 4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*ATTACKS, []], metavar="NAME", help="of benchmarks/attacks.py")
    parser.add_argument("--packets", type=int, default=PACKETS, help="in the largest capture of each")
    arguments = parser.parse_args()
    for line in table(arguments.names or list(ATTACKS), arguments.packets):
        print(line, flush=True)


def table(names: Sequence[str], packets: int) -> Iterator[str]:
    yield row(COLUMNS)
    yield row(["---"] * len(COLUMNS))
    for name in names:
        sizes = [number_of(name, packets // part) for part in GROWING]
        try:
            found = [measured(name, n) for n in sizes]
        except subprocess.CalledProcessError as error:
            yield row([name, str(sizes[-1]), f"failed: {last_line(error.stderr)}"])
            continue
        memory = [f"{one.memory / 1e6:.0f}" for one in found]
        seconds = [f"{one.cpu:.1f}" for one in found]
        growth = found[2].cpu / sizes[2] / (found[1].cpu / sizes[1])
        yield row([name, str(sizes[-1]), *memory, *seconds, f"{growth:.1f}"])


def row(cells: Sequence[str]) -> str:
    """
    >>> row(["a", "1"])
    '| a | 1 |'
    """
    return f"| {' | '.join(cells)} |"


def number_of(name: str, packets: int) -> int:
    """How many of what an attack is named after make so many packets; at most one per packet."""
    few, more = frames_of(name, FEW), frames_of(name, 2 * FEW)
    return max(1, min(packets, FEW + (packets - few) * FEW // max(more - few, 1)))


def frames_of(name: str, n: int) -> int:
    writer = Writer()
    ATTACKS[name](writer, n)
    return writer.count


def measured(name: str, n: int) -> Measure:
    """What `analyze` takes. Another process makes the capture: a process has at least the peak of its parent."""
    with TemporaryDirectory() as directory:
        capture = Path(directory) / f"{name}.pcapng"
        subprocess.run([sys.executable, "-m", "benchmarks.attacks", name, str(n), capture], check=True)
        return run([NFSRPC, "analyze", capture])[0]


if __name__ == "__main__":
    main()
