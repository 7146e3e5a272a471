"""What the core is profiled on when `make wheel` builds it: python -m benchmarks.training [PACKETS].

The compiler lays the core out for what it does most here. The captures of the bench are read as `analyze` reads them
(ordinary exchanges counted, batches thinned) and as `table` does (all listed), with one back end and with two. So are
some frames of each hostile kind: code that never runs in training is compiled for size, not for speed.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.attacks import ATTACKS, FileWriter
from benchmarks.traffic import CAPTURES
from nfsrpc.reading import read
from nfsrpc.sessions import COUNTING, WANTED

PACKETS = 60_000  # of each capture; of bulk, thousands of bytes


def hostile(path: Path, size: int) -> None:
    """A capture of all hostile kinds, one after the other, of `size` things in all."""
    with path.open("wb") as file:
        writer = FileWriter(file)
        for attack in ATTACKS.values():
            attack(writer, size // len(ATTACKS))


def main(packets: int) -> None:
    with TemporaryDirectory() as directory:
        for name, make in (CAPTURES | {"hostile": hostile}).items():
            path = Path(directory) / name
            make(path, packets)
            for jobs in (1, 2):
                read([path], WANTED, counting=COUNTING, jobs=jobs)
                read([path], jobs=jobs)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PACKETS)
