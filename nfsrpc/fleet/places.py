"""Which captures are whose: names, folders and URLs to nodes.

The files of a folder are a ring; each subfolder is a node's, and its name is the node's, wherever the folder lies: on
this machine, or at a URL of fsspec (`s3://`, `gs://`, `abfs://`, `hdfs://`, `sftp://`, `http://`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from nfsrpc.extras import extra
from nfsrpc.sources import Capture, SourceError, find_captures
from nfsrpc.sources.find import CAPTURE_NAME
from nfsrpc.sources.in_memory import InMemory
from nfsrpc.sources.source import Readable

SEPARATOR = "://"
BLOCK = 8 << 20  # read from a bucket at a time, while the last piece is decoded


class Node(NamedTuple):
    """A node, and the names or URLs of its captures."""

    name: str
    files: tuple[str, ...]


def nodes(traces: Iterable[str]) -> tuple[list[Node], list[SourceError]]:
    """The nodes that these traces name, each once, and what names none."""
    found: dict[str, list[str]] = {}
    errors: list[SourceError] = []
    for trace in traces:
        try:
            for name, file in files_of(trace):
                found.setdefault(name, []).append(file)
        except SourceError as error:
            errors.append(error.with_traceback(None))
    return [Node(name, tuple(dict.fromkeys(files))) for name, files in found.items()], errors


def files_of(trace: str) -> Iterator[tuple[str, str]]:
    """The captures of a trace, each with the name of its node."""
    if SEPARATOR in trace:
        yield from remote(trace)
        return
    if not os.path.isdir(trace):
        for found in find_captures([trace]):
            if isinstance(found, SourceError):
                raise found
            yield node_name(found, os.path.dirname(trace)), found
        return
    folders = [trace, *sorted(os.path.join(trace, name) for name in os.listdir(trace))]
    rings = [folder for folder in folders if os.path.isdir(folder) and holds_files(folder)]
    for folder in rings:
        for found in find_captures([folder]):
            if not isinstance(found, SourceError):
                yield os.path.basename(os.path.normpath(folder)), found
    if not rings:
        raise SourceError(trace, "holds no capture")


def holds_files(folder: str) -> bool:
    return any(os.path.isfile(os.path.join(folder, name)) for name in os.listdir(folder))


def remote(url: str) -> Iterator[tuple[str, str]]:
    """The captures at a URL: a file, a wildcard, or a folder with its subfolders."""
    scheme = url.partition(SEPARATOR)[0]
    try:
        system, path = extra("fleet", "fsspec", "a URL").core.url_to_fs(url)
    except ImportError as error:
        raise SourceError(url, str(error), f"pip install what {scheme}:// needs") from error
    except ValueError as error:
        raise SourceError(url, f"is no URL that can be read: {error}") from error
    try:
        paths = system.glob(path) if any(sign in path for sign in "*?[") else [path]
        files = [file for each in paths for file in (system.find(each) if system.isdir(each) else [each])]
    except OSError as error:
        raise SourceError(url, f"cannot be listed: {error.strerror or error}") from error
    captures = [file for file in sorted(files) if len(files) == 1 or CAPTURE_NAME.search(file)]
    if not captures:
        raise SourceError(url, "holds no capture")
    for file in captures:
        yield node_name(file, path), system.unstrip_protocol(file)


def node_name(file: str, folder: str) -> str:
    """The name of a file's node: its folder's, or its own where the folder was not named for nodes."""
    path = PurePosixPath(file)
    inside = path.parent != PurePosixPath(folder) or not path.suffix
    return path.parent.name if inside and path.parent.name else path.name.partition(".")[0]


def captures_of(node: Node) -> list[Capture]:
    """The captures of a node, to be opened by whoever decodes them."""
    return [remote_capture(file) if SEPARATOR in file else file for file in node.files]


def remote_capture(url: str) -> InMemory:
    def begin() -> Readable:
        system, path = extra("fleet", "fsspec", "a URL").core.url_to_fs(url)
        try:
            file: Any = system.open(path, "rb", block_size=BLOCK)
        except OSError as error:
            raise SourceError(url, f"cannot be opened: {error.strerror or error}") from error
        return file  # type: ignore[no-any-return]

    return InMemory(url, begin, once=False)
