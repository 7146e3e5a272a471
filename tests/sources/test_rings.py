"""Which captures are one ring: by what programs count up in names, and by the addresses that sent the captures."""

from __future__ import annotations

import pytest

from nfsrpc.sources.rings import hosts_of, ring_name, rings_of

A, B, C = "10.8.0.1", "10.8.0.2", "10.8.0.3"

WRITTEN = {
    "tcpdump -C": ("trace.pcap", "trace.pcap1", "trace.pcap12"),
    "tcpdump -C, of a host with a number": ("cl1.pcap", "cl1.pcap1", "cl1.pcap2"),
    "tcpdump -C, of an address": ("10.8.0.1.pcap", "10.8.0.1.pcap1"),
    "tcpdump -C -W": ("trace.pcap007", "trace.pcap010"),
    "tcpdump -C, of other suffixes": ("TRACE.CAP1", "TRACE.CAP2"),
    "a filer": ("e0a_20260101_120000.trc0", "e0a_20260101_120000.trc1"),
    "tcpdump -C -z gzip": ("trace.pcap1.gz", "trace.pcap2.zst", "trace.pcap3"),
    "tcpdump -G %Y%m%d-%H%M": ("trace-20260101-2359.pcap", "trace-20260102-0000.pcap"),
    "tcpdump -G %F_%T": ("trace_2026-01-01_12:00:00.pcap", "trace_2026-01-01_12:10:00.pcap"),
    "tcpdump -G %FT%T%z": ("trace-2026-01-01T12:00:00+0100.pcap", "trace-2026-01-02T12:00:00+0100.pcap"),
    "tcpdump -G %F_%H-%M-%S": ("trace_2026-01-01_12-00-00.pcap", "trace_2026-01-01_12-10-00.pcap"),
    "tcpdump -G %F_%H.%M.%S": ("trace_2026-01-01_12.00.00.pcap", "trace_2026-01-01_12.10.00.pcap"),
    "tcpdump -G %Y%m%d%H%M%S": ("20260101120000.pcap", "20260101121000.pcap"),
    "tcpdump -G %Y%m%d%H": ("trace_2026010112.pcap", "trace_2026010113.pcap"),
    "tcpdump -G %Y%m%d": ("trace-20260101.pcap", "trace-20260102.pcap"),
    "tcpdump -G %d-%m-%Y_%H%M": ("31-01-2026_1200.cap", "01-02-2026_1200.cap"),
    "tcpdump -G %T": ("trace-12:00:00.pcap", "trace-12:10:00.pcap"),
    "tcpdump -G -C": ("trace-20260101-1200.pcap", "trace-20260101-1200.pcap1", "trace-20260101-1210.pcap"),
    "a node's name before the time": ("node-0001-20260101-1200.pcap", "node-0001-20260101-1210.pcap"),
    "dumpcap": ("trace_00001_20260101120000.pcapng", "trace_00002_20260101130000.pcapng"),
    "dumpcap, the time first": ("trace_20260101120000_00001.pcapng", "trace_20260101130000_00002.pcapng"),
    "nfsrpc record": ("ring-20261122T053138Z-000001.pcapng", "ring-20261122T063138Z-000002.pcapng"),
    "logrotate": ("trace.pcap", "trace.pcap.1", "trace.pcap.2.gz"),
    "logrotate, dateext": ("trace.pcap", "trace.pcap-20260101", "trace.pcap-20260102-1700000000.xz"),
}

APART = {
    "addresses": ("10.8.0.1.pcap", "10.8.0.2.pcap"),
    "addresses, without a suffix": ("10.8.0.1", "10.8.0.2"),
    "addresses, with dashes": ("10-8-0-1.pcap", "10-8-0-2.pcap"),
    "addresses of IPv6": ("fd00::1.pcap", "fd00::2.pcap"),
    "addresses of IPv6 that look like a time": ("fd00::fe12:30.pcap", "fd00::fe12:31.pcap"),
    "addresses of IPv6 that look like a date": ("2001-10-20--1.pcap", "2001-10-21--1.pcap"),
    "addresses of IPv6 with underscores": ("2001_10_20__1.pcap", "2001_10_21__1.pcap"),
    "addresses and more": ("10.8.0.1-lo.pcap", "10.8.0.2-lo.pcap"),
    "addresses behind a date": ("20260101-10.11.0.5.pcap", "20260101-10.12.0.5.pcap"),
    "addresses with dashes behind a date": ("20260101-10-11-0-5.pcap", "20260101-10-12-0-5.pcap"),
    "addresses behind the suffix": ("trace.pcap-10.8.0.1", "trace.pcap-10.8.0.2"),
    "rings of two addresses": ("10.8.0.1.pcap0", "10.8.0.2.pcap1"),
    "names of hosts": ("cl1.pcap", "cl2.pcap"),
    "names of hosts in the cloud": ("ip-10-8-0-1.pcap", "ip-10-8-0-2.pcap"),
    "names of hosts with a dash": ("web-1.pcap", "web-2.pcap"),
    "names of hosts, padded, or %H%M": ("node-0001.pcap", "node-0002.pcap"),
    "names of hosts, padded further, or %H%M%S": ("node-000001.pcap", "node-000002.pcap"),
    "names of hosts before something else": ("cl1-any.pcap", "cl2-any.pcap"),
    "names of hosts before a time": ("cl1-20260101-1200.pcap", "cl2-20260101-1201.pcap"),
    "names of hosts behind a date": ("20260101-cl1.pcap", "20260101-cl2.pcap"),
    "one digit behind a date": ("20260101-1.pcap", "20260101-2.pcap"),
    "rings of two hosts": ("cl1.pcap0", "cl2.pcap1"),
    "numbers": ("trace7.pcap", "trace8.pcap"),
    "numbers, without a suffix": ("trace1", "trace2"),
    "numbers before the suffix": ("trace.1.pcap", "trace.2.pcap"),
    "a number behind the suffix and a dash": ("trace.pcap-1", "trace.pcap-2"),
    "no suffix of captures": ("trace.node1", "trace.node2"),
    "one digit of a time behind a date": ("20260101_12_1.pcap", "20260101_12_2.pcap"),
    "two digits behind a date, or %H": ("20260101_12.pcap", "20260101_13.pcap"),
    "two digits behind a date with dashes, or %H": ("2026-01-01-12.pcap", "2026-01-01-13.pcap"),
    "five digits behind a date": ("20260101-00001.pcap", "20260101-00002.pcap"),
    "five digits behind a time of other programs": ("20260101-1200-00001.pcap", "20260101-1200-00002.pcap"),
    "five digits before a date": ("00001_20260101.pcap", "00002_20260101.pcap"),
    "serial numbers, or %s": ("1681915905.pcap", "1681915906.pcap"),
    "serial numbers, or ns since the epoch": ("1700000000000000000", "1700000600000000000"),
    "serial numbers, or %y%m%d%H%M": ("2112050001.pcap", "2112050002.pcap"),
    "serial numbers with a dash, or %y%m%d-%H%M": ("211205-0001.pcap", "211205-0002.pcap"),
    "numbers without a day and a month": ("node-00002001.pcap", "node-00002002.pcap"),
    "numbers with a day and a month, or %d%m%Y": ("node-01022001.pcap", "node-01022002.pcap"),
    "no day and month": ("node-00-00-2001.pcap", "node-00-00-2002.pcap"),
    "racks and slots, or %H:%M": ("rack-03:12.pcap", "rack-03:13.pcap"),
    "addresses with underscores": ("10_8_0_1.pcap", "10_8_0_2.pcap"),
    "addresses with underscores behind a date": ("20260101_10_12_10_5.pcap", "20260101_10_13_10_5.pcap"),
    "years": ("trace-2025.pcap", "trace-2026.pcap"),
    "no date": ("trace-20261301.pcap", "trace-20261302.pcap"),
    "no time": ("vm-20260101-2500.pcap", "vm-20260101-2501.pcap"),
    "folders": ("node1/trace.pcap0", "node2/trace.pcap1"),
    "what has no name": ("bytes", "bytes"),
}


@pytest.mark.parametrize("names", WRITTEN.values(), ids=WRITTEN.keys())
def test_what_a_program_counts_up_is_one_ring(names: tuple[str, ...]) -> None:
    assert rings_of(names, [()] * len(names)) == [0] * len(names)
    assert rings_of(["other.pcap", *names], [()] * (len(names) + 1)) == [0] + [1] * len(names)
    assert len({ring_name(name).written for name in names}) == 1


@pytest.mark.parametrize("names", APART.values(), ids=APART.keys())
def test_what_may_be_two_hosts_is_no_ring(names: tuple[str, str]) -> None:
    assert rings_of(names, [(), ()]) == [0, 1]
    assert rings_of(names, [{A}, {B}]) == [0, 1]


@pytest.mark.parametrize(
    ("senders", "rings"),
    [
        pytest.param([{A}, {A}, {A}], [0, 0, 0], id="one host"),
        pytest.param([{A, C}, {C, A}, {B}], [0, 0, 2], id="two hosts"),
        pytest.param([{A}, {A, C}, {A}], [0, 1, 0], id="perhaps one host"),
        pytest.param([{A}, (), {A}], [0, 1, 0], id="one that is not known"),
        pytest.param([(), (), ()], [0, 1, 2], id="none that is known"),
    ],
)
@pytest.mark.parametrize(
    "names", [("t1.pcap", "t2.pcap", "t3.pcap"), ("t-1200.pcap", "t-1201.pcap", "t-1202.pcap"), ("bytes",) * 3]
)
def test_names_that_decide_nothing_are_one_ring_where_one_host_sent_all(
    names: tuple[str, ...], senders: list[set[str]], rings: list[int]
) -> None:
    assert rings_of(names, senders) == rings


@pytest.mark.parametrize(
    ("senders", "rings"),
    [
        pytest.param([{A}, {A}, {B}], [0, 0, 2], id="two hosts"),
        pytest.param([{A}, {B}, {A, B}], [0, 0, 0], id="two addresses of a host, in one file each"),
        pytest.param([{A}, {A}, ()], [0, 0, 0], id="one that is not known"),
        pytest.param([{A}, {B}, ()], [0, 1, 2], id="two hosts, and one that is not known"),
        pytest.param([{A}, {B}, (), ()], [0, 1, 2, 3], id="two hosts, and two that are not known"),
        pytest.param([{A, B}, {A, C}, {A, B}], [0, 1, 0], id="two hosts that an address goes to and fro between"),
        pytest.param([{A, B}, {A, C}, {A}], [0, 1, 2], id="two hosts, and an address of both"),
        pytest.param([(), (), {A}], [0, 0, 0], id="two that are not known"),
    ],
)
def test_no_name_makes_captures_of_two_hosts_one_ring(senders: list[set[str]], rings: list[int]) -> None:
    assert rings_of([f"t.pcap{number}" for number in range(len(senders))], senders) == rings


@pytest.mark.parametrize("own", ["169.254.20.10", "172.17.0.1", "10.88.0.1", "192.168.122.1", "fe80::1"])
def test_addresses_that_every_host_may_have_show_nothing(own: str) -> None:
    assert rings_of(["cl1.pcap", "cl2.pcap"], [{own}, {own}]) == [0, 1]
    assert rings_of(["t.pcap1", "t.pcap2", "t.pcap3"], [{own, A}, {own, B}, {own}]) == [0, 1, 2]
    assert rings_of(["t.pcap1", "t.pcap2"], [{own, A}, {own}]) == [0, 0]


def test_captures_of_one_host_have_its_addresses() -> None:
    assert hosts_of("xxyy", [{A}, {A, B}, {B}, {C}]) == [{A, B}, {A, B}, {B}, {C}]
    assert hosts_of("xxx", [{A}, {A}, ()]) == [{A}, {A}, {A}]
    assert hosts_of("xx", [(), ()]) == [frozenset(), frozenset()]


def test_very_many_files() -> None:
    """Each shares an address with the next, or all with one that has the addresses of all: no more than n log n."""
    count = 20_000
    names = [f"t.pcap{number}" for number in range(count)]
    chain = [{f"10.100.{n >> 8}.{n & 255}" for n in (number, number + 1)} for number in range(count)]
    assert rings_of(names, chain) == list(range(count))
    assert rings_of(names, [set().union(*chain), *chain[1:]]) == [0] * count
