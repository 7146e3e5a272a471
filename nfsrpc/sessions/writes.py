"""The table of writes: which client wrote to which file, how often, in ten seconds, and between which bytes.

Decoders count what was done to a handle whether exchanges are listed or counted, bit by bit; here it becomes one row.
"""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import Source
from nfsrpc.decode import Columns, Decoded
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.sessions.paths import HandlePaths
from nfsrpc.tables import WRITES, Writes

KEY = ("capture", "client", "server", "handle", "interval")


def summed(accesses: Columns) -> Columns:
    """The sums with one row per key, in the order of the first."""
    order = np.argsort(accesses["first"], kind="stable")
    rows = {name: values[order] for name, values in accesses.items()}
    groups, first = group(*(rows[name] for name in KEY))
    result = {name: values[first] for name, values in rows.items()}
    result["exchanges"] = np.zeros(len(first), dtype=rows["exchanges"].dtype)
    np.add.at(result["exchanges"], groups, rows["exchanges"])
    np.minimum.at(result["first_byte"], groups, rows["first_byte"])
    np.maximum.at(result["last_byte"], groups, rows["last_byte"])
    latest = np.argsort(rows["last"], kind="stable")  # of several values for one place the last one stays
    for name in ("last", "last_frame"):
        result[name][groups[latest]] = rows[name][latest]
    order = np.lexsort((result["first_frame"], result["first"]))
    return {name: values[order] for name, values in result.items()}


def writes(decoded: Decoded, hosts: HostsByAddress, paths: HandlePaths) -> Writes:
    raw = summed(decoded.accesses)
    server = hosts.label(raw["server"])
    columns: dict[str, Source] = {
        **raw,
        "vantage": decoded.vantage[raw["capture"]],
        "client": lambda: hosts.label(raw["client"]),
        "server": server,
        "fh": lambda: decoded.text(raw["handle"], bytes.hex),
        "file": lambda: paths.files(server.codes, raw["handle"], raw["first"]),
    }
    return Writes(WRITES, len(raw["first"]), columns)
