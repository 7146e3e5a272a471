"""Names of files that repeat leave batches when there are many, and at the end."""

from __future__ import annotations

from typing import Any

import pytest

from nfsrpc import reading
from nfsrpc.reading import Batch, read
from nfsrpc.sessions import COUNTING, WANTED, batches, thinning
from tests.scenario import Scenario, handle

IN_REACH = 512  # of one pair of hosts, in the decoder
LOOKUPS = IN_REACH + 100
HANDSHAKE = 3


def lookups() -> bytes:
    """A client asks for one name again and again."""
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name="web-1")
    for _ in range(LOOKUPS):
        s.wait(0.01)
        asked = client.call(server, "nfs3", "LOOKUP", dir=handle("dir"), name="log")
        asked.reply(status="OK", object=handle("log"))
    return s.capture()


def names(batch: Batch) -> int:
    return len(batch["exchanges"]["exchange"])


def kept(pieces: list[bytes], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many LOOKUPs are listed after each time that batches were thinned."""
    # Decoding stops once, after the last frame: a third of the rows are fewer than that, and two thirds more.
    monkeypatch.setattr(reading, "DRAIN_ROWS", LOOKUPS // 4)
    monkeypatch.setattr(reading, "ASKED_EVERY", (2 * LOOKUPS + HANDSHAKE) // 3)
    monkeypatch.setattr(batches, "MANY", 1)
    counts = []

    def thinned(*arguments: Any) -> list[Batch]:
        result = COUNTING.thinned(*arguments)
        counts.append(sum(map(names, result)))
        return result

    read([pieces], WANTED, counting=COUNTING._replace(thinned=thinned), jobs=1)
    return counts


@pytest.mark.parametrize(("few", "first"), [(2 * LOOKUPS - 1, 1), (2 * LOOKUPS, LOOKUPS - IN_REACH)])
def test_few_names_wait_until_the_end(few: int, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "FEW_NAMED", few)
    after, end = kept([lookups()], monkeypatch)
    assert (after, end) == (first, 1)
