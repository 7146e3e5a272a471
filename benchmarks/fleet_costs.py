"""What a fleet costs: the rows of a node in bytes, its tasks in processor seconds, and what several workers gain.

    python -m benchmarks.fleet_costs [--nodes 200] [--packets 1000000]

The first table is of the bench's captures, each as the ring of one node; the second of a fleet that fleet.py makes. Its
tasks are run one after the other in this process, and then on local clusters, in turns, of which the least is printed.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, TypeVar

from benchmarks import fleet, traffic
from nfsrpc.fleet import cache, run
from nfsrpc.fleet.judging import judged
from nfsrpc.fleet.places import captures_of, nodes
from nfsrpc.fleet.rows import rows_of

WORKERS = (1, 2)
TURNS = 3
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What some work returns, and its processor seconds."""
    begun = process_time()
    return work(), process_time() - begun


def rows_of_one_node(folder: Path, packets: int) -> None:
    print("capture      ring MB   listed   sent %   cached %   decoded s   judged s")
    for name, write in traffic.CAPTURES.items():
        ring = folder / f"{name}.pcap"
        write(ring, packets)
        node, decoded = timed(lambda ring=ring: rows_of("node", [str(ring)]))  # type: ignore[misc]
        _, judging = timed(lambda node=node: judged([node]))  # type: ignore[misc]
        cache.keep(str(folder), name, node)
        size, kept = ring.stat().st_size, sum(file.stat().st_size for file in (folder / name).iterdir())
        listed = sum(len(vantage.batch["exchanges"]["exchange"]) for vantage in node.vantages)
        shares = f"{100 * node.size / size:8.2f} {100 * kept / size:10.2f}"
        print(f"{name:10} {size / 1e6:9.0f} {listed:8} {shares} {decoded:11.2f} {judging:10.2f}")
        ring.unlink()


def tasks(folder: Path) -> None:
    found = nodes([str(folder)])[0]
    rows, decode = timed(lambda: [rows_of(node.name, captures_of(node)) for node in found])
    _, alone = timed(lambda: [judged([node]) for node in rows])
    _, together = timed(lambda: judged(rows))
    print(f"\nprocessor s: decode {decode:.1f}, each node by itself {alone:.1f}, together {together:.1f}")


def workers(folder: Path) -> None:
    distributed: Any = import_module("distributed")
    logging.disable(logging.INFO)
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    clusters = {number: distributed.LocalCluster(n_workers=number, **options) for number in WORKERS}
    least = dict.fromkeys(WORKERS, float("inf"))
    for _ in range(TURNS):
        for number, cluster in clusters.items():
            with distributed.Client(cluster) as client:
                begun = perf_counter()
                run.analyze([str(folder)], client)
                least[number] = min(least[number], perf_counter() - begun)
    for cluster in clusters.values():
        cluster.close()
    for number, seconds in least.items():
        print(f"{number} workers: {seconds:.1f} s, {least[WORKERS[0]] / seconds:.2f} ×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--packets", type=int, default=1_000_000)
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows_of_one_node(folder, options.packets)
        fleet.write(folder / "fleet", nodes=options.nodes, servers=8, ill=3, rounds=2)
        tasks(folder / "fleet")
        workers(folder / "fleet")


if __name__ == "__main__":
    main()
