"""Which addresses are asked, and where."""

from __future__ import annotations

import socket

import pytest

from nfsrpc.columns import NAT
from nfsrpc.probe.questions import Place, addresses_of, services
from nfsrpc.tables import TABLES, Registrations
from tests.cli.command import run

ROW = {"time": NAT, "host": "fe80::1", "transport": "tcp", "netid": "tcp6", "port": 662, "prog": 100024, "vers": 1}


def registrations(**values: object) -> Registrations:
    spec = TABLES["registrations"]
    empty = {"text": None, "texts": ()}
    return Registrations.of(
        spec, [tuple((ROW | values).get(each.name, empty.get(each.kind, 0)) for each in spec.columns)]
    )


def test_a_link_local_address_keeps_its_interface() -> None:
    assert addresses_of("fe80::1%lo") == ["fe80::1%lo"]
    assert addresses_of(f"fe80::1%{socket.if_nametoindex('lo')}") == ["fe80::1%lo"]
    assert addresses_of("::1") == ["::1"]
    assert addresses_of("127.0.0.1") == ["127.0.0.1"]


def test_a_service_is_asked_over_the_interface_that_its_port_mapper_was_asked_over() -> None:
    found = services(registrations(), [100024], ["fe80::1%lo", "::1"])
    assert found == {Place("fe80::1%lo", "tcp", 662): [(100024, 1)]}
    assert services(registrations(host="::1"), [100024], ["fe80::1%lo", "::1"]) == {
        Place("::1", "tcp", 662): [(100024, 1)]
    }


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("fe80::1", "; a link-local address needs its interface: fe80::1%eth0"),
        ("fe80::1%lo", ""),
        ("203.0.113.1", ""),
        ("server", ""),
    ],
)
def test_a_link_local_address_without_its_interface(monkeypatch: pytest.MonkeyPatch, host: str, hint: str) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("nfsrpc.probe.probe", refused)
    result = run("probe", host)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"nfsrpc: {host}: cannot be asked from here: Invalid argument{hint}\n"
