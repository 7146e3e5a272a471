"""Batches of one decoder as one batch, whose strings are those that its columns use.

The decoder begins anew with the numbers of strings when batches were thinned (`Decoder.forget_strings`): the first
batch has numbers of its own, and all that came since have the decoder's. Of addresses it forgets some, where there are
very many (`without_addresses`): then the batch has numbers of its own for them as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nfsrpc._core import BYTES_OF_EXCHANGE, ROWS_OF_EXCHANGE
from nfsrpc.columns import Array, isin
from nfsrpc.decode import NO_STRING, Columns, apply, joined
from nfsrpc.reading import Batch

Kinds = Mapping[str, Mapping[str, str]]
Address: TypeAlias = tuple[str, int]

# Columns with numbers of strings, beside the fields of messages.
STRINGS = {"exchanges": "machine", "tallies": "machine", "accesses": "handle"}
# Tables with numbers of addresses.
PARTIES, ENDS = ("exchanges", "flows", "tallies", "accesses", "left_out"), ("client", "server")
NUMBERS = "address_numbers"  # of a batch with numbers of its own

# Batches with fewer rows than this stay as they are; some 200 bytes each, 8 MB. What was kept stays while it is more
# than what has come since, so that all rows together are looked at a few times only. A flow takes as much memory as so
# many other rows.
MANY, OF_A_FLOW = 5 << 13, 3
# A batch has some hundred tables with ten columns each, which take as much memory as so many rows, though they are
# empty: of a ring, each file has a batch.
OF_A_BATCH = 1 << 10


def fullness(batches: list[Batch]) -> float:
    """How much has come, of what it takes until batches are thinned."""
    previous, fresh = parted(batches)
    flows = sum(len(batch["flows"]["flow"]) for batch in fresh)
    count = size(fresh, BYTES_OF_EXCHANGE) + OF_A_FLOW * flows + OF_A_BATCH * len(fresh)
    return count / max(MANY, size(previous))


def parted(batches: list[Batch]) -> tuple[list[Batch], list[Batch]]:
    """The batch that was thinned before, if any, and those that came since."""
    thinned_before = int("counted_owners" in batches[0])
    return batches[:thinned_before], batches[thinned_before:]


def size(batches: list[Batch], string_bytes: int = 0) -> int:
    """The number of rows that may leave, flows aside; of exchanges what their messages and, if asked, strings weigh."""
    return sum(len(batch["tallies"]["first"]) + weight(batch, string_bytes) for batch in batches)


def weight(batch: Batch, string_bytes: int) -> int:
    rows = sum(len(columns["exchange"]) for columns in (*batch["decoded"].values(), batch["copies"]))
    strings = sum(map(len, batch["strings"])) // string_bytes if string_bytes else 0
    return max(len(batch["exchanges"]["exchange"]), rows // ROWS_OF_EXCHANGE, strings)


class AddressNumbers(NamedTuple):
    """The decoder's numbers of addresses that it may use again, sorted, and those of the batch."""

    decoder: Array
    batch: Array
    following: int  # number of the decoder

    def of(self, columns: Columns) -> Columns:
        """Columns of the decoder with the numbers of the batch."""
        at = {name: np.searchsorted(self.decoder, columns[name]) for name in ENDS}
        return columns | {name: self.batch[rows] for name, rows in at.items()}


def alike(previous: list[Batch], fresh: list[Batch], kinds: Kinds) -> list[Batch]:
    """Batches of before, if any, and those that came since, with the same numbers: the first one has what they are of.

    Both lists are used up.
    """
    parts, before = [*previous, *fresh], previous[0] if previous else {}
    previous.clear()
    fresh.clear()
    if before:
        new = [string for batch in parts[1:] for string in batch["strings"]]
        strings = list(dict.fromkeys([*before["strings"], *new]))
        number = dict(zip(strings, range(len(strings)), strict=True)).__getitem__
        numbers = np.fromiter(map(number, new), dtype=np.uint32, count=len(new))
        parts[1:] = [with_numbers(batch, numbers, kinds) for batch in parts[1:]]
    else:
        strings = together([batch["strings"] for batch in parts])
    addresses = [address for batch in parts for address in batch["addresses"]]
    if NUMBERS in before:
        known = before["addresses"]
        own, addresses = with_more(before[NUMBERS], known, addresses[len(known) :])
        before[NUMBERS] = own
        parts[1:] = [batch | {table: own.of(batch[table]) for table in PARTIES} for batch in parts[1:]]
    for batch in parts:
        batch.update(strings=[], addresses=[])
    parts[0].update(strings=strings, addresses=addresses)
    return parts


def with_more(
    numbers: AddressNumbers, known: list[Address], new: list[Address]
) -> tuple[AddressNumbers, list[Address]]:
    """Numbers of addresses, and the addresses, with those that the decoder has named since."""
    number = {address: number for number, address in enumerate(known)}
    found = [number.setdefault(address, len(number)) for address in new]
    decoder = np.arange(numbers.following, numbers.following + len(found), dtype=np.uint32)
    more = AddressNumbers(
        np.concatenate([numbers.decoder, decoder]),
        np.concatenate([numbers.batch, np.array(found, dtype=np.uint32)]),
        numbers.following + len(found),
    )
    return more, list(number)


def without_addresses(batch: Batch, in_reach: Array) -> Batch:
    """The batch with the addresses that its columns use, and those that the decoder has yet, by its numbers."""
    count = len(batch["addresses"])
    everything = np.arange(count, dtype=np.uint32)
    decoder, own, following = batch.get(NUMBERS, AddressNumbers(everything, everything, count))
    stay = isin(decoder, in_reach)
    used = np.zeros(count, dtype=np.bool_)
    used[own[stay]] = True
    for table in PARTIES:
        for end in ENDS:
            used[batch[table][end]] = True
    rows = np.flatnonzero(used)
    numbers = np.zeros(count, dtype=np.uint32)
    numbers[rows] = np.arange(len(rows), dtype=np.uint32)
    changed = {table: batch[table] | {end: numbers[batch[table][end]] for end in ENDS} for table in PARTIES}
    addresses = [batch["addresses"][row] for row in rows.tolist()]
    return (
        batch
        | changed
        | {"addresses": addresses, NUMBERS: AddressNumbers(decoder[stay], numbers[own[stay]], following)}
    )


def joined_batches(batches: list[Batch]) -> Batch:
    """One batch of several, which are empty then: of each table there is one copy only."""
    return {name: together([batch.pop(name) for batch in batches]) for name in list(batches[0])}


def together(parts: list[Any]) -> Any:
    """Columns joined, lists one after the other; a decoded column is a pair of columns."""
    first = parts[0]
    if isinstance(first, dict):
        if "exchange" in first:  # most tables of messages have no rows
            parts = [part for part in parts if len(part["exchange"])] or parts[:1]
        return {name: together([part[name] for part in parts]) for name in first} if len(parts) > 1 else parts[0]
    if isinstance(first, tuple):
        return tuple(together(list(columns)) for columns in zip(*parts, strict=True))
    if isinstance(first, np.ndarray):
        return joined(parts)
    return [item for part in parts for item in part]


def compact(batch: Batch, kinds: Kinds) -> Batch:
    """The batch with the strings that its columns use."""
    used = np.zeros(len(batch["strings"]) + 1, dtype=np.bool_)
    for values in strings_of(batch, kinds):
        used[np.minimum(values, len(used) - 1)] = True  # NO_STRING is none of them
    rows = np.flatnonzero(used[:-1])
    numbers = np.full(len(used) - 1, NO_STRING, dtype=np.uint32)
    numbers[rows] = np.arange(len(rows))
    strings = batch["strings"]
    return with_numbers(batch, numbers, kinds) | {"strings": [strings[row] for row in rows.tolist()]}


def strings_of(batch: Batch, kinds: Kinds) -> Iterator[Array]:
    """All numbers of strings in a batch."""
    for table, name in STRINGS.items():
        yield batch[table][name]
    for table, columns in batch["decoded"].items():
        for name, column in columns.items() if len(columns["exchange"]) else ():
            if kinds[table].get(name) == "bytes":
                values, valid = column
                yield values[valid]


def with_numbers(batch: Batch, numbers: Array, kinds: Kinds) -> Batch:
    """The batch with other numbers of its strings."""
    change: Callable[[Array], Array] = lambda values: apply(numbers, values)  # noqa: E731
    changed = {table: batch[table] | {name: change(batch[table][name])} for table, name in STRINGS.items()}
    decoded = {
        table: {
            name: (change(column[0]), column[1]) if kinds[table].get(name) == "bytes" else column
            for name, column in columns.items()
        }
        for table, columns in batch["decoded"].items()
        if len(columns["exchange"])
    }
    return batch | changed | {"decoded": batch["decoded"] | decoded}
