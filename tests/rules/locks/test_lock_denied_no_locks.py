"""LCK004: The server denies locks: DENIED_NOLOCKS."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet


@fires("LCK004", host=SERVER, clients=(CLIENT,), count=1)
def test_no_locks_available(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire()


@fires("LCK004", wait_s=60.0)
def test_how_long_the_denial_took(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS", after=60.0)
    stage.client.lock(stage.server, svid=2).denied("DENIED_NOLOCKS", after=2.0)
    return stage.wire()


@fires("LCK004", host=SERVER, count=1, wait_s=None)
def test_no_locks_available_by_message(stage: Stage) -> bytes:
    stage.client.lock(stage.server, asynchronous=True).denied("DENIED_NOLOCKS")
    return stage.wire()


@fires("LCK004", host=SERVER)
def test_no_locks_available_in_version_1(stage: Stage) -> bytes:
    stage.client.lock(stage.server, version=1, transport="udp").denied("DENIED_NOLOCKS")
    return stage.wire()


@quiet("LCK004")
def test_a_lock_in_conflict(stage: Stage) -> bytes:
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


@cannot_tell("LCK004")
def test_results_are_cut_off(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire(snaplen=90)


def denied_then_granted(stage: Stage, soon_s: float = 5, after: float = 0.001, denials: int = 1) -> bytes:
    stage.nfs()
    for _ in range(denials):
        stage.client.lock(stage.server).denied("DENIED_NOLOCKS", after=after)
    stage.wait(soon_s)
    stage.client.lock(stage.server, svid=2).granted()
    return stage.wire()


@pytest.mark.parametrize(
    ("story", "severity"),
    [
        ({}, "warning"),
        ({"soon_s": 9.9}, "warning"),
        ({"soon_s": 10.1}, "error"),
        ({"after": 4.9}, "warning"),
        ({"after": 5.1}, "error"),
        ({"denials": 2}, "error"),
    ],
)
def test_one_that_is_followed_by_a_grant_is_a_warning(story: dict[str, Any], severity: str) -> None:
    [finding] = findings(asked("LCK004", denied_then_granted(Stage(), **story)))
    assert (finding.severity, finding.certainty) == (severity, "certain")
    assert ("then granted" in finding.title) == (severity == "warning")
    assert ("it was a passing failure" in finding.explanation) == (severity == "warning")
