"""What a finding advises to verify asks for what was missing: a service over UDP is asked for over UDP."""

from __future__ import annotations

import pytest

import nfsrpc
from nfsrpc.findings.advice import BREAK_LOCK, LOCK_IS_GONE, START_STATD, who_holds
from tests.scenario import Scenario


@pytest.mark.parametrize(
    ("protocol", "rule", "netid", "expected"),
    [
        ("nlm3", "REG003", "udp", ["100021 | grep udp", "rpcinfo -u 10.0.0.9 100021"]),
        ("nlm3", "REG003", "tcp", ["100021 ||", "rpcinfo -t 10.0.0.9 100021"]),
        ("mount3", "REG008", "udp", ["100005 | grep udp", "rpcinfo -u 10.0.0.9 100005"]),
        ("mount3", "REG008", "tcp", ["grep -e nfs -e mountd", "showmount -e 10.0.0.9"]),
    ],
)
def test_the_transport_that_is_missing_is_asked_for(protocol: str, rule: str, netid: str, expected: list[str]) -> None:
    story = Scenario()
    server, client = story.host("10.0.0.9"), story.host("10.0.0.1")
    for _ in range(12):
        client.getport(server, protocol, netid=netid, transport=netid, port=0)
        story.wait(5)
    (found,) = [each for each in nfsrpc.read(story.capture()).diagnosis.findings if each.rule == rule]
    lines = [each.line for each in found.verify]
    assert all(any(part in line for line in lines) for part in expected)


def test_statd_comes_before_the_rpcbind_that_has_answered() -> None:
    lines = "\n".join(map(str, START_STATD))
    assert lines.index("restart rpc-statd") < lines.index("enable rpcbind")


def test_what_breaks_a_lock_says_for_which_server_it_is() -> None:
    lines = [str(line) for line in (*BREAK_LOCK, LOCK_IS_GONE, who_holds("10.0.0.9", ()))]
    assert all("Linux kernel server" in line for line in lines if "/proc/" in line)
    assert any(line.startswith("# NFS-Ganesha: ") for line in lines)


def test_which_processes_hold_a_lock_is_asked_at_their_hosts() -> None:
    assert str(who_holds("10.0.0.9", ["10.0.0.2", "10.0.0.1"])) == (
        "lslocks; fuser -v FILE   # on 10.0.0.1 and 10.0.0.2: which process holds it"
    )
