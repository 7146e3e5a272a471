"""The search for originals: what is planted is found, at any byte, and what only looks like an original is none."""

from ipaddress import ip_address

import pytest

from nfsrpc.carving import leaks
from nfsrpc.carving.leaks import CHUNK, DecodedParts
from nfsrpc.carving.pseudonyms import Pseudonyms

HANDLE = bytes(range(0x41, 0x61))


@pytest.fixture
def names() -> Pseudonyms:
    """The pseudonyms of a small capture."""
    names = Pseudonyms(b"key")
    for text in (b"node1.example.com", b"/a/b", b"10.1.84.31", b"fd00:84::31", b"10.0.0.1", b"ab"):
        names.text(text)
    names.owner(b"77@node1")
    for address in ("10.1.84.31", "fd00:84::31", "10.0.0.1"):
        names.address(ip_address(address).packed)
    names.text(b"release 1.1.8.10")  # as bytes: two options of TCP, and the beginning of the third
    names.mac(bytes.fromhex("525400840031"))
    names.opaque(HANDLE)
    names.identifier(1000)
    return names


def found(data: bytes, names: Pseudonyms) -> str | None:
    return leaks.find([data], DecodedParts(), names)


@pytest.mark.parametrize(
    ("left", "what"),
    [
        (b"node1", "the name node1"),
        (b"node1.example.com", "the name node1.example.com"),
        (b"xexample", "the name example"),
        (b"/a/b", "the name /a/b"),
        (b"10.1.84.31", "the name 10.1.84.31"),
        (b"fd00:84::31", "the name fd00:84::31"),
        (bytes((10, 1, 84, 31)), "the address 10.1.84.31"),
        (ip_address("fd00:84::31").packed, "the address fd00:84::31"),
        (bytes.fromhex("525400840031"), "the MAC 525400840031"),
        (HANDLE[3:11], "a part of a handle"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 2, 3, CHUNK - 3])
def test_what_is_left_is_found(names: Pseudonyms, left: bytes, what: str, before: int) -> None:
    at = before + left.index(what.split()[2].encode()) if "name" in what else before
    report = found(bytes(before) + left + bytes(20), names)
    assert report is not None
    assert report.startswith(f"{what} is left in frame 1 of the result, at byte {at}")


def test_what_is_too_short_or_the_same_everywhere_is_none(names: Pseudonyms) -> None:
    assert found(b"ab" + b"com" + HANDLE[3:10] + bytes(8), names) is None
    assert found(names.text(b"localhost") + b"127.0.0.1" + bytes((127, 0, 0, 1)), names) is None
    assert found(b"1000 0 10 0 0 1", names) is None


def test_an_address_that_is_in_texts_alone_is_searched_for_as_text(names: Pseudonyms) -> None:
    assert found(bytes((1, 1, 8, 10)), names) is None
    assert found(b"1.1.8.10", names) == "the name 1.1.8.10 is left in frame 1 of the result, at byte 0"


def test_an_address_with_few_values_is_found_as_text_and_where_it_is_a_party(names: Pseudonyms) -> None:
    assert found(bytes((0, 0, 0, 10, 0, 0, 1, 0)), names) is None
    assert found(b"10.0.0.1", names) == "the name 10.0.0.1 is left in frame 1 of the result, at byte 0"
    assert leaks.find([], DecodedParts(["10.0.0.1"]), names) == "the address 10.0.0.1 is a party of the result"
    assert leaks.find([], DecodedParts([names.text(b"10.0.0.1").decode()]), names) is None


@pytest.mark.parametrize(("address", "telling"), [("10.0.84.31", True), ("10.0.0.31", False), ("10.84.0.0", False)])
def test_how_many_bytes_of_an_address_tell_it(names: Pseudonyms, address: str, telling: bool) -> None:
    packed = ip_address(address).packed
    names.address(packed)
    assert (found(packed, names) is not None) == telling


@pytest.mark.parametrize(("handle", "telling"), [(b"abcdefff", True), (b"abcdeeee", False), (b"abcdefg", False)])
def test_how_many_bytes_of_a_handle_tell_it(names: Pseudonyms, handle: bytes, telling: bool) -> None:
    names.opaque(handle)
    assert (found(handle, names) is not None) == telling


def test_a_pseudonym_may_look_like_an_original(names: Pseudonyms) -> None:
    """Names, addresses and handles of which a pseudonym happens to have the bytes of something else."""
    names.text(names.label(b"home"))  # an original that is the pseudonym of another
    assert found(b"\0" + names.label(b"home") + b"\0", names) is None
    assert found(names.label(b"home") + b"x", names) is not None
    inside = names.opaque(HANDLE)[5:9]
    names.used["address"][inside] = b"\1\2\3\4"
    names.packed.add(inside)
    assert found(names.opaque(HANDLE), names) is None
    assert found(b"\0" + inside, names) is not None


def test_the_number_of_a_process_may_be_the_name_of_a_file(names: Pseudonyms) -> None:
    names.text(b"4711")
    assert found(names.owner(b"4711@node1"), names) is None
    assert found(b"4711", names) == "the name 4711 is left in frame 1 of the result, at byte 0"


def test_hosts_with_short_names_may_have_each_other_s(names: Pseudonyms) -> None:
    for number in range(10):
        names.owner(b"4@h%d" % number)
    assert {names.text(b"h%d" % number)[1:] for number in range(10)} <= {b"%d" % number for number in range(10)}
    for number in range(10):
        known = names.text(b"h%d" % number)
        names.label(known)
        assert found(b"\0" + names.owner(b"14@h%d" % number) + b"\0", names) is None


def test_an_original_that_is_its_own_pseudonym(names: Pseudonyms) -> None:
    names.used["name"][b"x"] = b"x"
    assert found(b"", names) == "the name x is its own pseudonym"


def test_names_of_an_attacker_are_printable(names: Pseudonyms) -> None:
    names.used["name"][b"\x1b[2Jx"] = b"\x1b[2Jy"
    assert found(b"..\x1b[2Jx", names) == "the name \\x1b[2Jx is left in frame 1 of the result, at byte 2"


def test_where_it_is_left(names: Pseudonyms) -> None:
    frames = [bytes(60), b"no" + HANDLE[:4], HANDLE[4:8] + b".node1"]
    assert leaks.find(frames, DecodedParts(), names) == "the name node1 is left in frame 3 of the result, at byte 5"


def test_every_decoded_field_is_a_pseudonym(names: Pseudonyms) -> None:
    """Also those that are too short to be searched for."""
    fields = [names.text(b"ab"), names.opaque(HANDLE), b"", bytes(8), b"superuser", b"tcp"]
    assert leaks.find([], DecodedParts((), fields), names) is None
    assert leaks.find([], DecodedParts((), [b"ab"]), names) == "the name ab is a field of a message of the result"
