"""Keys in order that come and go: in blocks, so that one that is put in or taken out moves few of the others."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", int, tuple[int, int])

SIZE = 512  # of a block, at least, after it was divided; it is divided at twice as much


class Ordered(Generic[Key]):
    """A sorted set of keys.

    >>> keys = Ordered[int]()
    >>> for key in (5, 1, 9): keys.add(key)
    >>> list(keys.since(2)), list(keys.since(1)), keys.upto(4)
    ([5, 9], [1, 5, 9], 1)
    """

    def __init__(self) -> None:
        self.blocks: list[list[Any]] = []

    def _block(self, key: Key) -> int:
        """The block in which a key is, or would be."""
        return max(bisect_right(self.blocks, key, key=itemgetter(0)) - 1, 0)

    def add(self, key: Key) -> None:
        if not self.blocks:
            self.blocks.append([])
        at = self._block(key) if self.blocks[0] else 0
        block = self.blocks[at]
        insort(block, key)
        if len(block) >= 2 * SIZE:
            self.blocks[at : at + 1] = [block[:SIZE], block[SIZE:]]

    def remove(self, key: Key) -> None:
        """Removes a key that is in the set."""
        at = self._block(key)
        block = self.blocks[at]
        del block[bisect_left(block, key)]
        if not block:
            del self.blocks[at]

    def upto(self, key: Key) -> Key | None:
        """The greatest key that is not greater than this one."""
        if not self.blocks:
            return None
        block = self.blocks[self._block(key)]
        at = bisect_right(block, key) - 1
        return block[at] if at >= 0 else None

    def since(self, key: Key) -> Iterator[Key]:
        """The keys that are not less than this one, in order; the set must not change meanwhile."""
        first = self._block(key)
        for number in range(first, len(self.blocks)):
            block = self.blocks[number]
            yield from block[bisect_left(block, key) if number == first else 0 :]
