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
from nfsrpc.fleet.places import located, refusing, stored
from nfsrpc.fleet.rows import NodeRows, VantageRows
from nfsrpc.sources import SourceError

MANIFEST = "node.json"
FORMAT = 2  # of an entry; a change makes all entries anew
# By which backups leave a cache out: https://bford.info/cachedir/
CACHEDIR_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"
HTTP = ("http://", "https://")


def key_of(name: str, files: Sequence[str]) -> str:
    """The key of a node's rows. Raises SourceError for a file that is not there, or that may change unseen."""
    parts = [str(FORMAT), version("nfsrpc"), name]
    for file in files:
        parts += [file, state_of(stored(file))]
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def state_of(file: str) -> str:
    """What is different when the file has changed. Raises SourceError."""
    system, path = located(file)
    with refusing(file, "cannot be looked up"):
        system.invalidate_cache()  # of listings
        if not file.startswith(HTTP):
            return str(system.ukey(path))
        known = system.info(path)  # for fsspec a page never changes
    if not any(known.get(field) for field in ("ETag", "Last-Modified")):
        raise SourceError(file, "has neither an ETag nor a time of change")
    return str(sorted(known.items()))


def check(cache: str) -> None:
    """Raises SourceError where nothing can be written to a cache."""
    extra("fleet", "pyarrow.parquet", "a cache")
    system, folder = located(cache.rstrip("/"))
    with refusing(cache, "cannot be written"):
        system.makedirs(folder, exist_ok=True)
        system.pipe_file(f"{folder}/CACHEDIR.TAG", CACHEDIR_TAG)


def kept(cache: str, key: str) -> NodeRows | None:
    """The rows that the cache has; None where it has none, or none that can be read."""
    parquet = extra("fleet", "pyarrow.parquet", "a cache")
    system, folder = located(f"{cache.rstrip('/')}/{key}")
    try:
        with refusing(cache, "cannot be read"):
            manifest = json.loads(system.cat_file(f"{folder}/{MANIFEST}"))
        vantages = []
        for number, vantage in enumerate(manifest["vantages"]):
            tables = {}
            for name in vantage["tables"]:
                with refusing(cache, "cannot be read"), system.open(f"{folder}/{number}.{name}.parquet", "rb") as file:
                    (tables[name],) = parquet.read_table(file).combine_chunks().to_batches()
            vantages.append(VantageRows(vantage["files"], packed(tables), vantage["lists"]))
        damages = {int(number): damage for number, damage in manifest["damages"].items()}
        skipped = [(path, reason, remedy) for path, reason, remedy in manifest["skipped"]]
        pairs = frozenset((client, server) for client, server in manifest["pairs"])
        known = manifest["rows"], pairs, frozenset(manifest["servers"])
        return NodeRows(manifest["name"], manifest["files"], vantages, damages, skipped, *known)
    except (SourceError, ValueError, KeyError, TypeError):
        return None


def keep(cache: str, key: str, node: NodeRows) -> None:
    """Writes the rows of a node to the cache. Raises SourceError."""
    with refusing(cache, "cannot be written"):
        write(cache, key, node)


def write(cache: str, key: str, node: NodeRows) -> None:
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
