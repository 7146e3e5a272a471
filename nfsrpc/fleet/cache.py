"""Rows of nodes kept as Parquet at a URL, so that the next question, or one more node, costs only what is new.

An entry is a folder named by what it was made of: the version of nfsrpc, and of each file its name, size and time of
change (an ETag in a bucket), as fsspec's `ukey` has them. Its manifest is written last: an entry without one does not
count. An entry that cannot be read is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

from nfsrpc.extras import extra
from nfsrpc.fleet.arrow import NUMBERS, ArrowTable, packed, pyarrow, unpacked
from nfsrpc.fleet.places import stored
from nfsrpc.fleet.rows import NodeRows, VantageRows

MANIFEST = "node.json"
FORMAT = 2  # of an entry; a change makes all entries anew


def key_of(name: str, files: Sequence[str]) -> str:
    """The key of a node's rows; raises OSError for a file that is not there."""
    parts = [str(FORMAT), version("nfsrpc"), name]
    for file in files:
        system, path = located(stored(file))
        parts += [file, str(system.ukey(path))]
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def located(url: str) -> tuple[Any, str]:
    """The file system of a URL or path, and the path there."""
    system, path = extra("fleet", "fsspec", "a URL").core.url_to_fs(url)
    return system, path


def kept(cache: str, key: str) -> NodeRows | None:
    """The rows that the cache has; None where it has none, or none that can be read."""
    parquet = extra("fleet", "pyarrow.parquet", "a cache")
    system, folder = located(f"{cache.rstrip('/')}/{key}")
    try:
        manifest = json.loads(system.cat_file(f"{folder}/{MANIFEST}"))
        vantages = []
        for number, vantage in enumerate(manifest["vantages"]):
            tables = {}
            for name in vantage["tables"]:
                with system.open(f"{folder}/{number}.{name}.parquet", "rb") as file:
                    (tables[name],) = parquet.read_table(file).combine_chunks().to_batches()
            vantages.append(VantageRows(vantage["files"], packed(tables), vantage["lists"]))
        damages = {int(number): damage for number, damage in manifest["damages"].items()}
        skipped = [(path, reason, remedy) for path, reason, remedy in manifest["skipped"]]
        pairs = frozenset((client, server) for client, server in manifest["pairs"])
        known = manifest["rows"], pairs, frozenset(manifest["servers"])
        return NodeRows(manifest["name"], manifest["files"], vantages, damages, skipped, *known)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(cache: str, key: str, node: NodeRows) -> None:
    """Writes the rows of a node to the cache."""
    parquet, table_of = extra("fleet", "pyarrow.parquet", "a cache"), pyarrow().Table.from_batches
    system, folder = located(f"{cache.rstrip('/')}/{key}")
    system.makedirs(folder, exist_ok=True)
    names = []
    for number, vantage in enumerate(node.vantages):
        tables = unpacked(vantage.stream)
        names.append(list(tables))
        for name, table in tables.items():
            with system.open(f"{folder}/{number}.{name}.parquet", "wb") as file:
                parquet.write_table(table_of([table]), file, **encoding(table))
    manifest = {
        "name": node.name,
        "files": node.files,
        "damages": node.damages,
        "skipped": node.skipped,
        "rows": node.rows,
        "pairs": sorted(node.pairs),
        "servers": sorted(node.servers),
        "vantages": [
            {"files": vantage.files, "lists": vantage.lists, "tables": tables}
            for vantage, tables in zip(node.vantages, names, strict=True)
        ],
    }
    system.pipe_file(f"{folder}/{MANIFEST}", json.dumps(manifest).encode())


def encoding(table: ArrowTable) -> dict[str, Any]:
    """How Parquet writes a table: times and numbers as differences, for most rise, and dictionaries of none.

    That is half of what Parquet's defaults come to.
    """
    fields = zip(table.schema.names, table.schema.types, strict=True)
    numbers = [name for name, kind in fields if str(kind) in NUMBERS]
    differences = dict.fromkeys(numbers, "DELTA_BINARY_PACKED")
    return {
        "compression": "zstd",
        "use_dictionary": False,
        "write_statistics": False,
        "column_encoding": differences,
    }
