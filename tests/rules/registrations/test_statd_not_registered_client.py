"""REG002: a client without a registered statd."""

from __future__ import annotations

from nfsrpc.findings.finding import CannotTell, Clear
from tests.rules.registrations.without_statd import without_statd
from tests.rules.stage import (
    CLIENT,
    LOCKD,
    OTHER,
    STATD,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    rules_of,
)


@quiet("REG002")
def test_in_a_merged_file_a_client_is_not_accused_of_its_servers_fault(stage: Stage) -> bytes:
    stage.monitored(stage.client, stage.server)
    without_statd(stage)
    return stage.wire(on="any")


@fires("REG002", host=CLIENT, certainty="certain", count=20)
def test_the_clients_lockd_asks_for_statd(stage: Stage) -> bytes:
    stage.nfs()
    stage.statd_asked(stage.client, 20)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


@quiet("REG002")
def test_mount_asks_once_before_it_starts_statd(stage: Stage) -> bytes:
    stage.client.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
    stage.nfs()
    stage.monitored(stage.client, stage.server)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


@cannot_tell("REG002", command=True)
def test_the_clients_loopback_was_not_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire(stage.server)


@fires(
    "REG002",
    host=CLIENT,
    certainty="likely",
    wait_s=None,
    title=f"the client {CLIENT} has no rpc.statd registered for UDP",
)
def test_a_server_asks_for_it_after_its_reboot(stage: Stage) -> bytes:
    """A filer looks for the statd of its client, to send it a reboot notice: it does not wait for a lock."""
    stage.client.lock(stage.server).granted()
    for pause in (5, 5, 10, 20, 0):
        stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.wait(pause)
    return stage.wire()


@fires("REG002", host=CLIENT, certainty="likely")
def test_lockd_asked_once(stage: Stage) -> bytes:
    stage.nfs()
    stage.statd_asked(stage.client, 1)
    return stage.any(stage.client)


@quiet("REG002")
def test_statd_is_started_while_lockd_looks_for_it(stage: Stage) -> bytes:
    stage.nfs()
    stage.statd_asked(stage.client, 5)
    stage.monitored(stage.client, stage.server)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


def test_the_loopback_of_another_client_proves_nothing() -> None:
    """A pod's own loopback is not in the capture of its node: the rule is not passed for it."""
    stage = Stage()
    stage.monitored(stage.client, stage.server)
    stage.client.lock(stage.server).granted()
    (answer,) = asked("REG002", stage.any(stage.client))
    assert isinstance(answer, Clear)
    stage.other.lock(stage.server, "/srv/other").granted()
    (answer,) = asked("REG002", stage.wire(on="any"))
    assert isinstance(answer, CannotTell)
    assert answer.why == f"the loopback of {OTHER} was not captured"


def test_a_client_whose_loopback_is_captured_and_silent_is_not_passed() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.client.getattr(stage.client, "/srv/own")
    (answer,) = asked("REG002", stage.any(stage.client))
    assert isinstance(answer, CannotTell)
    assert answer.why == f"the portmapper of {CLIENT} was not asked for statd"


def test_a_statd_that_was_killed_and_then_unregistered_is_one_story() -> None:
    stage = Stage()
    stage.nfs()
    stage.client.getport(stage.client, "nsm1")
    for _ in range(2):
        stage.client.syn(stage.client, STATD, refused=True)
    stage.wait(60)
    stage.statd_asked(stage.client, 20)
    stage.client.lock(stage.server).granted()
    diagnosis = diagnosed(stage.any(stage.client))
    assert [found.rule for found in diagnosis.findings if found.severity == "error"] == ["REG002", "REG007"]
    (found, stale) = diagnosis.findings[:2]
    assert diagnosis.verdict.rule == "REG002"
    assert "REG007" in rules_of(found.explains)
    assert found.first == stale.first
    assert found.explanation.startswith("Its rpc.statd died: at 22:13:20 UTC port 662, which its portmapper had named,")
    assert found.evidence[0].note == "port 662 of its statd refuses"


def test_a_port_that_refused_and_was_not_statds_is_no_part_of_the_story() -> None:
    stage = Stage()
    stage.nfs()
    stage.client.getport(stage.client, "nlm4")
    stage.client.syn(stage.client, LOCKD, refused=True)
    stage.wait(60)
    stage.statd_asked(stage.client, 20)
    (found,) = findings(asked("REG002", stage.any(stage.client)))
    assert "died" not in found.explanation


def test_a_port_that_refused_after_the_registration_was_gone_is_no_cause() -> None:
    stage = Stage()
    stage.nfs()
    stage.client.getport(stage.client, "nsm1")
    stage.wait(60)
    stage.statd_asked(stage.client, 20)
    stage.client.syn(stage.client, STATD, refused=True)
    (found,) = findings(asked("REG002", stage.any(stage.client)))
    assert "died" not in found.explanation
