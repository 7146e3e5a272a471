"""The vocabulary of RFC 4506 by its bytes, and the message of RFC 5531 that carries the rest."""

from __future__ import annotations

from typing import Any

import pytest

from nfsrpc.protocols import program
from nfsrpc.protocols.xdr import (
    Type,
    XdrError,
    array,
    boolean,
    data,
    decode,
    decode_prefix,
    encode,
    enum,
    fixed_array,
    fixed_opaque,
    hyper,
    int32,
    linked,
    opaque,
    open_enum,
    optional,
    string,
    struct,
    uhyper,
    uint32,
    union,
    void,
)
from tests.rpc_messages import auth_sys, decode_header, encode_call, encode_error, encode_reply

colour = enum("colour", RED=2, BLUE=-1)
errno = open_enum("errno", OK=0)
shape = union("kind", colour, {"RED": struct(size=uint32)}, default=void)


@pytest.mark.parametrize(
    ("kind", "value", "encoded"),
    [
        (int32, -2, "fffffffe"),
        (uint32, 2**32 - 1, "ffffffff"),
        (hyper, -1, "ffffffffffffffff"),
        (uhyper, 2**63, "8000000000000000"),
        (boolean, True, "00000001"),
        (colour, "BLUE", "ffffffff"),
        (errno, 5, "00000005"),
        (fixed_opaque(5), b"abcde", "6162636465000000"),
        (opaque(9), b"abcde", "000000056162636465000000"),
        (data(), b"\1", "0000000101000000"),
        (string(), "é", "00000002c3a90000"),
        (string(), "\udcff", "00000001ff000000"),
        (fixed_array(int32, 2), [1, 2], "0000000100000002"),
        (array(int32), [7], "0000000100000007"),
        (optional(int32), None, "00000000"),
        (optional(int32), 3, "0000000100000003"),
        (linked(int32), [4, 5], "0000000100000004000000010000000500000000"),
        (struct(from_=int32, to=boolean), {"from": 1, "to": False}, "0000000100000000"),
        (shape, {"kind": "RED", "size": 9}, "0000000200000009"),
        (shape, {"kind": "BLUE"}, "ffffffff"),
        (void, None, ""),
    ],
)
def test_encoding(kind: Type, value: Any, encoded: str) -> None:
    assert encode(kind, value) == bytes.fromhex(encoded)
    assert decode(kind, bytes.fromhex(encoded)) == value


def test_fields_left_out_are_zero() -> None:
    assert encode(struct(a=uint32, b=opaque(), c=shape, d=fixed_array(boolean, 2))) == bytes.fromhex(
        "000000000000000000000002000000000000000000000000"
    )


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (uint32, -1, "-1 is no u32"),
        (int32, 2**31, "2147483648 is no i32"),
        (colour, "GREEN", "'GREEN' is no colour"),
        (opaque(2), b"abc", "3 bytes exceed 2"),
        (fixed_opaque(2), b"abc", "3 bytes are not 2"),
        (array(int32, 1), [1, 2], "2 items exceed 1"),
        (fixed_array(int32, 1), [], "0 items are not 1"),
        (struct(a=int32), {"b": 1}, "no field b; there are a"),
        (shape, {"kind": "BLUE", "size": 1}, "void takes no value"),
        (union("n", int32, {1: void}), {"n": 2}, "n 2 has no arm"),
    ],
)
def test_values_that_do_not_fit_are_refused(kind: Type, value: Any, problem: str) -> None:
    with pytest.raises(XdrError, match=problem):
        encode(kind, value)


def test_a_prefix_tells_where_it_ends() -> None:
    assert decode_prefix(struct(a=opaque()), bytes.fromhex("0000000161000000ffff")) == ({"a": b"a"}, 8)


def test_an_error_says_where() -> None:
    with pytest.raises(XdrError, match=r"^rows\.\[1\]\.flag at byte 16: 9 is no bool$"):
        decode(
            struct(rows=array(struct(id=int32, flag=boolean))),
            bytes.fromhex("0000000200000001000000010000000200000009"),
        )


NLM4 = program("nlm4")
LOCK_CALL = (
    "0000002a 00000000 00000002 000186b5 00000004 00000002"  # xid, CALL, RPC 2, 100021, 4, LOCK
    "00000001 0000001c 00000000 00000005 7765622d 31000000 00000000 00000000 00000000"  # AUTH_SYS: web-1, root
    "00000000 00000000"  # verifier
    "00000000 00000001 00000001 00000005 7765622d 31000000"  # no cookie, block, exclusive, web-1
    "00000002 feed0000 00000003 31407700 00000001 0000000000000000 0000000000000000 00000000 00000000"
)


def test_a_call() -> None:
    lock = {"caller_name": "web-1", "fh": b"\xfe\xed", "oh": b"1@w", "svid": 1}
    args = {"block": True, "exclusive": True, "alock": lock}
    message = encode_call(NLM4, "LOCK", args, xid=42, cred=auth_sys("web-1"))
    assert message == bytes.fromhex(LOCK_CALL)
    header, body = decode_header(message)
    assert header["xid"] == 42
    assert header["body"]["cbody"]["cred"]["flavor"] == "AUTH_SYS"
    assert decode(NLM4.procedure("LOCK").args or void, message[body:])["alock"]["caller_name"] == "web-1"


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (
            encode_reply(NLM4, "LOCK", {"cookie": b"\1\2", "stat": "DENIED_NOLOCKS"}, xid=42),
            "0000002a 00000001 00000000 00000000 00000000 00000000 00000002 01020000 00000002",
        ),
        (encode_error(42, "PROC_UNAVAIL"), "0000002a 00000001 00000000 00000000 00000000 00000003"),
        (
            encode_error(42, "PROG_MISMATCH", low=1, high=3),
            "0000002a 00000001 00000000 00000000 00000000 00000002 00000001 00000003",
        ),
        (encode_error(42, "AUTH_ERROR", auth_stat="AUTH_BADCRED"), "0000002a 00000001 00000001 00000001 00000001"),
        (encode_error(42, "RPC_MISMATCH", low=2, high=2), "0000002a 00000001 00000001 00000000 00000002 00000002"),
    ],
)
def test_replies(message: bytes, encoded: str) -> None:
    assert message == bytes.fromhex(encoded)
    assert decode_header(message)[0]["body"]["mtype"] == "REPLY"
