"""The message that carries every call and reply (RFC 5531 §9), in the words of its specification.

The core reads these headers by itself; this declaration is for showing a message in full, and for making one. After the
header come the arguments of a call, or the results of a reply that is accepted and successful.
"""

from __future__ import annotations

from nfsrpc.protocols.numbers import AcceptStat, AuthFlavor, AuthStat
from nfsrpc.protocols.xdr import (
    array,
    enum,
    opaque,
    open_enum,
    string,
    struct,
    uint32,
    union,
    void,
)

RPC_VERSION = 2
MAX_AUTH_BYTES = 400

msg_type = enum("msg_type", CALL=0, REPLY=1)
reply_stat = enum("reply_stat", MSG_ACCEPTED=0, MSG_DENIED=1)
accept_stat = enum("accept_stat", AcceptStat)
reject_stat = enum("reject_stat", RPC_MISMATCH=0, AUTH_ERROR=1)
auth_stat = open_enum("auth_stat", AuthStat)
auth_flavor = open_enum("auth_flavor", AuthFlavor)

authsys_parms = struct(stamp=uint32, machinename=string(255), uid=uint32, gid=uint32, gids=array(uint32, 16))
# RPCSEC_GSS (RFC 2203 §5): the credential, and what encrypted arguments and results are.
rpc_gss_proc = open_enum("rpc_gss_proc", DATA=0, INIT=1, CONTINUE_INIT=2, DESTROY=3)
rpc_gss_service = open_enum("rpc_gss_service", NONE=1, INTEGRITY=2, PRIVACY=3)
rpc_gss_cred = struct(
    gss_version=uint32, gss_proc=rpc_gss_proc, seq_num=uint32, service=rpc_gss_service, handle=opaque()
)
rpc_gss_priv_data = struct(databody_priv=opaque())

opaque_auth = struct(flavor=auth_flavor, body=opaque(MAX_AUTH_BYTES))
mismatch_info = struct(low=uint32, high=uint32)

call_body = struct(rpcvers=uint32, prog=uint32, vers=uint32, proc=uint32, cred=opaque_auth, verf=opaque_auth)
accepted_reply = struct(
    verf=opaque_auth,
    reply_data=union("stat", accept_stat, {"PROG_MISMATCH": mismatch_info}, default=void),
)
rejected_reply = union("stat", reject_stat, {"RPC_MISMATCH": mismatch_info, "AUTH_ERROR": struct(auth_stat=auth_stat)})
reply_body = union(
    "reply_stat",
    reply_stat,
    {"MSG_ACCEPTED": struct(areply=accepted_reply), "MSG_DENIED": struct(rreply=rejected_reply)},
)
rpc_msg = struct(
    xid=uint32, body=union("mtype", msg_type, {"CALL": struct(cbody=call_body), "REPLY": struct(rbody=reply_body)})
)
