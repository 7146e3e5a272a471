"""DNS with pseudonyms: names and addresses of the hosts of RPC, also reversed; zeros for all other messages."""

import dpkt
import pytest

from nfsrpc.carving import dns
from nfsrpc.carving.pseudonyms import Pseudonyms


@pytest.fixture
def names() -> Pseudonyms:
    """Of a capture whose messages have these names and addresses."""
    names = Pseudonyms(b"key")
    for text in (b"node1.example.com", b"10.1.84.31", b"2001:db8::31"):
        names.text(text)
    return names


def query(name: str, kind: int = dpkt.dns.DNS_A, **fields: object) -> bytes:
    return bytes(dpkt.dns.DNS(id=4711, qd=[dpkt.dns.DNS.Q(name=name, type=kind)], **fields))


def rewritten(data: bytes, names: Pseudonyms) -> dpkt.dns.DNS:
    new = dns.message(data, names)
    assert len(new) == len(data)
    return dpkt.dns.DNS(new)


@pytest.mark.parametrize("name", ["node1", "node1.example.com", "NODE1.example.com"])
def test_names_of_hosts(names: Pseudonyms, name: str) -> None:
    message = rewritten(query(name), names)
    assert message.id == 4711
    assert message.qd[0].name == names.text(name.encode()).decode() != name


@pytest.mark.parametrize("name", ["www.example.org", "31.84.1.11.in-addr.arpa", ""])
def test_others_are_zeros(names: Pseudonyms, name: str) -> None:
    data = query(name)
    assert dns.message(data, names) == bytes(len(data))


def test_a_reverse_zone_has_the_pseudonym_of_its_address(names: Pseudonyms) -> None:
    message = rewritten(query("31.84.1.10.in-addr.arpa", dpkt.dns.DNS_PTR), names)
    labels = names.text(b"10.1.84.31").decode().split(".")
    assert message.qd[0].name == ".".join([*reversed(labels), "in-addr", "arpa"])
    digits = "20010db8000000000000000000000031"
    message = rewritten(query(".".join([*reversed(digits), "ip6", "arpa"]), dpkt.dns.DNS_PTR), names)
    new = "".join(reversed(message.qd[0].name.split(".")[:32]))
    assert bytes.fromhex(new) == names.used["address"][bytes.fromhex(digits)]


def test_answers(names: Pseudonyms) -> None:
    records = [
        dpkt.dns.DNS.RR(name="node1.example.com", type=dpkt.dns.DNS_CNAME, cname="host7.example.com", ttl=60),
        dpkt.dns.DNS.RR(name="host7.example.com", type=dpkt.dns.DNS_A, ip=bytes((10, 1, 84, 31)), ttl=60),
        dpkt.dns.DNS.RR(name="host7.example.com", type=dpkt.dns.DNS_TXT, text=[b"owner: alice"], ttl=60),
    ]
    data = query("node1.example.com", an=records)
    message = rewritten(data, names)
    assert message.an[0].cname == names.text(b"host7.example.com").decode()
    assert message.an[1].ip == names.address(bytes((10, 1, 84, 31)))
    assert [record.ttl for record in message.an] == [60, 60, 60]
    assert b"alice" in data
    assert b"alice" not in dns.message(data, names)


def test_pointers_stay(names: Pseudonyms) -> None:
    """The name of the answer is that of the question, by a pointer (RFC 1035 section 4.1.4)."""
    question = query("node1.example.com")
    data = question[:6] + b"\0\1" + question[8:] + b"\xc0\x0c" + b"\0\1\0\1\0\0\0\x3c\0\4" + bytes((10, 1, 84, 31))
    message = rewritten(data, names)
    assert message.an[0].name == message.qd[0].name == names.text(b"node1.example.com").decode()
    assert message.an[0].ip == names.address(bytes((10, 1, 84, 31)))


@pytest.mark.parametrize("size", range(60))
def test_cut_messages_lose_what_is_cut(names: Pseudonyms, size: int) -> None:
    data = query("node1.example.com", an=[dpkt.dns.DNS.RR(name="node1.example.com", ip=bytes((10, 1, 84, 31)))])
    new = dns.message(data[:size], names)
    assert len(new) == len(data[:size])
    assert not any(word in new for word in (b"node1", b"example", bytes((10, 1, 84, 31))))


@pytest.mark.parametrize(
    "name", [b"\xc0\x0c", b"\x05node1\xc0\x0c", b"\xc0\xff", b"\x3f" + b"x" * 10, b"\x45" + b"x" * 69]
)
def test_malformed_names(names: Pseudonyms, name: bytes) -> None:
    data = b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\0\1\0\1"
    assert dns.message(data, names) == bytes(len(data))
