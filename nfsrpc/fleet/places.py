"""Which captures are whose: names, folders and URLs to nodes.

Each folder, and each subfolder, is a node's and has its name, wherever it lies: on this machine, or at a URL of fsspec
(`s3://`, `gs://`, `abfs://`, `hdfs://`, `sftp://`, `http://`). A file that is found at a URL keeps the URL's host, by
which a worker opens it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path as File
from pathlib import PurePosixPath
from textwrap import shorten
from typing import Any, NamedTuple

from nfsrpc.extras import extra
from nfsrpc.sources import Capture, SourceError, find_captures
from nfsrpc.sources.find import CAPTURE_NAME
from nfsrpc.sources.in_memory import InMemory
from nfsrpc.sources.name import SEPARATOR
from nfsrpc.sources.source import Readable

PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
LONGEST = 200  # of what a package says; pyarrow lists each place where it looked for libjvm
ON_DISK = "file://"
ARCHIVES = (".tar", ".tgz", ".gz", ".zst", ".xz", ".zip")  # of which each file beside its folders is a node's
BLOCK = 8 << 20  # read from a bucket at a time, while the last piece is decoded


class Node(NamedTuple):
    """A node, and the names or URLs of its captures."""

    name: str
    files: tuple[str, ...]


def nodes(traces: Iterable[str]) -> tuple[list[Node], list[SourceError]]:
    """The nodes that these traces name, each file once, and what names none."""
    found: dict[tuple[str, str], list[str]] = {}  # by folder and name: nodes of two folders are two
    claimed: set[str] = set()
    errors: list[SourceError] = []
    for trace in traces:
        try:
            for each in files_of(trace):
                if isinstance(each, SourceError):
                    errors.append(each)
                elif each[1] not in claimed:
                    claimed.add(each[1])
                    found.setdefault((str(PurePosixPath(each[1]).parent), each[0]), []).append(each[1])
        except SourceError as error:
            errors.append(error.with_traceback(None))
    names = told_apart(list(found))
    return [Node(name, tuple(files)) for name, files in zip(names, found.values(), strict=True)], errors


def told_apart(nodes: list[tuple[str, str]]) -> list[str]:
    """The names of nodes; of those that share a name the folders as well.

    >>> told_apart([("a/web", "web"), ("b/web", "web"), ("a/db", "db")])
    ['a/web', 'b/web', 'db']
    """
    counts = Counter(name for _, name in nodes)
    shared = [folder if PurePosixPath(folder).name == name else f"{folder}/{name}" for folder, name in nodes]
    return [name if counts[name] == 1 else long for (_, name), long in zip(nodes, shared, strict=True)]


def files_of(trace: str) -> Iterator[tuple[str, str] | SourceError]:
    """The captures of a trace, each with the name of its node, and one error for each file that cannot be read."""
    trace = trace.removeprefix(ON_DISK)
    if SEPARATOR in trace:
        yield from remote(trace)
        return
    for found in find_captures([trace]):
        yield found if isinstance(found, SourceError) else (node_name(str(found), trace), str(found))


def stored(file: str) -> str:
    """The file on disk, or the URL, of a capture: the archive that holds it, for a member of one."""
    if SEPARATOR in file or os.path.isfile(file):
        return file
    return next((str(parent) for parent in File(file).parents if parent.is_file()), file)


def remote(url: str) -> Iterator[tuple[str, str]]:
    """The captures at a URL: a file, a wildcard, or a folder with its subfolders."""
    if password := PASSWORD.search(url):
        shown = url.replace(password[0], "://***@")
        raise SourceError(shown, "reports would show its password", "leave it out; FSSPEC_SFTP_PASSWORD may hold it")
    system, path = located(url)
    with refusing(url, "cannot be listed"):
        paths = system.glob(path) if any(sign in path for sign in "*?[") else [path]
        files = [file for each in paths for file in (system.find(each) if system.isdir(each) else [each])]
    captures = [file for file in sorted(files) if len(files) == 1 or CAPTURE_NAME.search(file)]
    if not captures:
        raise SourceError(url, "holds no capture")
    for file in captures:
        yield node_name(file, path), url_of(file, url, path) or system.unstrip_protocol(file)


def url_of(file: str, url: str, path: str) -> str:
    """The URL of a file that was found at a URL, of which this is the path; empty where it cannot be told.

    fsspec leaves out the host, where that is not a part of the path.

    >>> url_of("/rings/n1/a.pcap", "sftp://me@host:22/rings/", "/rings/"), url_of("b/n1/a.pcap", "s3://b/", "b")
    ('sftp://me@host:22/rings/n1/a.pcap', 's3://b/n1/a.pcap')
    """
    before, found, after = url.rpartition(path) if path else ("", "", "")
    return f"{before}{file}{after.rstrip('/')}" if found else ""


def located(url: str) -> tuple[Any, str]:
    """The file system of a URL or path, and the path there. Raises SourceError."""
    core = extra("fleet", "fsspec", "a URL").core
    try:
        system, path = core.url_to_fs(url)
    except ImportError as error:
        raise SourceError(url, str(error), f"pip install what {url.partition(SEPARATOR)[0]}:// needs") from error
    except Exception as error:  # of a scheme that is unknown, or of the package that looks for credentials
        raise SourceError(url, f"is no URL that can be used: {one_line(str(error))}") from error
    return system, path


@contextmanager
def refusing(url: str, what: str) -> Iterator[None]:
    """Turns what the package raises that reads a URL, credentials that are missing among it, into a SourceError."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        raise SourceError(url, f"{what}: {one_line(why)}") from error


def one_line(text: str) -> str:
    return shorten(text, LONGEST, placeholder=" …")


def node_name(file: str, trace: str) -> str:
    """The name of a file's node: its own where it was named itself, else that of its folder.

    >>> node_name("rings/node-7/trace.pcap3", "rings"), node_name("rings/a.tar/node-8/x.pcap", "rings/a.tar")
    ('node-7', 'node-8')
    >>> node_name("rings/node-9.pcap", "rings/node-9.pcap"), node_name("rings/a.tar/node-10.pcap", "rings/a.tar")
    ('node-9', 'node-10')
    """
    path = PurePosixPath(file)
    own = file == trace or path.parent.suffix in ARCHIVES
    return path.name.partition(".")[0] if own or not path.parent.name else path.parent.name


def captures_of(node: Node) -> list[Capture]:
    """The captures of a node, which the worker that decodes them opens."""
    found: list[Capture] = []
    for place, files in groupby(node.files, key=stored):
        mine = set(files)
        if SEPARATOR in place:
            found.append(remote_capture(place))
        elif mine == {place}:
            found.append(place)
        else:
            members = (each for each in find_captures([place]) if not isinstance(each, SourceError))
            found += [each for each in members if str(each) in mine]
    return found


def remote_capture(url: str) -> InMemory:
    return InMemory(url, lambda: RemoteFile(url), once=False)


class RemoteFile:
    """A file at a URL, of which each error while it is opened or read is a SourceError."""

    def __init__(self, url: str) -> None:
        self.url = url
        system, path = located(url)
        with refusing(url, "cannot be opened"):
            self.file: Readable = system.open(path, "rb", block_size=BLOCK)

    def read(self, size: int, /) -> bytes:
        with refusing(self.url, "cannot be read"):
            return self.file.read(size)

    def close(self) -> None:
        with suppress(SourceError), refusing(self.url, "cannot be closed"):
            self.file.close()
