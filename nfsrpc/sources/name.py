"""Names of files as text for every output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

SEPARATOR = "://"  # of a URL, behind its scheme


def shown_name(name: str) -> str:
    r"""A file's name for reports and tables: bytes that are no UTF-8, which Python holds as surrogates, are escaped.

    >>> shown_name("caf\udce9.pcap")
    'caf\\udce9.pcap'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def short_names(files: Sequence[str]) -> list[str]:
    """The names of files without their folders; of several folders with the last one, which is the node's name.

    >>> short_names(["ring/a.pcap0", "ring/a.pcap1"]), short_names(["/srv/node1/a.pcap", "/srv/node2/a.pcap"])
    (['a.pcap0', 'a.pcap1'], ['node1/a.pcap', 'node2/a.pcap'])
    """
    paths = [PurePath(file) for file in files]
    if len({path.parent for path in paths}) == 1:
        names = [path.name for path in paths]
    else:
        names = ["/".join(path.parts[-2:]) for path in paths]
    counts = Counter(names)
    return [name if counts[name] == 1 else file for name, file in zip(names, files, strict=True)]
