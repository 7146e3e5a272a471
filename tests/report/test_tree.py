"""One message as a tree: every procedure, every truncation, what is malformed, what values mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nfsrpc.protocols import CALL, program
from nfsrpc.protocols.rpc import rpc_gss_cred, rpc_msg
from nfsrpc.protocols.xdr import encode, uint32
from nfsrpc.report.meanings import meaning
from nfsrpc.report.terminal import plain
from nfsrpc.report.tree import Body, Field, declared, lines, tree
from tests.protocols.bodies import BODIES
from tests.protocols.bodies import Body as AnyBody
from tests.protocols.strategies import values
from tests.rpc_messages import auth_sys, encode_call, encode_error, encode_reply

FILE = b"\1\0\7\0file"
NAMES = {FILE: "/srv/a"}
few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_body = pytest.mark.parametrize("body", BODIES, ids=str)


def leaves(fields: list[Field], path: str = "") -> Iterator[tuple[str, str, str]]:
    for field in fields:
        name = f"{path}.{field.name}".lstrip(".")
        if field.value:
            yield name, field.value, field.meaning
        yield from leaves(field.inside, name)


def of_call(message: bytes, length: int | None = None) -> dict[str, tuple[str, str]]:
    found = tree(message, length or len(message), NAMES.get)
    return {name: (value, said) for name, value, said in leaves(found.fields)}


def of_reply(message: bytes, answers: Body | None) -> dict[str, tuple[str, str]]:
    return {name: rest for name, *rest in leaves(tree(message, len(message), NAMES.get, answers).fields)}


def body_of(case: AnyBody, value: Any) -> tuple[bytes, Body | None]:
    if case.direction == CALL:
        return encode_call(case.program, case.name, value), None
    message = encode_reply(case.program, case.name, value)
    return message, declared(case.program.number, case.program.version, case.procedure.number)


@every_body
@given(data=st.data())
@few
def test_every_message_is_read_to_its_end(body: AnyBody, data: st.DataObject) -> None:
    message, answers = body_of(body, data.draw(values(body.kind)))
    found = tree(message, len(message), NAMES.get, answers)
    assert not [value for name, value, _ in leaves(found.fields) if name.endswith("!")]


@every_body
@given(data=st.data())
@few
def test_of_a_cut_message_the_rest_is_missing_and_not_malformed(body: AnyBody, data: st.DataObject) -> None:
    message, answers = body_of(body, data.draw(values(body.kind)))
    for cut in range(len(message)):
        found = tree(message[:cut], len(message), NAMES.get, answers)
        troubles = [value for name, value, _ in leaves(found.fields) if name.endswith("!")]
        assert set(troubles) <= {"the capture has no more of it"}
        assert troubles or "data" in str(found.fields)  # bulk data need not be there


@every_body
@given(data=st.data())
@few
def test_any_wrong_word_is_shown_or_said_to_be_wrong(body: AnyBody, data: st.DataObject) -> None:
    message, answers = body_of(body, data.draw(values(body.kind)))
    for at in range(0, len(message), 4):
        wrong = message[:at] + b"\xff\xff\xff\xff" + message[at + 4 :]
        assert list(lines(tree(wrong, len(wrong), NAMES.get, answers).fields, plain))


LOCK: dict[str, Any] = {
    "cookie": b"\1\2",
    "block": True,
    "exclusive": True,
    "alock": {"caller_name": "web-1", "fh": FILE, "oh": b"7@web-1", "svid": 7, "l_offset": 10, "l_len": 0},
    "state": 3,
}


def test_a_lock() -> None:
    message = encode_call(program("nlm4"), "LOCK", LOCK, xid=0x1234, cred=auth_sys("web-1", uid=5, gids=(4, 24)))
    assert of_call(message) == {
        "xid": ("0x00001234", ""),
        "mtype": ("CALL (0)", ""),
        "rpcvers": ("2", ""),
        "prog": ("100021", "nlm"),
        "vers": ("4", ""),
        "proc": ("2", "LOCK"),
        "cred.flavor": ("AUTH_SYS (1)", ""),
        "cred.stamp": ("0", ""),
        "cred.machinename": ('"web-1"', ""),
        "cred.uid": ("5", ""),
        "cred.gid": ("0", ""),
        "cred.gids.[0]": ("4", ""),
        "cred.gids.[1]": ("24", ""),
        "verf.flavor": ("AUTH_NONE (0)", ""),
        "args.cookie": ("0102", ""),
        "args.block": ("true", "waits if it must"),
        "args.exclusive": ("true", ""),
        "args.alock.caller_name": ('"web-1"', ""),
        "args.alock.fh": (FILE.hex(), "/srv/a"),
        "args.alock.oh": (b"7@web-1".hex(), '"7@web-1"'),
        "args.alock.svid": ("7", "owner 7@web-1"),
        "args.alock.l_offset": ("10", ""),
        "args.alock.l_len": ("0", "to the end of the file"),
        "args.reclaim": ("false", ""),
        "args.state": ("3", "up"),
    }


def test_lines_are_aligned_by_level() -> None:
    fields = [Field("xid", "1"), Field("args", inside=[Field("fh", "00", "/srv\x1b"), Field("cookie", "empty")])]
    assert list(lines(fields, plain, "  ")) == ["  xid  1", "  args", "    fh      00  /srv\\x1b", "    cookie  empty"]


def test_replies() -> None:
    nlm4 = declared(100021, 4, 2)
    granted = of_reply(encode_reply(program("nlm4"), "LOCK", {"stat": "DENIED_NOLOCKS"}), nlm4)
    assert granted["res.stat"] == ["DENIED_NOLOCKS (2)", "the server has no means to lock"]
    orphan = of_reply(encode_reply(program("nlm4"), "LOCK", {"cookie": b"abcd"}), None)
    assert orphan["res"] == ["000000046162636400000000", "12 bytes, not decoded"]
    assert of_reply(encode_reply(program("nlm4"), "NULL"), declared(100021, 4, 0))["res"] == ["void", ""]
    refused = of_reply(encode_error(1, "AUTH_ERROR", auth_stat="AUTH_TOOWEAK"), nlm4)
    assert refused["auth_stat"] == ["AUTH_TOOWEAK (5)", ""]
    mismatch = of_reply(encode_error(1, "PROG_MISMATCH", low=2, high=3), nlm4)
    assert (mismatch["stat"], mismatch["low"], mismatch["high"]) == (["PROG_MISMATCH (2)", ""], ["2", ""], ["3", ""])
    assert "res" not in mismatch


def test_lists_and_what_is_absent() -> None:
    entries = [{"name": "a", "name_handle": FILE}, {"name": "b", "name_handle": None}]
    value = {"status": "OK", "reply": {"entries": entries, "eof": True}, "dir_attributes": None}
    found = of_reply(encode_reply(program("nfs3"), "READDIRPLUS", value), declared(100003, 3, 17))
    assert found["res.dir_attributes"] == ["absent", ""]
    assert found["res.reply.entries.[0].name_handle"] == [FILE.hex(), "/srv/a"]
    assert found["res.reply.entries.[1].name_handle"] == ["absent", ""]
    empty = encode_reply(program("portmap2"), "DUMP", {"mappings": []})
    assert of_reply(empty, declared(100000, 2, 4))["res.mappings"] == ["none", ""]


def test_bulk_data_is_counted_whether_it_is_there_or_not() -> None:
    value = {"status": "OK", "count": 70000, "eof": True, "data": b"x" * 70000}
    message = encode_reply(program("nfs3"), "READ", value)
    for stored in (len(message), 1024):
        read = tree(message[:stored], len(message), NAMES.get, declared(100003, 3, 6))
        found = {name: text for name, text, _ in leaves(read.fields)}
        assert found["res.data"] == "70000 bytes"
        assert not [name for name in found if name.endswith("!")]


def test_what_is_left_over_and_what_is_unknown() -> None:
    message = encode_call(program("nlm4"), "LOCK", LOCK)
    assert of_call(message + b"1234")["!"] == ("4 bytes left over", "")
    unknown = of_call(message[:12] + (4711).to_bytes(4) + message[16:])
    assert unknown["prog"] == ("4711", "")
    assert unknown["args"][1] == f"{len(message) - 40} bytes, not decoded"
    compound = encode_call(program("nfs4"), "COMPOUND") + bytes(40)
    assert of_call(compound)["args"] == ("00" * 32 + "...", "40 bytes, not decoded")


def gss_call(service: int, args: bytes) -> bytes:
    cred = encode(
        rpc_gss_cred, {"gss_version": 1, "gss_proc": "DATA", "seq_num": 9, "service": service, "handle": b"ctx"}
    )
    nlm = program("nlm4")
    body: dict[str, Any] = {"rpcvers": 2, "prog": nlm.number, "vers": 4, "proc": 2}
    body["cred"] = {"flavor": "RPCSEC_GSS", "body": cred}
    return encode(rpc_msg, {"xid": 1, "body": {"mtype": "CALL", "cbody": body}}) + args


def opaque_of(data: bytes) -> bytes:
    return encode(uint32, len(data)) + data + bytes(-len(data) % 4)


def test_what_rpcsec_gss_wraps() -> None:
    args = encode(declared(100021, 4, 2).args, LOCK)
    bare = of_call(gss_call(1, args))
    assert (bare["cred.service"], bare["cred.gss_proc"]) == (("NONE (1)", ""), ("DATA (0)", ""))
    assert bare["args.alock.svid"] == ("7", "owner 7@web-1")
    signed = of_call(gss_call(2, opaque_of(encode(uint32, 9) + args) + opaque_of(b"sum")))
    assert (signed["seq_num"], signed["args.alock.l_offset"], signed["checksum"][0]) == (
        ("9", ""),
        ("10", ""),
        b"sum".hex(),
    )
    call = tree(gss_call(2, b""), 1000, NAMES.get)
    reply = encode_error(1, "SUCCESS") + opaque_of(encode(uint32, 9) + encode_reply(program("nlm4"), "LOCK")[24:])
    assert of_reply(reply + opaque_of(b"sum"), call.body)["res.stat"] == ["GRANTED (0)", "it is done"]
    hidden = of_call(gss_call(3, opaque_of(b"secret!!")))
    assert hidden["args.databody_priv"] == (b"secret!!".hex(), '"secret!!"')
    assert "!" not in {**bare, **signed, **hidden}


def test_a_credential_that_contradicts_itself_does_not_hide_the_rest() -> None:
    cred = auth_sys("web-1")[:-6]
    found = of_call(encode_call(program("nlm4"), "LOCK", LOCK, cred=cred))
    assert found["cred.!"][0].startswith("malformed: needs")
    assert found["args.alock.svid"] == ("7", "owner 7@web-1")


@pytest.mark.parametrize(
    ("name", "value", "before", "said"),
    [
        ("l_len", 5, {"l_offset": 10}, "to byte 14"),
        ("l_len", 2**64 - 1, {"l_offset": 0}, "to the end of the file"),
        ("svid", 7, {"caller_name": "nfssrv", "proc": 10}, ""),
        ("svid", 7, {}, ""),
        ("port", 0, {}, "not registered"),
        ("port", 662, {}, ""),
        ("addr", "::1.2.150", {}, "port 662 of ::1"),
        ("addr", "nonsense", {}, "no universal address"),
        ("my_proc", 16, {"my_prog": 100021, "my_vers": 3}, "NSM_NOTIFY"),
        ("r_prog", 4711, {}, ""),
        ("state", 4, {}, "down"),
        ("access", 0x1F, {}, "READ, LOOKUP, MODIFY, EXTEND, DELETE"),
        ("seconds", 1_700_000_000, {}, "2023-11-14 22:13:20 UTC"),
        ("seconds", 1, {}, ""),
        ("reclaim", True, {}, "held before the server restarted"),
        ("block", False, {}, "does not wait"),
        ("cookie", b"\0\1", {}, ""),
        ("oh", b"\xff", {}, ""),
        ("fh", b"other", {}, ""),
        ("machinename", "x", {}, ""),
    ],
)
def test_meanings(name: str, value: Any, before: dict[str, Any], said: str) -> None:
    assert meaning(name, value, before, NAMES.get) == said
