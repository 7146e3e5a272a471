"""Messages with pseudonyms: every declared field is rewritten as what it is, and nothing else of a message is left."""

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nfsrpc.carving.private_fields import message
from nfsrpc.carving.pseudonyms import Pseudonyms
from nfsrpc.protocols import PROTOCOLS, Procedure, Program, program
from nfsrpc.protocols.rpc import authsys_parms, rpc_msg
from nfsrpc.protocols.xdr import (
    FixedOpaque,
    Opaque,
    Optional,
    Sequence,
    Struct,
    Type,
    Union,
    decode,
    decode_prefix,
    encode,
)
from tests.protocols.strategies import values
from tests.rpc_messages import auth_sys, encode_call, encode_reply

KEY = b"key of the tests"
DECLARED = [(each, procedure) for each in PROTOCOLS for procedure in each.procedures if procedure.args is not None]


def call(protocol: str, procedure: str, **args: Any) -> tuple[bytes, Procedure]:
    declared = program(protocol).procedure(procedure)
    return encode_call(program(protocol), procedure, args, xid=7, cred=auth_sys("cl1", 1000, 100, (4, 27))), declared


def results(data: bytes, kind: Type | None) -> Any:
    assert kind is not None
    _, end = decode_prefix(rpc_msg, data)
    return decode(kind, data[end:])


def test_one_host_has_one_name_in_every_field() -> None:
    names = Pseudonyms(KEY)
    new = names.text(b"cl1.example.com").decode()
    short = new.partition(".")[0]
    lock = {"caller_name": "cl1.example.com", "oh": b"12@cl1", "fh": b"handle-1", "svid": 12, "l_offset": 5, "l_len": 6}
    data, declared = call("nlm4", "LOCK", cookie=b"\1\2\3\4", alock=lock, state=7)
    shown = results(message(data, declared, names), declared.args)
    assert shown["alock"]["caller_name"] == new
    assert shown["alock"]["oh"] == f"12@{short}".encode()
    assert [shown["alock"][name] for name in ("svid", "l_offset", "l_len")] == [12, 5, 6]
    assert shown["state"] == 7
    assert shown["alock"]["fh"] == names.opaque(b"handle-1") != b"handle-1"
    assert shown["cookie"] == names.opaque(b"\1\2\3\4")
    header, _ = decode_prefix(rpc_msg, message(data, declared, names))
    cred = decode(authsys_parms, header["body"]["cbody"]["cred"]["body"])
    assert cred["machinename"] == short
    assert [cred["uid"], cred["gid"], cred["gids"]] == [
        names.identifier(1000),
        names.identifier(100),
        [names.identifier(4), names.identifier(27)],
    ]
    data, declared = call(
        "nsm1", "SM_MON", mon_id={"mon_name": "10.1.84.31", "my_id": {"my_name": "cl1"}}, priv=b"p" * 16
    )
    shown = results(message(data, declared, names), declared.args)
    assert shown["mon_id"]["mon_name"] == names.text(b"10.1.84.31").decode()
    assert shown["mon_id"]["my_id"]["my_name"] == short
    assert shown["priv"] == names.opaque(b"p" * 16)
    data, declared = call("mount3", "MNT", dirpath="/export/cl1")
    assert results(message(data, declared, names), declared.args)["dirpath"].endswith(f"/{short}")


def test_attributes_keep_times_and_sizes() -> None:
    names, declared = Pseudonyms(KEY), program("nfs3").procedure("GETATTR")
    attributes = {"type": "REG", "mode": 0o644, "uid": 1000, "gid": 0, "size": 4096, "fsid": 77, "fileid": 123_456}
    attributes |= {"rdev": {"specdata1": 8, "specdata2": 17}, "mtime": {"seconds": 1_700_000_000, "nseconds": 5}}
    data = encode_reply(program("nfs3"), "GETATTR", {"status": "OK", "obj_attributes": attributes}, xid=7)
    shown = results(message(data, declared, names), declared.res)["obj_attributes"]
    assert [shown[name] for name in ("type", "mode", "gid", "size", "mtime")] == [
        *("REG", 0o644, 0, 4096, {"seconds": 1_700_000_000, "nseconds": 5})
    ]
    assert shown["uid"] == names.identifier(1000)
    assert [shown["fsid"], shown["fileid"]] == [names.number(77, 2**64), names.number(123_456, 2**64)]


def test_data_and_access_control_lists_are_zero() -> None:
    names = Pseudonyms(KEY)
    data, declared = call("nfs3", "WRITE", file=b"handle-1", offset=0, count=11, data=b"top secret!")
    shown = results(message(data, declared, names), declared.args)
    assert (shown["count"], shown["data"]) == (11, bytes(11))
    acl = {"mask": 15, "aclcnt": 2, "aclent": [{"type": 1, "id": 1000, "perm": 7}, {"type": 4, "id": 50, "perm": 5}]}
    data, declared = call("nfsacl3", "SETACL", fh=b"handle-1", acl=acl)
    shown = results(message(data, declared, names), declared.args)["acl"]
    assert shown["aclent"] == [{"type": 0, "id": 0, "perm": 0}] * 2
    assert (shown["mask"], shown["aclcnt"]) == (15, 2)


def test_what_rpcbind_calls_the_same_everywhere() -> None:
    names = Pseudonyms(KEY)
    for owner, address in (("superuser", "/run/rpcbind.sock"), ("alice", "10.1.84.31.3.77")):
        rpcb = {"r_prog": 100024, "r_vers": 1, "r_netid": "tcp", "r_addr": address, "r_owner": owner}
        data, declared = call("rpcbind4", "GETADDR", **rpcb)
        shown = results(message(data, declared, names), declared.args)
        assert shown["r_netid"] == "tcp"
        if owner == "superuser":
            assert (shown["r_owner"], shown["r_addr"]) == (owner, address)
        else:
            assert shown["r_owner"] == names.label(b"alice").decode() != owner
            assert shown["r_addr"] == names.text(b"10.1.84.31").decode() + ".3.77"
    data, declared = call("mount3", "MNT", dirpath="tcp")
    assert results(message(data, declared, names), declared.args)["dirpath"] != "tcp"


def test_arguments_of_other_programs_are_zero() -> None:
    data, declared = call("portmap2", "CALLIT", prog=100003, vers=3, proc=1, args=b"who knows")
    assert results(message(data, declared, Pseudonyms(KEY)), declared.args)["args"] == bytes(9)


def test_what_no_declaration_explains_is_zero() -> None:
    names = Pseudonyms(KEY)
    data, declared = call("nsm1", "SM_STAT", mon_name="server")
    assert message(data + b"left over", declared, names) == message(data, declared, names) + bytes(9)
    unknown = message(data, None, names)
    _, end = decode_prefix(rpc_msg, data)
    assert unknown[end:] == bytes(len(data) - end)
    assert unknown[:24] == data[:24]
    # A length beyond the limit, and a bool that is none.
    lock, declared = call("nlm4", "LOCK", cookie=b"1234")
    at = lock.index(b"1234") - 4
    assert message(lock[:at] + b"\0\0\x54\x31" + lock[at + 4 :], declared, names)[at:] == bytes(len(lock) - at)
    bad = lock[: at + 8] + b"\x0a\x01\x54\x1f" + lock[at + 12 :]
    assert message(bad, declared, names)[at + 8 :] == bytes(len(lock) - at - 8)


def test_a_cut_message_is_cut_at_the_same_field() -> None:
    names = Pseudonyms(KEY)
    data, declared = call("nsm1", "SM_STAT", mon_name="server-of-many")
    at = data.index(b"server")
    cut = message(data[: at + 6], declared, names)
    assert cut == message(data, declared, names)[:at] + bytes(6)
    assert cut[at - 4 : at] == data[at - 4 : at]


def test_a_verifier_may_be_a_time_that_stands_elsewhere() -> None:
    """As in a directory's attributes: it is no handle, whose parts are searched for."""
    names = Pseudonyms(KEY)
    declared = program("nfs3").procedure("READDIR")
    results_ = {"status": "OK", "cookieverf": bytes(range(1, 9)), "reply": {"entries": [], "eof": True}}
    data = encode_reply(program("nfs3"), "READDIR", results_, xid=7)
    assert bytes(range(1, 9)) not in message(data, declared, names)
    assert list(names.used["cookie"]) == [bytes(range(1, 9))]
    assert not names.used["handle"]


def test_credentials_of_other_flavors_are_zero() -> None:
    body: dict[str, Any] = {"rpcvers": 2, "prog": 100003, "vers": 3, "proc": 0}
    body["cred"] = {"flavor": "AUTH_DH", "body": b"unix.1000@example.com"}
    body["verf"] = {"flavor": "AUTH_DH", "body": b"time stamp"}
    data = encode(rpc_msg, {"xid": 1, "body": {"mtype": "CALL", "cbody": body}})
    shown = decode(rpc_msg, message(data, None, Pseudonyms(KEY)))["body"]["cbody"]
    assert shown["cred"] == {"flavor": "AUTH_DH", "body": bytes(21)}
    assert shown["verf"] == {"flavor": "AUTH_DH", "body": bytes(10)}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(declared=st.sampled_from(DECLARED), data=st.data())
def test_every_message_decodes_as_before(declared: tuple[Program, Procedure], data: st.DataObject) -> None:
    """Lengths, numbers and arms stay, and no text or opaque bytes that are long enough to be told from others."""
    names, (of, procedure) = Pseudonyms(KEY), declared
    kind = procedure.args
    assert kind is not None
    body = encode(kind, data.draw(values(kind)))
    original = encode_call(of, procedure.name, {}, xid=7)
    _, end = decode_prefix(rpc_msg, original)
    new = message(original[:end] + body, procedure, names)
    assert len(new) == end + len(body)
    assert new[:end] == original[:end]
    before, after = decode(kind, body), decode(kind, new[end:])
    assert shape(after) == shape(before)
    left = set(contents(kind, before)) & set(contents(kind, after))
    assert not {each for each in left if len(each) >= 8 and any(each) and names.text(each) != each}


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    return len(value) if isinstance(value, bytes) else type(value)


def contents(kind: Type, value: Any) -> Iterator[bytes]:
    """The strings and opaque bytes of a value."""
    match kind:
        case Struct():
            for name, each in kind.fields.items():
                yield from contents(each, value[name])
        case Union():
            yield from contents(kind.arm(kind.discriminant.number_of(value[kind.name])), value)
        case Sequence():
            for each in value:
                yield from contents(kind.item, each)
        case Optional():
            if value is not None:
                yield from contents(kind.item, value)
        case Opaque() | FixedOpaque():
            yield value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
