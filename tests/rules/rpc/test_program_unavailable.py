"""RPC001: a service answers that it does not have the program, version or procedure, or cannot read the call."""

from __future__ import annotations

import pytest

from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold


@fires("RPC001", host=SERVER, severity="error")
def test_no_version_4_of_the_lock_manager(stage: Stage) -> bytes:
    stage.client.lock(stage.server).error("PROG_MISMATCH", low=1, high=3)
    return stage.wire()


@fires("RPC001", severity="info")
def test_a_probe(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL").error("PROG_UNAVAIL")
    return stage.wire()


@quiet("RPC001")
def test_all_programs_are_there(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("RPC001")
def test_calls_without_replies(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


def named_wrongly(stage: Stage, after_s: float, *, port: int = 2049, prog: str = "mount3") -> None:
    """The portmapper names NFS's port for another program, and that is asked for there."""
    stage.client.getport(stage.server, prog, port=port)
    stage.wait(after_s)
    stage.client.call(stage.server, prog, "NULL", port=2049).error("PROG_UNAVAIL")


@threshold("RPC001", "named_s", fires=55, quiet=65, severity="error")
def test_a_port_that_was_named_so_shortly_before(stage: Stage, named_s: float) -> bytes:
    named_wrongly(stage, named_s)
    return stage.wire()


def test_a_port_that_was_named_for_it_and_serves_something_else() -> None:
    stage = Stage()
    named_wrongly(stage, 1)
    (found,) = findings(asked("RPC001", stage.wire()))
    assert (found.severity, found.host, found.clients) == ("error", SERVER, (CLIENT,))
    assert found.title == f"port 2049 of {SERVER} does not serve mount, for which its portmapper names it"
    assert [str(line) for line in found.verify] == [f"rpcinfo -t {SERVER} 100005 3   # on {CLIENT}"]


def test_a_wrong_port_and_versions_that_are_missing_are_told_apart() -> None:
    stage = Stage()
    stage.client.call(stage.server, "mount3", "NULL").error("PROG_UNAVAIL")
    stage.client.call(stage.server, "mount3", "NULL").error("PROG_UNAVAIL")
    named_wrongly(stage, 1)
    found = findings(asked("RPC001", stage.wire()))
    assert [(each.severity, each.count) for each in found] == [("info", 2), ("error", 1)]


@fires("RPC001", severity="info")
def test_another_port_was_named(stage: Stage) -> bytes:
    named_wrongly(stage, 1, port=20048)
    return stage.wire()


@fires("RPC001", severity="info")
def test_a_version_that_is_missing_is_no_wrong_port(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3", port=2049)
    stage.client.call(stage.server, "mount3", "NULL", port=2049).error("PROG_MISMATCH", low=1, high=2)
    return stage.wire()


@fires("RPC001", severity="info")
def test_a_service_that_was_just_starting(stage: Stage) -> bytes:
    named_wrongly(stage, 1)
    stage.wait(5)
    stage.client.call(stage.server, "mount3", "NULL", port=2049).reply()
    return stage.wire()


@fires("RPC001", severity="info")
def test_nfsacl_which_many_servers_lack(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nfsacl3", port=2049)
    stage.client.call(stage.server, "nfsacl3", "GETACL", port=2049).error("PROG_UNAVAIL")
    return stage.wire()


def refused_then_done(stat: str, soon_s: float, calls: int) -> bytes:
    stage = Stage()
    for _ in range(calls):
        stage.client.lock(stage.server).error(stat)
    stage.wait(soon_s)
    stage.client.lock(stage.server).granted()
    return stage.wire()


@pytest.mark.parametrize(
    ("stat", "soon_s", "calls", "severity"),
    [
        ("GARBAGE_ARGS", 9.9, 1, "warning"),
        ("GARBAGE_ARGS", 10.1, 1, "error"),
        ("GARBAGE_ARGS", 1, 2, "error"),
        ("SYSTEM_ERR", 1, 1, "warning"),
        ("PROC_UNAVAIL", 1, 1, "error"),
    ],
)
def test_an_error_of_one_call_alone_is_a_warning(stat: str, soon_s: float, calls: int, severity: str) -> None:
    [finding] = findings(asked("RPC001", refused_then_done(stat, soon_s, calls)))
    assert (finding.severity, finding.certainty) == (severity, "certain")
    assert ("The next call of the same client" in finding.explanation) == (severity == "warning")
