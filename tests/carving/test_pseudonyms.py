"""Pseudonyms: what they keep of the originals, and that no two originals share one."""

from itertools import product

import pytest

from nfsrpc.carving.pseudonyms import KEY_BYTES, SHUFFLED, Feistel, Pseudonyms
from nfsrpc.protocols.xdr import UNBOUNDED

KEY = bytes(range(KEY_BYTES))


@pytest.fixture
def names() -> Pseudonyms:
    return Pseudonyms(KEY)


def ipv4(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def test_the_key_alone_determines_them() -> None:
    originals = [b"node1.example.com", b"10.1.84.31", b"0@cl1", b"/export/home"]
    known = Pseudonyms(KEY)
    assert [known.text(each) for each in originals] == [Pseudonyms(KEY).text(each) for each in reversed(originals)][
        ::-1
    ]
    other = Pseudonyms(bytes(KEY_BYTES))
    assert all(known.text(each) != other.text(each) for each in originals)


def test_every_address_of_a_network_has_one_of_its_own(names: Pseudonyms) -> None:
    new = [names.address(ipv4(f"10.1.84.{last}")) for last in range(256)]
    assert len(set(new)) == 256
    assert len({each[:3] for each in new}) == 1
    assert [len(str(each[3])) for each in new] == [len(str(last)) for last in range(256)]
    assert [each[3] for each in (new[0], new[255])] == [0, 255]
    assert not any(each[3] == last for last, each in enumerate(new) if 0 < last < 255)


def test_common_prefixes_are_as_long_as_before(names: Pseudonyms) -> None:
    new = {
        text: names.address(ipv4(text))
        for text in ("10.1.84.31", "10.1.84.32", "10.1.85.31", "10.2.84.31", "11.1.84.31")
    }
    first, *others = new.values()
    assert [next(at for at in range(4) if first[at] != other[at]) for other in others] == [3, 2, 1, 0]
    assert all(original[0] != each[0] for original, each in zip(map(ipv4, new), new.values(), strict=True))


@pytest.mark.parametrize(
    "kept", ["127.0.0.1", "127.1.2.3", "0.0.0.0", "255.255.255.255", "224.0.0.251", "239.1.2.3", "169.254.169.254"]
)
def test_addresses_that_are_the_same_everywhere(names: Pseudonyms, kept: str) -> None:
    assert names.address(ipv4(kept)) == ipv4(kept)
    assert names.text(kept.encode()) == kept.encode()


def test_no_address_becomes_one_that_means_something_else(names: Pseudonyms) -> None:
    firsts = {first: names.address(bytes((first, 9, 9, 9)))[0] for first in range(256)}
    assert sorted(firsts.values()) == list(range(256))
    moved = {first for first, new in firsts.items() if first != new}
    assert moved == set(range(1, 224)) - {127, 169}
    assert not {firsts[first] for first in moved} & {0, 127, 169, *range(224, 256)}
    seconds = {names.address(bytes((169, second, 9, 9)))[1] for second in range(256) if second != 254}
    assert 254 not in seconds


@pytest.mark.parametrize(
    "kept",
    ["::1", "::", "ff02::1", "::.2.150", "::1.0.111", "0.0.0.0.0.111", "127.0.0.1.3.4", "::ffff:127.0.0.1"],
)
def test_texts_of_such_addresses(names: Pseudonyms, kept: str) -> None:
    assert names.text(kept.encode()) == kept.encode()


def test_ipv6_keeps_what_kind_of_address_it_is(names: Pseudonyms) -> None:
    link_local, unique, common = (names.text(each).decode() for each in (b"fe80::31", b"fd00:84::31", b"2001:db8::31"))
    assert link_local[:6] == "fe80::"
    assert link_local != "fe80::31"
    assert unique[:2] in ("fc", "fd")
    assert unique[4] == ":"
    assert unique[7:9] == "::"
    assert common[0] in "23"
    assert common != "2001:db8::31"
    near = names.text(b"2001:db8::32").decode()
    assert near[:-2] == common[:-2]
    assert near != common


def test_a_name_an_address_and_a_universal_address_have_one_pseudonym(names: Pseudonyms) -> None:
    plain = names.text(b"10.1.84.31")
    assert len(plain) == len(b"10.1.84.31")
    assert plain != b"10.1.84.31"
    assert plain == b"%d.%d.%d.%d" % tuple(names.address(ipv4("10.1.84.31")))
    assert names.text(b"10.1.84.31.3.77") == plain + b".3.77"
    assert names.text(b"::ffff:10.1.84.31") == b"::ffff:" + plain
    assert names.text(b"64:ff9b::10.1.84.31") == b"64:ff9b::" + plain
    assert names.text(b"10.1.84.31:/export")[: len(plain) + 2] == plain + b":/"
    assert names.text(b"dump-10.1.84.31.pcap")[5 : 5 + len(plain)] == plain
    assert names.text(b"10.1.84.0/24") == plain.rpartition(b".")[0] + b".0/24"
    six = names.text(b"fd00:84::31")
    assert names.text(b"fd00:84::31.2.150") == six + b".2.150"
    assert names.text(b"FD00:84::31") == six.upper()
    assert names.text(b"fd00:84:0:0:0:0:0:31").replace(b":0:0:0:0:0:", b"::") == six


def test_names_are_replaced_label_by_label(names: Pseudonyms) -> None:
    short, domain = names.text(b"node1"), names.text(b"example.com")
    assert names.text(b"node1.example.com") == short + b"." + domain
    assert names.text(b"NODE1.Example.com").lower() == short + b"." + domain
    assert names.owner(b"4711@node1") == b"4711@" + short
    assert names.owner(b"node1") == short
    assert names.text(b"/node1/node1") == b"/" + short + b"/" + short
    assert names.text(b"*.example.com") == b"*." + domain
    assert short[:4].isalpha()
    assert short[4:].isdigit()
    assert [len(each) for each in (short, domain)] == [5, 11]
    assert not {b"node1", b"example", b"com"} & {short, *domain.split(b".")}


@pytest.mark.parametrize("kept", [b"localhost", b"LOCALHOST", b"localhost.localdomain", b"", b"/", b"...", b"- -"])
def test_names_that_are_the_same_everywhere(names: Pseudonyms, kept: bytes) -> None:
    assert names.text(kept) == kept


def test_a_number_without_a_host_is_no_process(names: Pseudonyms) -> None:
    assert names.text(b"4711") != b"4711"
    assert names.text(b"4711").isdigit()
    assert names.owner(b"4711") == names.text(b"4711")
    assert names.owner(b"x4711@node1")[:5] != b"x4711"
    assert names.text(b"4711@node1")[:4] == names.text(b"4711")


def test_labels_have_pseudonyms_of_their_own_however_short(names: Pseudonyms) -> None:
    letters = b"abcdefghijklmnopqrstuvwxyz"
    for length in (1, 2, 3):
        originals = [bytes(each) for each in product(letters, repeat=length)]
        new = [names.label(each) for each in originals]
        assert sorted(new) == originals
        assert not any(one == other for one, other in zip(originals, new, strict=True))


@pytest.mark.parametrize("text", ["Jürgen", "資料.txt", "я", "𝄞𝄞", "ﬀ퟿", "a\u0301"])
def test_text_stays_text(names: Pseudonyms, text: str) -> None:
    new = names.text(text.encode())
    assert len(new) == len(text.encode())
    assert new != text.encode()
    assert len(new.decode("utf-8")) == len(text)


def test_very_long_names_cost_no_more_for_each_byte(names: Pseudonyms) -> None:
    long = bytes(97 + at % 26 for at in range(100_000))
    new = names.label(long)
    assert len(new) == len(long)
    assert new[:255] == names.label(long[:255])
    assert len(names.opaque(long)) == len(long)
    assert names.used["handle"][long] == names.opaque(long)


def test_numbers_keep_their_digits(names: Pseudonyms) -> None:
    assert [names.identifier(kept) for kept in (0, 65534, 2**32 - 2, 2**32 - 1)] == [0, 65534, 2**32 - 2, 2**32 - 1]
    three = [names.identifier(number) for number in range(100, 1000)]
    assert sorted(three) == list(range(100, 1000))
    assert not any(one == other for one, other in zip(range(100, 1000), three, strict=True))
    five = {names.identifier(number) for number in range(65_000, 66_000)}
    assert len(five) == 1000
    assert {len(str(each)) for each in five} == {5}
    assert 10**9 <= names.identifier(4_000_000_000) < 2**32
    assert 10**19 <= names.number(2**64 - 2, 2**64) < 2**64
    assert names.number(0, 2**64) == 0


def test_opaque_bytes(names: Pseudonyms) -> None:
    assert names.opaque(bytes(8)) == bytes(8)
    assert names.opaque(b"") == b""
    one = {names.opaque(bytes((each,))) for each in range(256)}
    assert one == {bytes((each,)) for each in range(256)}
    pairs = [names.opaque(each.to_bytes(4, "big")) for each in range(2000)]
    assert len(set(pairs)) == 2000
    assert {len(each) for each in pairs} == {4}


def test_mac_addresses(names: Pseudonyms) -> None:
    new = names.mac(bytes.fromhex("525400840031"))
    assert new != bytes.fromhex("525400840031")
    assert new[0] & 3 == 2
    assert names.mac(bytes.fromhex("0050569a0b0c"))[0] & 3 == 0
    for kept in ("ffffffffffff", "01005e0000fb", "333300000001", "000000000000"):
        assert names.mac(bytes.fromhex(kept)) == bytes.fromhex(kept)


@pytest.mark.parametrize("size", [2, 3, 90, SHUFFLED, SHUFFLED + 1, 9_999])
def test_an_order_visits_every_number_once(names: Pseudonyms, size: int) -> None:
    seen = [0]
    while len(seen) <= size and (following := names.successor(b"", seen[-1], size)) != 0:
        seen.append(following)
    assert sorted(seen) == list(range(size))


@pytest.mark.parametrize("size", [1025, 2**32, 26**7 * 10, 256**64, UNBOUNDED])
def test_a_network_has_an_inverse(size: int) -> None:
    network = Feistel(KEY, size)
    numbers = [0, 1, size // 2, size - 2, size - 1]
    assert all(0 <= network.forward(number) < size for number in numbers)
    assert [network.backward(network.forward(number)) for number in numbers] == numbers
