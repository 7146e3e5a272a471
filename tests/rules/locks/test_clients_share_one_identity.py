"""LCK014: Two clients that a server cannot tell apart hold the same lock."""

from __future__ import annotations

import pytest

from nfsrpc.findings.finding import lacking
from nfsrpc.rules.locks import clients_share_one_identity
from tests.rules.locks.scenes import twins
from tests.rules.stage import CLIENT, Stage, asked, cannot_tell, findings, fires, quiet


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


@quiet("LCK014")
def test_the_range_was_unlocked_between(stage: Stage) -> bytes:
    stage.client.lock(stage.server, from_port=700).granted().unlock().granted()
    stage.wait(1)
    stage.client.lock(stage.server, from_port=800).granted()
    stage.client.lock(stage.server, "/srv/third", from_port=700).granted()
    return stage.wire()


def test_what_two_twins_hold_both_is_one_finding_of_their_address() -> None:
    stage = Stage()
    twins(stage)
    (found,) = findings(asked("LCK014", stage.wire()))
    assert (found.host, found.clients, found.count) == (CLIENT, (CLIENT,), 1)
    assert [proof.note for proof in found.evidence] == ["granted to port 700", "granted to port 800 as well"]


@pytest.mark.parametrize(("most", "found", "lack"), [(2, 1, set()), (1, 0, {"LCK014"})])
def test_not_all_that_is_granted_again_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, most: int, found: int, lack: set[str]
) -> None:
    """A host that reconnects, and then two with one identity."""
    monkeypatch.setattr(clients_share_one_identity, "MAX_CASES", most)
    stage = Stage()
    for port in (900, 950):
        stage.other.lock(stage.server, from_port=port).granted()
        stage.wait(1)
    twins(stage)
    answers = asked("LCK014", stage.wire())
    assert (len(findings(answers)), lacking("room", answers)) == (found, lack)
