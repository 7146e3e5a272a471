"""CBK003: a server never calls its waiting clients back."""

from __future__ import annotations

from collections.abc import Callable

from tests.rules.callbacks.handover import dropped, polled, waits
from tests.rules.stage import (
    CLIENT,
    LOCKD,
    OTHER,
    SERVER,
    Stage,
    cannot_tell,
    diagnosed,
    fires,
    quiet,
    threshold,
)
from tests.scenario import Host, LockRequest


@fires("CBK003", host=SERVER, certainty="likely")
def test_only_lockds_port_was_captured(stage: Stage) -> bytes:
    """The server may have looked the client up in vain, at a port that was not captured."""
    waits(stage)
    polled(stage)
    return stage.wire(stage.server)


@fires("CBK003", host=SERVER, clients=(OTHER,), certainty="certain")
def test_the_server_calls_nobody(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    waits(stage)
    polled(stage)
    return stage.wire(stage.server)


@quiet("CBK003")
def test_both_sides_of_a_nat(stage: Stage) -> list[bytes]:
    """Inside, the waiter has another address, which nobody calls."""
    inside = stage.scenario.host("192.168.1.2", name="web-2")
    holder = stage.client.lock(stage.server).granted()
    for waiter in (inside, stage.other):
        waiter.lock(stage.server, svid=7).blocked()
    stage.wait(10)
    holder.unlock().granted()
    stage.server.syn(stage.other, LOCKD, refused=True)
    stage.wait(20)
    for waiter in (inside, stage.other):
        waiter.lock(stage.server, svid=7).granted()
    return [stage.wire()]


# Within a pod: its server has another address outside, and so has the pod itself

POD, NODE, REAL = "10.244.6.11", "10.0.1.7", "10.0.1.9"


def in_a_pod(stage: Stage, call: Callable[[Host, Host, LockRequest], object]) -> bytes:
    """`call` is what the server's real address sends to the node's, when the lock is free."""
    pod, node, real = stage.scenario.host(POD, name="pod"), stage.scenario.host(NODE), stage.scenario.host(REAL)
    holder = stage.client.lock(stage.server).granted()
    waiter = pod.lock(stage.server, svid=7).blocked()
    stage.wait(10)
    holder.unlock().granted()
    call(real, node, waiter)
    stage.wait(20)
    pod.lock(stage.server, svid=7).granted()
    return stage.wire()


@fires("CBK003", host=SERVER, clients=(POD,))
def test_a_pod_that_is_not_called(stage: Stage) -> bytes:
    return in_a_pod(stage, lambda real, node, waiter: None)


@cannot_tell("CBK003")
def test_a_pod_whose_node_is_called_about_that_lock(stage: Stage) -> bytes:
    def call(real: Host, node: Host, waiter: LockRequest) -> None:
        grant = {"cookie": real.cookie(), "exclusive": True, "alock": waiter.args["alock"]}
        real.call(node, "nlm4", "GRANTED_MSG", **grant).reply()

    return in_a_pod(stage, call)


@fires("CBK003", host=SERVER)
def test_a_pod_whose_node_is_called_about_another_lock(stage: Stage) -> bytes:
    def call(real: Host, node: Host, waiter: LockRequest) -> None:
        grant = {"cookie": real.cookie(), "exclusive": True, "alock": waiter.args["alock"] | {"oh": b"other"}}
        real.call(node, "nlm4", "GRANTED_MSG", **grant).reply()

    return in_a_pod(stage, call)


@cannot_tell("CBK003", command=True)
def test_a_pod_whose_node_is_looked_up(stage: Stage) -> bytes:
    """Who looks up a lock manager, and is neither server nor client here, may be the server."""
    return in_a_pod(stage, lambda real, node, waiter: real.getport(node, "nlm4"))


@fires("CBK003", host=SERVER)
def test_a_monitoring_system_that_asks_the_server_is_no_callback(stage: Stage) -> bytes:
    return in_a_pod(stage, lambda real, node, waiter: real.getport(stage.server, "nlm4"))


@fires("CBK003", host=SERVER)
def test_a_client_that_asks_another_server_is_no_callback(stage: Stage) -> bytes:
    return in_a_pod(stage, lambda real, node, waiter: stage.client.getport(node, "nlm4", port=0))


@fires("CBK003", host=SERVER, clients=(POD,))
def test_a_server_that_calls_another_of_its_clients_back(stage: Stage) -> bytes:
    stage.other.lock(stage.server, "/srv/other").granted()
    return in_a_pod(stage, lambda real, node, waiter: stage.server.getport(stage.other, "nlm4"))


@quiet("CBK003")
def test_the_server_calls(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    waiter.granted()
    return stage.wire(stage.server)


@quiet("CBK003")
def test_a_server_that_tries_is_not_silent(stage: Stage) -> bytes:
    dropped(stage)
    return stage.wire(stage.server)


@cannot_tell("CBK003", command=True)
def test_when_the_lock_became_free_is_not_seen(stage: Stage) -> bytes:
    waits(stage)
    polled(stage)
    return stage.wire(stage.other)


def test_a_silent_server_is_told_apart_from_an_unreachable_client() -> None:
    stage = Stage()
    waits(stage)
    polled(stage)
    diagnosis = diagnosed(stage.wire(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("CBK003", SERVER)
    assert CLIENT not in {finding.host for finding in diagnosis.findings if finding.severity != "info"}


@threshold("CBK003", "never_s", fires=10.5, quiet=9.5)
def test_the_lock_is_free_for_so_long(stage: Stage, free_s: float) -> bytes:
    waits(stage)
    polled(stage, free_s)
    return stage.wire(stage.server)


@quiet("CBK003")
def test_another_had_the_lock_in_between(stage: Stage) -> bytes:
    """Three in a queue: the second is called back, and the third retries just when the second has unlocked."""
    third = stage.scenario.host("10.0.0.3", name="web-3")
    first = stage.client.lock(stage.server).granted()
    second, last = stage.other.lock(stage.server), third.lock(stage.server)
    for waiter in (second, last):
        waiter.blocked()
    stage.wait(15)
    first.unlock().granted()
    second.granted()
    stage.wait(15)
    third.lock(stage.server).blocked()
    second.unlock().granted()
    stage.wait(2)
    third.lock(stage.server).granted()
    return stage.wire(stage.server)


def retried_twice(stage: Stage, free_s: float) -> bytes:
    """Of the two retries one comes after the release, and is answered BLOCKED."""
    waits(stage)
    stage.wait(1)
    stage.other.lock(stage.server).blocked()
    polled(stage, free_s - 1)
    return stage.wire(stage.server)


@cannot_tell("CBK003", command=True)
def test_a_retry_is_blocked_after_the_release(stage: Stage) -> bytes:
    """Somebody has the lock whom the capture does not show."""
    return retried_twice(stage, 36)


@fires("CBK003", host=SERVER)
def test_a_release_after_the_last_retry_but_one(stage: Stage) -> bytes:
    return retried_twice(stage, 34)


@fires("CBK003", host=SERVER)
def test_a_client_that_retries_late(stage: Stage) -> bytes:
    waits(stage)
    polled(stage, 60)
    return stage.wire(stage.server)


@cannot_tell("CBK003", command=True)
def test_the_callback_may_be_lost(stage: Stage) -> bytes:
    waits(stage)
    number = stage.frames()
    stage.nfs(stage.other, times=2)
    polled(stage)
    return stage.wire(stage.server, lost=[number + 4])


@quiet("CBK003")
def test_one_attempt_to_connect(stage: Stage) -> bytes:
    waits(stage)
    stage.server.syn(stage.other, LOCKD)
    polled(stage)
    return stage.wire(stage.server)
