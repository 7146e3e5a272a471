"""LCK006: Locks fail for a reason that the server names."""

from __future__ import annotations

import pytest

from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.rules.locks.lock_failed import MEANINGS
from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet


@fires("LCK006", host=SERVER, clients=(CLIENT,))
def test_a_stale_handle(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("STALE_FH")
    return stage.wire()


@fires("LCK006", host=None)
def test_a_deadlock_is_the_applications(stage: Stage) -> bytes:
    stage.client.lock(stage.server, asynchronous=True).denied("DEADLCK")
    return stage.wire()


@quiet("LCK006")
def test_denied_is_no_failure(stage: Stage) -> bytes:
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


@cannot_tell("LCK006")
def test_no_results_of_locks(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@fires("LCK006", host=SERVER, clients=(CLIENT,), severity="warning")
def test_a_client_that_is_willing_to_wait_is_denied(stage: Stage) -> bytes:
    stage.other.lock(stage.server).granted()
    stage.client.lock(stage.server).denied()
    return stage.wire()


@fires("LCK006", host=SERVER, clients=(CLIENT,))
def test_a_client_that_is_willing_to_wait_is_denied_by_message(stage: Stage) -> bytes:
    stage.client.lock(stage.server, asynchronous=True).denied()
    return stage.wire()


@quiet("LCK006")
def test_a_reclaim_that_is_denied_does_not_wait(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True).denied()
    return stage.wire()


@quiet("LCK006")
def test_a_lock_that_is_denied_after_it_waited(stage: Stage) -> bytes:
    stage.other.lock(stage.server).granted()
    stage.client.lock(stage.server).blocked()
    stage.wait(30)
    stage.client.lock(stage.server).denied()
    return stage.wire()


@pytest.mark.parametrize("status", [2, 4])
def test_other_denials_are_other_rules(status: int) -> None:
    stage = Stage()
    name = {2: "DENIED_NOLOCKS", 4: "DENIED_GRACE_PERIOD"}[status]
    stage.client.lock(stage.server).denied(name)
    assert findings(asked("LCK006", stage.wire())) == []


@pytest.mark.parametrize("status", [status for status in MEANINGS if status != Nlm4Stats.DENIED])
def test_each_failure_names_its_meaning(status: int) -> None:
    stage = Stage()
    stage.client.lock(stage.server, block=False).denied(MEANINGS[status].name)
    (found,) = findings(asked("LCK006", stage.wire()))
    assert MEANINGS[status].text in found.title
    assert found.host == (SERVER if MEANINGS[status].on_server else None)
