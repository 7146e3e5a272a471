"""RQUOTA, version 2 (Linux's rquota.x): version 1, with quotas of groups."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.rquota1 import RQ_PATHLEN, getquota_rslt, setquota_rslt, sq_dqblk
from nfsrpc.protocols.xdr import int32, string, struct

ext_getquota_args = struct(gqa_pathp=string(RQ_PATHLEN), gqa_type=int32, gqa_id=int32)
ext_setquota_args = struct(
    sqa_qcmd=int32, sqa_pathp=string(RQ_PATHLEN), sqa_id=int32, sqa_type=int32, sqa_dqblk=sq_dqblk
)

PROGRAM = Program(
    name="rquota",
    number=Prog.RQUOTA,
    version=2,
    title="Remote quota",
    spec="rquota.x of Linux's quota tools",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "GETQUOTA", args=ext_getquota_args, res=getquota_rslt),
        Procedure(2, "GETACTIVEQUOTA", args=ext_getquota_args, res=getquota_rslt),
        Procedure(3, "SETQUOTA", args=ext_setquota_args, res=setquota_rslt),
        Procedure(4, "SETACTIVEQUOTA", args=ext_setquota_args, res=setquota_rslt),
    ),
)
