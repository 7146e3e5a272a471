"""REG002: a client without a registered statd."""

from __future__ import annotations

from tests.rules.registrations.without_statd import without_statd
from tests.rules.stage import CLIENT, Stage, cannot_tell, fires, quiet


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
