"""REG006: a lock service that is registered for one transport only."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, diagnosed, fires, quiet


@fires("REG006", host=SERVER)
def test_statd_for_udp_only(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    stage.statd_asked(stage.server, 3)
    return stage.any(stage.server)


@fires("REG006", host=SERVER, certainty="certain")
def test_statd_for_udp_only_all_the_while(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.statd_asked(stage.server, 3)
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    stage.statd_asked(stage.server, 3)
    return stage.any(stage.server)


def stopped_after_the_mount(stage: Stage) -> bytes:
    stage.client.getport(stage.client, "nsm1", netid="udp", transport="udp", cred=False)
    stage.client.call(stage.client, "nsm1", "NULL", transport="udp", cred=False).reply()
    stage.later(10)
    stage.statd_asked(stage.client, 20)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


def test_statd_was_named_for_udp_and_then_no_more() -> None:
    diagnosis = diagnosed(stopped_after_the_mount(Stage()))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG002", CLIENT)
    assert [found.certainty for found in diagnosis.findings if found.rule == "REG006"] == ["likely"]
    assert "REG006" in diagnosis.findings[0].explains


@quiet("REG006")
def test_statd_was_started_for_both_and_asked_for_by_udp(stage: Stage) -> bytes:
    stage.statd_asked(stage.server, 3)
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    return stage.any(stage.server)


@quiet("REG006")
def test_a_lock_manager_without_udp_is_meant(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.getport(stage.server, "nlm4", netid="udp", port=0)
    return stage.wire()


@cannot_tell("REG006")
def test_nobody_asked_for_statd_or_lockd(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
