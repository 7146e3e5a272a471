"""The core alone: python -m benchmarks.core FILE prints its seconds, packets and bytes as JSON.

The file is read as `analyze` reads it, with the fields of messages that `analyze` asks for, and what it counts is
counted; nothing is made of the columns. Imports and the compilation of the layouts are not counted.
"""

import json
import sys
from time import perf_counter, process_time

from nfsrpc._core import Decoder, Layouts
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.reading import ASKED_EVERY, DRAIN_ROWS, SECONDARY, WRITES
from nfsrpc.sessions import COUNTING, WANTED
from nfsrpc.sources import open_source


def main() -> None:
    layouts, stop_at = Layouts(*compile(PROTOCOLS, WANTED), SECONDARY), (DRAIN_ROWS, ASKED_EVERY)
    decoder = Decoder(layouts, fold=COUNTING.procedures, by_handle=WRITES, stop_at=stop_at)
    wall, cpu, size = perf_counter(), process_time(), 0
    for chunk in open_source(sys.argv[1]):
        full = decoder.feed(chunk)
        size += len(chunk)
        while full:
            decoder.drain()
            full = decoder.go_on()
    frames = int(decoder.close()["captures"]["frames"].sum())
    print(json.dumps({"wall": perf_counter() - wall, "cpu": process_time() - cpu, "frames": frames, "bytes": size}))


if __name__ == "__main__":
    main()
