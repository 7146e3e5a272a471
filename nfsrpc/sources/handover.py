"""Items handed from a thread that produces them to their consumer, a bounded number ahead.

`SimpleQueue` alone may be used by a signal handler while the same thread waits in it, but has no bound: a semaphore
bounds it. The thread is a daemon, since it may be held in a read for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar, cast

Item = TypeVar("Item")


class Failed(NamedTuple):
    """The exception that ended the producer."""

    error: Exception


class Beside(NamedTuple):
    """An item that comes from elsewhere than the producer."""

    item: Any


class Handover(Generic[Item]):
    """The items of a generator in their order, then None; an exception of the generator is raised where it ended."""

    def __init__(self, items: Generator[Item, None, None], ahead: int, name: str) -> None:
        self._items = items
        self._ready: SimpleQueue[Item | Failed | Beside | None] = SimpleQueue()
        self._room = threading.Semaphore(ahead)
        self._abandoned = False
        self._ended = False
        threading.Thread(target=self._produce, name=name, daemon=True).start()

    def _produce(self) -> None:
        try:
            for item in self._items:
                self._ready.put(item)
                self._room.acquire()
                if self._abandoned:
                    return
        except Exception as error:  # noqa: BLE001  it is raised in the consumer
            self._ready.put(Failed(error))
        finally:
            self._items.close()
            self._ready.put(None)

    def get(self, timeout: float | None = None) -> Item | None:
        """The next item. Raises TimeoutError when none comes within `timeout`, and what the producer raised."""
        if self._ended:
            return None
        try:
            item = self._ready.get(timeout=timeout)
        except Empty:
            raise TimeoutError from None
        if isinstance(item, Beside):
            return cast(Item, item.item)
        self._room.release()
        self._ended = item is None or isinstance(item, Failed)
        if isinstance(item, Failed):
            raise item.error
        return item

    def put(self, item: Item) -> None:
        """Hands over an item beside those that are produced. May be called in a signal handler and by other threads."""
        self._ready.put(Beside(item))

    def abandon(self) -> None:
        """Ends the producer after the item at hand, without waiting for it."""
        self._abandoned = True
        self._room.release()
