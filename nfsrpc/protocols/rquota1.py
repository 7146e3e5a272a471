"""RQUOTA, version 1 (rquota.x of Sun Microsystems): a user's disk quota on the server."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import boolean, enum, int32, status, string, struct, uint32, union, void

RQ_PATHLEN = 1024

gqr_status = enum("gqr_status", OK=1, NOQUOTA=2, EPERM=3)

sq_dqblk = struct(
    rq_bhardlimit=uint32,
    rq_bsoftlimit=uint32,
    rq_curblocks=uint32,
    rq_fhardlimit=uint32,
    rq_fsoftlimit=uint32,
    rq_curfiles=uint32,
    rq_btimeleft=uint32,
    rq_ftimeleft=uint32,
)
rquota = struct(rq_bsize=int32, rq_active=boolean, **sq_dqblk.fields)

getquota_args = struct(gqa_pathp=string(RQ_PATHLEN), gqa_uid=int32)
setquota_args = struct(sqa_qcmd=int32, sqa_pathp=string(RQ_PATHLEN), sqa_id=int32, sqa_dqblk=sq_dqblk)
getquota_rslt = union("status", status(gqr_status), {"OK": struct(gqr_rquota=rquota)}, default=void)
setquota_rslt = union("status", status(gqr_status), {"OK": struct(sqr_rquota=rquota)}, default=void)

PROGRAM = Program(
    name="rquota",
    number=Prog.RQUOTA,
    version=1,
    title="Remote quota",
    spec="rquota.x of Sun Microsystems",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "GETQUOTA", args=getquota_args, res=getquota_rslt),
        Procedure(2, "GETACTIVEQUOTA", args=getquota_args, res=getquota_rslt),
        Procedure(3, "SETQUOTA", args=setquota_args, res=setquota_rslt),
        Procedure(4, "SETACTIVEQUOTA", args=setquota_args, res=setquota_rslt),
    ),
)
