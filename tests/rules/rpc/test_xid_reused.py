"""RPC003: a client uses one transaction identifier for two different calls."""

from __future__ import annotations

from tests.rules.stage import CLIENT, Stage, cannot_tell, fires, quiet, threshold


@fires("RPC003", host=CLIENT, severity="info")
def test_one_xid_for_two_calls(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", xid=7, object=b"x" * 8).reply(status="OK", type="REG")
    stage.wait(5)
    stage.client.call(stage.server, "nfs3", "ACCESS", xid=7, object=b"x" * 8, access=1).error("SYSTEM_ERR")
    return stage.wire()


@quiet("RPC003")
def test_the_same_call_again(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=12.0, resent=[10.0])
    return stage.wire()


@cannot_tell("RPC003")
def test_no_calls(stage: Stage) -> bytes:
    return stage.wire()


@threshold("RPC003", "within_s", fires=55, quiet=65)
def test_two_calls_so_close(stage: Stage, within_s: float) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", xid=7, object=b"x" * 8).reply(status="OK", type="REG")
    stage.wait(within_s)
    stage.client.call(stage.server, "nfs3", "ACCESS", xid=7, object=b"x" * 8, access=1).reply(status="OK")
    return stage.wire()


@quiet("RPC003")
def test_the_same_xid_of_two_clients(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", xid=7, object=b"x" * 8).reply(status="OK", type="REG")
    stage.other.call(stage.server, "nfs3", "ACCESS", xid=7, object=b"x" * 8, access=1).reply(status="OK")
    return stage.wire()
