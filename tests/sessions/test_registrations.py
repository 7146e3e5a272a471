"""What portmappers and rpcbinds said."""

from __future__ import annotations

from typing import Any

import pytest

from nfsrpc.sessions.universal_addresses import universal_address
from tests.scenario import Host, Scenario
from tests.sessions.conftest import Read


@pytest.fixture
def pair() -> tuple[Scenario, Host, Host]:
    s = Scenario()
    return s, s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")


def values(row: Any, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


ANSWER = ("source", "asked_vers", "program", "vers", "transport", "netid", "port", "state")


@pytest.mark.parametrize("port", [0, 662])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_getport(pair: tuple[Scenario, Host, Host], tables: Read, port: int, transport: Any) -> None:
    s, server, client = pair
    client.getport(server, "nsm1", netid="udp", port=port, transport=transport, cred=transport == "tcp")
    (row,) = tables(s.capture())["registrations"].rows()
    assert values(row, *ANSWER) == ("GETPORT", 2, "nsm", 1, "udp", "udp", port, "answered")
    assert values(row, "host", "asker", "asked_by_transport", "prog") == ("10.0.0.9", "10.0.0.1", transport, 100024)
    assert values(row, "machine", "flavor") == (("web-1", 1) if transport == "tcp" else (None, 0))
    assert (row.complete, row.resends, row.loopback) == (True, 0, False)
    assert row.frame < row.reply_frame


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(
    ("addr", "address", "port"),
    [("10.0.0.9.2.150", "10.0.0.9", 662), ("fd00::9.128.35", "fd00::9", 32803), ("", None, 0)],
)
def test_getaddr(
    pair: tuple[Scenario, Host, Host], tables: Read, version: int, addr: str, address: str | None, port: int
) -> None:
    s, server, client = pair
    asked = {"r_prog": 100021, "r_vers": 4, "r_netid": "tcp6", "r_addr": "", "r_owner": ""}
    client.call(server, f"rpcbind{version}", "GETADDR", **asked).reply(addr=addr)
    (row,) = tables(s.capture())["registrations"].rows()
    assert values(row, *ANSWER) == ("GETADDR", version, "nlm", 4, "tcp", "tcp6", port, "answered")
    assert row.address == address


def test_dump_has_a_row_an_entry(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    mappings = [
        {"prog": 100000, "vers": 2, "prot": "TCP", "port": 111},
        {"prog": 100024, "vers": 1, "prot": "UDP", "port": 662},
    ]
    client.call(server, "portmap2", "DUMP").reply(mappings=mappings)
    rows = list(tables(s.capture())["registrations"].rows())
    assert [values(row, *ANSWER) for row in rows] == [
        ("DUMP", 2, "portmap", 2, "tcp", "tcp", 111, "answered"),
        ("DUMP", 2, "nsm", 1, "udp", "udp", 662, "answered"),
    ]
    assert len({row.exchange for row in rows}) == 1


def test_dump_of_rpcbind(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    entry = {"r_prog": 100024, "r_vers": 1, "r_netid": "udp6", "r_addr": "::.2.150", "r_owner": "29"}
    local = {"r_prog": 100000, "r_vers": 4, "r_netid": "local", "r_addr": "/run/rpcbind.sock", "r_owner": "superuser"}
    client.call(server, "rpcbind4", "DUMP").reply(rpcblist=[entry, local])
    rows = list(tables(s.capture())["registrations"].rows())
    assert [values(row, "program", "transport", "netid", "port", "address", "owner") for row in rows] == [
        ("nsm", "udp", "udp6", 662, "::", "29"),
        ("portmap", None, "local", None, "/run/rpcbind.sock", "superuser"),
    ]


@pytest.mark.parametrize("protocol", ["portmap2", "rpcbind3", "rpcbind4"])
def test_an_empty_dump_is_told_from_none(pair: tuple[Scenario, Host, Host], tables: Read, protocol: str) -> None:
    s, server, client = pair
    client.call(server, protocol, "DUMP").reply()
    client.call(server, protocol, "DUMP")
    answered, silent = tables(s.capture())["registrations"].rows()
    assert values(answered, "prog", "port", "complete", "state") == (None, None, True, "answered")
    assert values(silent, "prog", "port", "complete", "state") == (None, None, False, "undecided")


def test_a_list_of_addresses(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    asked = {"r_prog": 100024, "r_vers": 1, "r_netid": "", "r_addr": "", "r_owner": ""}
    found = [{"r_maddr": "10.0.0.9.2.150", "r_nc_netid": netid} for netid in ("udp", "tcp")]
    client.call(server, "rpcbind4", "GETADDRLIST", **asked).reply(rpcb_entry_list=found)
    rows = list(tables(s.capture())["registrations"].rows())
    assert [values(row, "program", "vers", "netid", "port") for row in rows] == [
        ("nsm", 1, "udp", 662),
        ("nsm", 1, "tcp", 662),
    ]


def test_set_and_unset(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, _ = pair
    entry = {"r_prog": 100024, "r_vers": 1, "r_netid": "udp", "r_addr": "0.0.0.0.2.150", "r_owner": ""}
    server.call(server, "rpcbind4", "UNSET", **entry).reply(result=True)
    server.call(server, "rpcbind4", "SET", **entry).reply(result=True)
    server.call(server, "rpcbind4", "SET", **entry).reply(result=False)
    rows = tables(s.capture(on="any"))["registrations"].rows()
    assert [values(row, "source", "program", "port") for row in rows] == [
        ("UNSET", "nsm", 0),
        ("SET", "nsm", 662),
        ("SET", "nsm", None),
    ]


def test_no_answer_has_no_port(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    mapping = {"prog": 100024, "vers": 1, "prot": "UDP"}
    client.call(server, "portmap2", "GETPORT", transport="udp", **mapping).unanswered(resend=[1, 3])
    client.call(server, "portmap2", "GETPORT", **mapping).error("PROG_MISMATCH", low=3, high=4)
    client.getattr(server, "/srv")
    s.wait(20)
    client.getattr(server, "/srv")
    silent, refused = tables(s.capture())["registrations"].rows()
    assert values(silent, "program", "port", "state", "resends", "rpc_status") == ("nsm", None, "unanswered", 2, None)
    assert values(refused, "program", "port", "state", "rpc_status") == ("nsm", None, "answered", 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0.0.111", ("0.0.0.0", 111)),
        ("::1.255.255", ("::1", 65535)),
        ("10.0.0.9.256.1", ("10.0.0.9.256.1", None)),
        ("nonsense", ("nonsense", None)),
        (".1.1", (".1.1", None)),
        ("10.0.0.9.999.150", ("10.0.0.9.999.150", None)),
        ("10.0.0.9.0000.111", ("10.0.0.9.0000.111", None)),
        ("10.0.0.9.2.\u0661", ("10.0.0.9.2.\u0661", None)),
        (f"10.0.0.9.2.{'1' * 5000}", (f"10.0.0.9.2.{'1' * 5000}", None)),
    ],
)
def test_universal_addresses(text: str, expected: tuple[str | None, int | None]) -> None:
    assert universal_address(text) == expected
