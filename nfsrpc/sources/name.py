"""Names of files: as text for every output, and without the part that tcpdump counts up in a ring."""

from __future__ import annotations

import re
from pathlib import PurePath


def shown_name(name: str) -> str:
    r"""A file's name for reports and tables: bytes that are no UTF-8, which Python holds as surrogates, are escaped.

    >>> shown_name("caf\udce9.pcap")
    'caf\\udce9.pcap'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def ring_name(file: str) -> str:
    """A file's name without the part that tcpdump counts up: trace.pcap12, trace-20260101-1200.pcap."""
    return re.sub(r"\d+", "", PurePath(file).name)
