"""Whose loopback a 127.0.0.1 is, what is one host, where a capture was taken."""

from __future__ import annotations

import struct

import pytest

from tests.scenario import Host, Scenario
from tests.sessions.conftest import Read


class Site:
    """A server and two clients, which talk."""

    def __init__(self, *, ipv6: bool = False) -> None:
        self.s = Scenario()
        net = "fd00::" if ipv6 else "10.0.0."
        self.server = self.s.host(f"{net}9", name="nfssrv")
        self.one = self.s.host(f"{net}1", name="web-1")
        self.two = self.s.host(f"{net}2", name="web-2")

    def work(self, *clients: Host) -> None:
        for client in clients or (self.one, self.two):
            client.getattr(self.server, "/srv")
            client.lock(self.server).granted()


@pytest.fixture(params=[False, True], ids=["ipv4", "ipv6"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(ipv6=request.param)


def test_the_name_in_credentials_tells_whose_loopback_it_is(site: Site, tables: Read) -> None:
    site.work()
    site.one.getport(site.one, "nsm1")
    read = tables(site.s.capture(at=site.one, on="any", link="sll2"))
    (row,) = read["registrations"].rows()
    assert (row.host, row.asker, row.loopback) == (site.one.address, site.one.address, True)


def test_by_elimination(site: Site, tables: Read) -> None:
    """The server sends no calls on the wire: who it is only its loopback says, and that it is not web-1."""
    site.work(site.one)
    site.server.getport(site.server, "nsm1")
    read = tables(site.s.capture(at=site.server, on="any", link="sll2"))
    (row,) = read["registrations"].rows()
    assert row.host == site.server.address
    (capture,) = read["captures"].rows()
    assert (capture.where, capture.host, capture.loopback_of) == (
        "server any",
        site.server.address,
        site.server.address,
    )


def test_the_host_of_all_flows_owns_the_loopback(site: Site, tables: Read) -> None:
    site.work()
    site.server.getport(site.server, "nsm1", cred=False)
    (row,) = tables(site.s.capture(at=site.server, on="any"))["registrations"].rows()
    assert row.host == site.server.address


def test_the_peer_that_is_monitored_is_not_the_host(site: Site, tables: Read) -> None:
    site.work(site.one)
    site.server.monitor(site.one, cred=False).reply(res_stat="STAT_SUCC")
    (row,) = tables(site.s.capture(at=site.server, on="any"))["monitors"].rows()
    assert (row.host, row.peer) == (site.server.address, site.one.address)


def test_what_cannot_be_told_stays_open(site: Site, tables: Read) -> None:
    site.one.getattr(site.server, "/srv", cred=False)
    site.one.getport(site.one, "nsm1", transport="udp", cred=False)
    read = tables(here=site.s.capture(at=site.one, on="any"))
    (row,) = read["registrations"].rows()
    assert row.host == f"{site.one.loopback} of here.pcap"
    (capture,) = read["captures"].rows()
    assert (capture.where, capture.host, capture.loopback_of) == ("any", None, None)


def test_two_captures_hold_two_loopbacks(site: Site, tables: Read) -> None:
    site.work()
    site.server.getport(site.server, "nsm1", port=0)
    site.one.getport(site.one, "nsm1", port=662)
    both = [site.s.capture(at=host, on="any", link="sll2") for host in (site.server, site.one)]
    read = tables(server=both[0], client=both[1])
    assert sorted((row.host, row.port) for row in read["registrations"].rows() if row.loopback) == [
        (site.one.address, 662),
        (site.server.address, 0),
    ]
    assert [row.loopback_of for row in read["captures"].rows()] == [site.server.address, site.one.address]


def test_two_interfaces_of_a_file_hold_two_loopbacks(site: Site, tables: Read) -> None:
    site.work()
    site.server.getport(site.server, "nsm1", port=0)
    site.one.getport(site.one, "nsm1", port=662)
    capture = site.s.capture(at=[site.server, site.one], on="any", file="pcapng", link="sll2")
    rows = tables(capture)["registrations"].rows()
    assert sorted((row.host, row.port) for row in rows if row.loopback) == [
        (site.one.address, 662),
        (site.server.address, 0),
    ]


def merged(*captures: bytes) -> bytes:
    """The records of pcap files in order of time, as if of one interface."""
    records = []
    for capture in captures:
        at = 24
        while at < len(capture):
            seconds, fraction, size = struct.unpack_from("<III", capture, at)
            records.append((seconds, fraction, capture[at : at + 16 + size]))
            at += 16 + size
    return captures[0][:24] + b"".join(record for _, _, record in sorted(records))


def test_two_hosts_in_one_interface_of_a_merged_file_hold_two_loopbacks(site: Site, tables: Read) -> None:
    site.work()
    site.server.getport(site.server, "nsm1", port=0)
    site.one.getport(site.one, "nsm1", port=662)
    rows = tables(site.s.capture(on="any"))["registrations"].rows()
    assert sorted((row.host, row.asker, row.port) for row in rows if row.loopback) == [
        (site.one.address, site.one.address, 662),
        (site.server.address, site.server.address, 0),
    ]


def test_what_is_nameless_in_a_merged_file_is_nobodys(site: Site, tables: Read) -> None:
    """Both ends of conversations sent from there: one of the two names would have been the only one."""
    site.work(site.one)
    site.one.getport(site.one, "nsm1", port=662)
    site.server.getport(site.server, "nsm1", port=0, cred=False)
    captures = [site.s.capture(at=host, on="any", link="sll2") for host in (site.server, site.one)]
    read = tables(merged(*captures))
    assert {(row.host, row.port) for row in read["registrations"].rows()} == {(site.one.address, 662), (None, 0)}
    assert not read["flows"].valid("server").all()


def test_captures_of_two_hosts_that_are_called_as_a_ring_hold_two_loopbacks(site: Site, tables: Read) -> None:
    """One after the other, in files whose names differ by a time."""
    site.work(site.one)
    site.one.getport(site.one, "nsm1", port=662)
    first = site.s.capture(at=site.one, on="any", link="sll2")
    begun = (site.s.now - min(segment.time for segment in site.s.segments)) / 1e9
    site.s.wait(5)
    site.work(site.one)
    site.server.getport(site.server, "nsm1", port=0, cred=False)
    second = site.s.capture(at=site.server, on="any", link="sll2", since=begun + 1)
    read = tables(**{"t-20260101-1200": first, "t-20260101-1201": second})
    assert {(row.host, row.port) for row in read["registrations"].rows()} == {
        (site.one.address, 662),
        (site.server.address, 0),
    }


def test_the_only_nameless_host_owns_a_loopback_that_is_given_alone(site: Site, tables: Read) -> None:
    site.work(site.one)
    site.server.getport(site.server, "nsm1")
    read = tables(wire=site.s.capture(at=site.one), loopback=site.s.capture(at=site.server, on="lo"))
    (row,) = read["registrations"].rows()
    assert row.host == site.server.address


def test_the_wire_of_a_server_of_several_clients(site: Site, tables: Read) -> None:
    site.work()
    (capture,) = tables(site.s.capture(at=site.server))["captures"].rows()
    assert (capture.where, capture.host, capture.any_interface) == ("server wire", site.server.address, False)
    assert (capture.format[:4], capture.linktypes, capture.file.endswith("trace.pcap")) == ("pcap", ("ETHERNET",), True)


def test_a_wire_between_two_has_no_side(site: Site, tables: Read) -> None:
    site.work(site.one)
    (capture,) = tables(site.s.capture(at=site.one))["captures"].rows()
    assert (capture.where, capture.host) == ("wire", None)


def test_hosts_have_names_and_roles(site: Site, tables: Read) -> None:
    site.work()
    site.server.notify(site.one, 5).reply()
    rows = {row.host: row for row in tables(site.s.capture(at=site.server))["hosts"].rows()}
    assert {host: (row.names, row.roles) for host, row in rows.items()} == {
        site.server.address: (("nfssrv",), ("server",)),
        site.one.address: (("web-1",), ("client",)),
        site.two.address: (("web-2",), ("client",)),
    }
    assert (rows[site.server.address].server_calls, rows[site.one.address].client_calls) == (4, 2)
    assert rows[site.server.address].captures == ("0",)


def test_a_call_back_makes_no_client_of_a_server(site: Site, tables: Read) -> None:
    waiting = site.one.lock(site.server).blocked()
    waiting.granted()
    rows = {row.host: row.roles for row in tables(site.s.capture())["hosts"].rows()}
    assert rows == {site.server.address: ("server",), site.one.address: ("client",)}


def test_an_ipv4_and_an_ipv6_address_of_one_name_are_one_host(tables: Read) -> None:
    s = Scenario()
    server4, server6 = s.host("10.0.0.9", name="nfssrv"), s.host("fd00::9", name="nfssrv")
    client4, client6 = s.host("10.0.0.1", name="web-1"), s.host("fd00::1", name="web-1")
    client6.lock(server6).granted()
    client6.lock(server6, svid=2).granted()
    client4.getattr(server4, "/srv")
    rows = {row.host: row.addresses for row in tables(s.capture())["hosts"].rows()}
    assert set(rows["fd00::1"]) == {"10.0.0.1", "fd00::1"}


def test_two_hosts_of_one_name_are_two(tables: Read) -> None:
    s = Scenario()
    server = s.host("10.0.0.9", name="nfssrv")
    for address in ("10.0.0.1", "10.0.0.2"):
        s.host(address, name="localhost").lock(server).granted()
    hosts = {row.host for row in tables(s.capture())["hosts"].rows()}
    assert hosts == {"10.0.0.9", "10.0.0.1", "10.0.0.2"}


def test_the_link_layer_tells_whose_loopback_it_is(site: Site, tables: Read) -> None:
    """The capturing host sent from this address: its frames are marked as outgoing in Linux's cooked captures."""
    site.one.getattr(site.server, "/srv", cred=False)
    site.one.getport(site.one, "nsm1", transport="udp", cred=False)
    for link in ("sll", "sll2"):
        read = tables(site.s.capture(at=site.one, on="any", link=link))
        assert read["captures"].row(0).loopback_of == site.one.address
        (row,) = read["registrations"].rows()
        assert row.host == site.one.address
