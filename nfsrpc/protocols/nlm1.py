"""Network Lock Manager, version 1 (X/Open C702 chapter 10): byte ranges of 32 bits, for NFS version 2.

Each operation exists twice: LOCK is answered by its reply; LOCK_MSG is answered by an empty reply at once and, later
and the other way, by a call of LOCK_RES with the same cookie.
"""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import boolean, enum, int32, opaque, status, string, struct, uint32, union, void

LM_MAXSTRLEN = 1024
MAXNETOBJ_SZ = 1024

netobj = opaque(MAXNETOBJ_SZ)
nlm_stats = enum("nlm_stats", GRANTED=0, DENIED=1, DENIED_NOLOCKS=2, BLOCKED=3, DENIED_GRACE_PERIOD=4)

nlm_lock = struct(caller_name=string(LM_MAXSTRLEN), fh=netobj, oh=netobj, svid=int32, l_offset=uint32, l_len=uint32)
nlm_holder = struct(exclusive=boolean, svid=int32, oh=netobj, l_offset=uint32, l_len=uint32)
nlm_res = struct(cookie=netobj, stat=status(nlm_stats))
nlm_testres = struct(
    cookie=netobj, stat=union("stat", status(nlm_stats), {"DENIED": struct(holder=nlm_holder)}, default=void)
)
nlm_testargs = struct(cookie=netobj, exclusive=boolean, alock=nlm_lock)
nlm_lockargs = struct(cookie=netobj, block=boolean, exclusive=boolean, alock=nlm_lock, reclaim=boolean, state=int32)
nlm_cancargs = struct(cookie=netobj, block=boolean, exclusive=boolean, alock=nlm_lock)
nlm_unlockargs = struct(cookie=netobj, alock=nlm_lock)

PROGRAM = Program(
    name="nlm",
    number=Prog.NLM,
    version=1,
    title="Network Lock Manager",
    spec="X/Open C702 chapter 10",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "TEST", args=nlm_testargs, res=nlm_testres),
        Procedure(2, "LOCK", args=nlm_lockargs, res=nlm_res),
        Procedure(3, "CANCEL", args=nlm_cancargs, res=nlm_res),
        Procedure(4, "UNLOCK", args=nlm_unlockargs, res=nlm_res),
        Procedure(5, "GRANTED", args=nlm_testargs, res=nlm_res),
        Procedure(6, "TEST_MSG", args=nlm_testargs),
        Procedure(7, "LOCK_MSG", args=nlm_lockargs),
        Procedure(8, "CANCEL_MSG", args=nlm_cancargs),
        Procedure(9, "UNLOCK_MSG", args=nlm_unlockargs),
        Procedure(10, "GRANTED_MSG", args=nlm_testargs),
        Procedure(11, "TEST_RES", args=nlm_testres),
        Procedure(12, "LOCK_RES", args=nlm_res),
        Procedure(13, "CANCEL_RES", args=nlm_res),
        Procedure(14, "UNLOCK_RES", args=nlm_res),
        Procedure(15, "GRANTED_RES", args=nlm_res),
    ),
)
