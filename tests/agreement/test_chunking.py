"""The same rows, whatever pieces the bytes of a capture come in, and however often rows are taken meanwhile."""

from collections import defaultdict
from typing import Any

import pytest

from nfsrpc._core import Decoder, Layouts
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from tests.captures_dir import Capture, captures

BLOCK = 65_536
ODD = 4_093  # a prime: it divides no header
BYTE_BY_BYTE = 200_000  # the largest capture that is fed so, for the test's time
TABLES = ("exchanges", "copies", "flows", "captures", "oddities")
LAYOUTS = Layouts(*compile(PROTOCOLS))
LISTS = ("addresses", "strings", "interfaces", "capture_formats")

Rows = dict[str, list[Any]]


def rows(data: bytes, size: int, drained: bool = False) -> Rows:
    """Everything the core says of `data` fed in pieces of a size; the order of a table's rows is not its promise."""
    decoder = Decoder(LAYOUTS)
    found: Rows = defaultdict(list)
    for at in range(0, len(data), size):
        decoder.feed(data[at : at + size])
        if drained:
            add(found, decoder.drain())
    add(found, decoder.close())
    return {name: values if name in LISTS else sorted(values) for name, values in found.items() if values}


def add(found: Rows, batch: dict[str, Any]) -> None:
    for name in TABLES:
        found[name] += zip(*map(list, batch[name].values()), strict=True)
    for name in LISTS:
        found[name] += batch[name]
    for name, columns in batch["decoded"].items():
        found[name] += zip(*map(values, columns.values()), strict=True)


def values(column: Any) -> list[Any]:
    """As text: what is null sorts with the rest so, and has no value to differ in."""
    if not isinstance(column, tuple):
        return [str(value) for value in column.tolist()]
    return [str(value) if valid else "" for value, valid in zip(*(part.tolist() for part in column), strict=True)]


@pytest.mark.parametrize("capture", captures("samples", "repro", "kernel", "public"))
def test_every_table(capture: Capture) -> None:
    data = capture.load()
    whole = rows(data, max(len(data), 1))
    assert rows(data, BLOCK) == whole
    assert rows(data, ODD, drained=True) == whole
    if len(data) <= BYTE_BY_BYTE:
        assert rows(data, 1) == whole


def test_every_table_of_a_lossy_network_byte_by_byte(kernel_captures: object) -> None:
    data = Capture("kernel", "16-lossy-network/nfssrv-eth0.pcap").load()
    assert rows(data, 1) == rows(data, len(data))
