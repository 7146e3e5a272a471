"""RPC messages as bytes, for tests: calls, replies, errors and credentials, encoded by the package's declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nfsrpc.protocols.layout import Program
from nfsrpc.protocols.rpc import RPC_VERSION, accept_stat, authsys_parms, rpc_msg
from nfsrpc.protocols.xdr import decode_prefix, encode


def auth_sys(machinename: str, uid: int = 0, gid: int = 0, gids: tuple[int, ...] = (), stamp: int = 0) -> bytes:
    """The body of an AUTH_SYS credential."""
    return encode(authsys_parms, {"stamp": stamp, "machinename": machinename, "uid": uid, "gid": gid, "gids": gids})


def encode_call(
    program: Program, procedure: str, args: Any = None, *, xid: int = 1, cred: bytes | None = None
) -> bytes:
    """A call; `cred` is the body of an AUTH_SYS credential, none makes it AUTH_NONE."""
    called = program.procedure(procedure)
    body = {
        "rpcvers": RPC_VERSION,
        "prog": program.number,
        "vers": program.version,
        "proc": called.number,
        "cred": {} if cred is None else {"flavor": "AUTH_SYS", "body": cred},
    }
    header = encode(rpc_msg, {"xid": xid, "body": {"mtype": "CALL", "cbody": body}})
    return header + (encode(called.args, args) if called.args else b"")


def encode_reply(program: Program, procedure: str, res: Any = None, *, xid: int = 1) -> bytes:
    """An accepted and successful reply."""
    called = program.procedure(procedure)
    return encode_error(xid, "SUCCESS") + (encode(called.res, res) if called.res else b"")


def encode_error(xid: int, stat: str, **detail: int | str) -> bytes:
    """A reply without results: an accept_stat, RPC_MISMATCH(low, high) or AUTH_ERROR(auth_stat)."""
    reply: Mapping[str, Any]
    if stat in accept_stat.values:
        reply = {"reply_stat": "MSG_ACCEPTED", "areply": {"reply_data": {"stat": stat, **detail}}}
    else:
        reply = {"reply_stat": "MSG_DENIED", "rreply": {"stat": stat, **detail}}
    return encode(rpc_msg, {"xid": xid, "body": {"mtype": "REPLY", "rbody": reply}})


def decode_header(message: bytes) -> tuple[dict[str, Any], int]:
    """The header of a message as nested values, and where its arguments or results begin."""
    return decode_prefix(rpc_msg, message)
