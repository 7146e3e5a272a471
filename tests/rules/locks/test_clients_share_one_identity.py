"""LCK014: Two clients that a server cannot tell apart hold the same lock."""

from __future__ import annotations

from tests.rules.locks.scenes import twins
from tests.rules.stage import CLIENT, Stage, cannot_tell, fires, quiet


@fires("LCK014", host=CLIENT)
def test_two_clients_with_one_identity(stage: Stage) -> bytes:
    twins(stage)
    return stage.wire()


@quiet("LCK014")
def test_a_client_that_reconnected(stage: Stage) -> bytes:
    stage.client.lock(stage.server, from_port=700).granted()
    stage.wait(60)
    stage.client.lock(stage.server, from_port=800).granted()
    return stage.wire()


@cannot_tell("LCK014")
def test_nothing_was_granted(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied()
    return stage.wire()
