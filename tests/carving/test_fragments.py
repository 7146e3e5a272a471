"""The other fragments of a datagram, over every link, of both versions of IP."""

from __future__ import annotations

from typing import get_args

import pytest

import nfsrpc
from nfsrpc.carving.fragments import NEARBY, other_fragments
from tests.scenario import Link, Scenario


def listing(s: Scenario, address: str) -> None:
    server, client = s.host(address), s.host(address[:-1] + "1")
    entries = [{"fileid": number, "name": f"file-{number:04}"} for number in range(50)]
    for _ in range(2):
        call = client.call(server, "nfs3", "READDIRPLUS", transport="udp", dir=b"1")
        call.reply(status="OK", entries=entries, eof=True)


@pytest.mark.parametrize("link", get_args(Link))
@pytest.mark.parametrize("address", ["10.0.0.9", "fd84::9"])
def test_they_are_those_of_the_same_datagram(link: Link, address: str) -> None:
    s = Scenario()
    listing(s, address)
    decoded = nfsrpc.read(s.capture(mtu=600, link=link)).tables.decoded
    first, second = decoded.exchanges["reply_frame"].tolist()
    assert second - first == first  # as many of the second, and the call
    found = dict(other_fragments(decoded, [(0, second)]))
    assert found == {(0, frame): (0, second) for frame in range(first + 2, second)}
    assert list(other_fragments(decoded, [(0, 1)])) == []


def test_those_that_came_long_before_are_not_looked_for() -> None:
    s = Scenario()
    listing(s, "10.0.0.9")
    whole = nfsrpc.read(s.capture(mtu=600)).tables.decoded
    last = int(whole.exchanges["reply_frame"][0])
    others = s.host("10.0.0.2").call(s.hosts[0], "nfs3", "NULL", transport="udp")
    for _ in range(NEARBY):
        others.resend()
    late = s.capture(mtu=600, again={last: 1.0}, lost=[last])
    decoded = nfsrpc.read(late).tables.decoded
    assert len(decoded.exchanges["exchange"]) == 3
    completed = int(decoded.exchanges["reply_frame"].max())
    assert completed > NEARBY
    assert list(other_fragments(decoded, [(0, completed)])) == []


def test_frames_that_are_cut_or_no_ip_are_no_fragments() -> None:
    s = Scenario()
    listing(s, "10.0.0.9")
    for snaplen in (10, 20, 33):
        decoded = nfsrpc.read(s.capture(mtu=600, snaplen=snaplen)).tables.decoded
        assert list(other_fragments(decoded, [(0, frame) for frame in range(1, 9)])) == []
