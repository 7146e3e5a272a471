"""Batches of one decoder as one: when they are thinned, and numbers of addresses after some were forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.decode import nothing_left
from nfsrpc.reading import Batch
from nfsrpc.sessions.batches import NUMBERS, PARTIES, STRINGS, alike, fullness, joined_batches, without_addresses


def batch_of(addresses: list[str], clients: list[int], servers: list[int]) -> Batch:
    """A batch of flows between addresses that have these numbers in the decoder."""
    nothing = np.zeros(0, dtype=np.uint32)
    tables: dict[str, Any] = {table: {"client": nothing, "server": nothing} for table in PARTIES} | nothing_left()
    for table, name in STRINGS.items():
        tables[table] = tables[table] | {name: nothing}
    tables["flows"] = {"client": np.array(clients, dtype=np.uint32), "server": np.array(servers, dtype=np.uint32)}
    return tables | {"decoded": {}, "strings": [], "addresses": [(address, 0) for address in addresses]}


def ends(batch: Batch) -> list[tuple[str, str]]:
    flows, names = batch["flows"], batch["addresses"]
    pairs = zip(flows["client"].tolist(), flows["server"].tolist(), strict=True)
    return [(names[client][0], names[server][0]) for client, server in pairs]


def as_one(previous: Batch, fresh: Batch) -> Batch:
    parts = alike([previous], [fresh], {})
    numbers = parts[0].pop(NUMBERS)
    return joined_batches(parts) | {NUMBERS: numbers}


def test_addresses_that_nothing_uses_leave() -> None:
    batch = without_addresses(batch_of(["a", "b", "c", "d"], [1], [3]), np.array([0], dtype=np.uint32))
    assert batch["addresses"] == [("a", 0), ("b", 0), ("d", 0)]
    assert ends(batch) == [("b", "d")]


def test_later_batches_name_addresses_in_reach_and_new_ones() -> None:
    batch = without_addresses(batch_of(["a", "b", "c", "d"], [1], [3]), np.array([0], dtype=np.uint32))
    # The decoder has forgotten b, and gives it a number anew.
    batch = as_one(batch, batch_of(["e", "b"], [0, 5], [4, 4]))
    assert batch["addresses"] == [("a", 0), ("b", 0), ("d", 0), ("e", 0)]
    assert ends(batch) == [("b", "d"), ("a", "e"), ("b", "e")]
    batch = without_addresses(batch, np.array([4, 5], dtype=np.uint32))
    batch = as_one(batch, batch_of(["f"], [5], [6]))
    assert ends(batch)[-1] == ("b", "f")


def rows(exchanges: int, sums: int, flows: int) -> Batch:
    """A batch with so many rows in these tables."""
    counts = {"exchanges": ("exchange", exchanges), "tallies": ("first", sums), "flows": ("flow", flows)}
    columns = {table: {name: np.zeros(count)} for table, (name, count) in counts.items()}
    return columns | {"decoded": {}, "strings": [], "copies": {"exchange": np.zeros(0)}}


def test_batches_are_thinned_when_they_have_40960_rows_of_which_a_flow_is_three_and_a_batch_1024() -> None:
    assert fullness([rows(39_000, 935, 0)]) < 1
    assert fullness([rows(39_000, 936, 0)]) >= 1
    assert fullness([rows(8_192, 0, 10_581)]) < 1
    assert fullness([rows(8_192, 0, 10_582)]) >= 1
    assert fullness([rows(0, 0, 0)] * 39) < 1
    assert fullness([rows(0, 0, 0)] * 40) >= 1


def test_batches_are_thinned_when_as_many_rows_came_as_had_stayed() -> None:
    stayed = rows(100_000, 0, 5_000) | {"counted_owners": {}}
    assert fullness([stayed, rows(70_000, 28_975, 0)]) < 1
    assert fullness([stayed, rows(70_000, 28_976, 0)]) >= 1
