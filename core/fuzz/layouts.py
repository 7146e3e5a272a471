"""Writes the layouts of some protocols, and the tables they fill, as the fuzz targets read them: words in lines.

All would be slow to make anew for each of a million runs; others differ in what they name, not in what they are of.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.protocols import compile, program  # noqa: A004

SOME = ("portmap2", "rpcbind4", "mount3", "nfs3", "nlm4", "nsm1")


def lines() -> Iterator[str]:
    layouts, tables = compile(program(protocol) for protocol in SOME)
    for table, columns in tables:
        yield " ".join(["table", table, *(f"{name}:{kind}" for name, kind in columns)])
    for *head, operations, keep, most in layouts:
        yield " ".join(map(str, ["layout", *head, keep, most]))
        for operation in operations:
            code, a, b, c, *extra = operation
            pairs = [value if isinstance(value, tuple) else (value, 0) for values in extra for value in values]
            yield " ".join(map(str, ["op", code, a, b, c, *(f"{value}:{target}" for value, target in pairs)]))


if __name__ == "__main__":
    print(*lines(), sep="\n")
