"""Rows of nodes kept as Parquet at a URL, so that the next question, or one more node, costs only what is new.

An entry is a folder named by what decides the rows: the version of nfsrpc, and of each file its bytes and with which
its name makes a ring. So a ring that was moved, copied or touched is not decoded again. An index names the entry of
files by their paths, sizes and times of change, so that the bytes of unchanged files are not read again either.
What lies in a bucket is told apart by the checksum of its store; at other URLs by address, size and time of change.
All that is read is held to its digest: an entry that is damaged, or written only in part, is made anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from nfsrpc.extras import extra
from nfsrpc.fleet.arrow import LISTS, NUMBERS, ArrowTable, packed, pyarrow, unpacked
from nfsrpc.fleet.places import Node, located, refusing, stored
from nfsrpc.fleet.rows import NodeRows, VantageRows
from nfsrpc.sources import Capture, SourceError
from nfsrpc.sources.archive import Member
from nfsrpc.sources.in_memory import InMemory
from nfsrpc.sources.name import SEPARATOR
from nfsrpc.sources.rings import ring_name
from nfsrpc.sources.source import Readable

MANIFEST = "node.json"
INDEX = "index"
FORMAT = 3  # of an entry; a change makes all entries anew
# By which backups leave a cache out: https://bford.info/cachedir/
CACHEDIR_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"
HTTP = ("http://", "https://")
CHECKSUMS = {"s3": "ETag", "s3a": "ETag", "gs": "md5Hash", "gcs": "md5Hash"}  # of the bytes, at any address
ACCESSED = ("time", "accessTime")  # when a file was read last: of sftp and webhdfs
CHUNK = 1 << 20  # of a file that is read for its digest


def key_of(captures: Sequence[Capture]) -> str:
    """The key of the rows of a node's captures, wherever they lie. Raises SourceError."""
    return named_by([*alike(list(map(str, captures))), *map(content, captures)])


def alike(files: Sequence[str]) -> list[str]:
    """Which of the files may be one ring by their names: the same for files that were moved together.

    >>> alike(["n1/a.pcap0", "n1/a.pcap1", "n2/a.pcap0"]), alike(["n1/cl1.pcap", "n1/cl2.pcap"])
    (['0 1', '0 1', '2 3'], ['0 1', '2 1'])
    """
    numbers: dict[tuple[object, ...], int] = {}
    names = ((os.path.dirname(file), ring_name(file)) for file in files)
    return [
        " ".join(
            str(numbers.setdefault((folder, kind, getattr(name, kind)), len(numbers)))
            for kind in name._fields
            if getattr(name, kind) is not None
        )
        for folder, name in names
    ]


def state_of(files: Sequence[str]) -> str:
    """The name that the index has for files as they are now. Raises SourceError for one that is not there."""
    return named_by([part for file in files for part in (file, change(stored(file)))])


def named_by(parts: Sequence[str]) -> str:
    return digest("\0".join([str(FORMAT), version("nfsrpc"), *parts]).encode("utf-8", "surrogateescape"))


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def content(capture: Capture) -> str:
    """What is the same for the same bytes; at a URL without checksums, for a file that is there and has not changed."""
    name = str(capture)
    if isinstance(capture, InMemory):
        field = CHECKSUMS.get(name.partition(SEPARATOR)[0], "")
        checksum = looked_up(name).get(field)
        return str(checksum) if checksum else f"{name} {change(name)}"
    found = sha256()  # which processors have instructions for
    with refusing(name, "cannot be read"), closing(begun(capture)) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def begun(capture: str | Member) -> Readable:
    """A capture's bytes as they are stored."""
    return open(capture, "rb") if isinstance(capture, str) else capture.begin()


def change(file: str) -> str:
    """What is different when a file has changed. Raises SourceError for one that may change unseen."""
    if SEPARATOR not in file:
        with refusing(file, "cannot be looked up"):
            now = os.stat(file)
        return str((now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))
    known = looked_up(file)
    if file.startswith(HTTP) and not any(known.get(field) for field in ("ETag", "Last-Modified")):
        raise SourceError(file, "has neither an ETag nor a time of change")
    return str(sorted((field, value) for field, value in known.items() if field not in ACCESSED))


def looked_up(url: str) -> dict[str, Any]:
    """What the file system of a URL knows of it now. Raises SourceError."""
    system, path = located(url)
    with refusing(url, "cannot be looked up"):
        system.invalidate_cache()  # of listings
        return dict(system.info(path))


def check(cache: str) -> None:
    """Raises SourceError where nothing can be written to a cache."""
    extra("fleet", "pyarrow.parquet", "a cache")
    write(cache, "", {"CACHEDIR.TAG": CACHEDIR_TAG})


def key_in_index(cache: str, state: str) -> str | None:
    """The key of the rows of files in this state; None where the index has none."""
    try:
        return read(cache, f"{INDEX}/{state}").decode()
    except SourceError:
        return None


def add_to_index(cache: str, state: str, key: str) -> None:
    """Notes the key of the rows of files in this state. Raises SourceError."""
    write(cache, INDEX, {state: sealed(key.encode())})


def kept(cache: str, key: str, node: Node) -> NodeRows | None:
    """The rows that the cache has under a key, as those of a node; None where it has none, or none that is whole."""
    try:
        with refusing(cache, "cannot be read"):
            manifest, numbers = json.loads(read(cache, f"{key}/{MANIFEST}")), range(len(node.files))
            vantages = [
                VantageRows(
                    [numbers.index(file) for file in vantage["files"]],
                    packed(tables(cache, f"{key}/{number}", vantage["tables"])),
                    {name: vantage["lists"][name] for name in LISTS},
                )
                for number, vantage in enumerate(manifest["vantages"])
            ]
            pairs = frozenset((client, server) for client, server in manifest["pairs"])
            known = manifest["rows"], pairs, frozenset(manifest["servers"])
    except SourceError:
        return None
    return NodeRows(node.name, list(node.files), vantages, {}, [], *known) if vantages else None


def tables(cache: str, prefix: str, digests: Mapping[str, str]) -> dict[str, ArrowTable]:
    """The tables of a vantage. Raises SourceError, and what pyarrow raises."""
    parquet, buffer = extra("fleet", "pyarrow.parquet", "a cache"), pyarrow().BufferReader
    found = {}
    for name, expected in digests.items():
        data = read(cache, f"{prefix}.{name}.parquet", expected)
        (found[name],) = parquet.read_table(buffer(data)).combine_chunks().to_batches()
    return found


def keep(cache: str, key: str, node: NodeRows) -> None:
    """Writes the rows of a node all of whose files were read. Raises SourceError."""
    parquet, table_of = extra("fleet", "pyarrow.parquet", "a cache"), pyarrow().Table.from_batches
    vantages, files = [], dict[str, bytes]()
    for number, vantage in enumerate(node.vantages):
        digests = {}
        for name, table in unpacked(vantage.stream).items():
            sink = pyarrow().BufferOutputStream()
            parquet.write_table(table_of([table]), sink, **encoding(table))
            files[f"{number}.{name}.parquet"] = data = sink.getvalue().to_pybytes()
            digests[name] = digest(data)
        vantages.append({"files": vantage.files, "lists": vantage.lists, "tables": digests})
    manifest = {
        "rows": node.rows,
        "pairs": sorted(node.pairs),
        "servers": sorted(node.servers),
        "vantages": vantages,
    }
    files[MANIFEST] = sealed(json.dumps(manifest).encode())
    write(cache, key, files)


def sealed(data: bytes) -> bytes:
    """Some bytes after their digest."""
    return f"{digest(data)}\n".encode() + data


def read(cache: str, name: str, expected: str = "") -> bytes:
    """A file of a cache, of this digest or, without it, sealed. Raises SourceError for one that is damaged."""
    system, folder = located(cache.rstrip("/"))
    with refusing(cache, "cannot be read"):
        data: bytes = system.cat_file(f"{folder}/{name}")
        if not expected:
            first, _, data = data.partition(b"\n")
            expected = first.decode()
    if digest(data) != expected:
        raise SourceError(cache, f"{name} is damaged")
    return data


def write(cache: str, folder: str, files: Mapping[str, bytes]) -> None:
    """Writes files to a folder of a cache. Raises SourceError."""
    system, folder = located(f"{cache.rstrip('/')}/{folder}".rstrip("/"))
    with refusing(cache, "cannot be written"):
        system.makedirs(folder, exist_ok=True)
        system.pipe({f"{folder}/{name}": data for name, data in files.items()})


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
