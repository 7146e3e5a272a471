"""Network Lock Manager, version 4 (RFC 1813 appendix II): byte ranges of 64 bits, for NFS version 3."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.nlm1 import LM_MAXSTRLEN, netobj
from nfsrpc.protocols.nlm3 import fsh_access, fsh_mode, nlm_notify, nlm_reboot
from nfsrpc.protocols.numbers import Nlm4Stats, Prog
from nfsrpc.protocols.xdr import boolean, enum, int32, status, string, struct, uhyper, union, void

nlm4_stats = enum("nlm4_stats", Nlm4Stats)

nlm4_lock = struct(caller_name=string(LM_MAXSTRLEN), fh=netobj, oh=netobj, svid=int32, l_offset=uhyper, l_len=uhyper)
nlm4_holder = struct(exclusive=boolean, svid=int32, oh=netobj, l_offset=uhyper, l_len=uhyper)
nlm4_res = struct(cookie=netobj, stat=status(nlm4_stats))
nlm4_testres = struct(
    cookie=netobj, stat=union("stat", status(nlm4_stats), {"DENIED": struct(holder=nlm4_holder)}, default=void)
)
nlm4_testargs = struct(cookie=netobj, exclusive=boolean, alock=nlm4_lock)
nlm4_lockargs = struct(cookie=netobj, block=boolean, exclusive=boolean, alock=nlm4_lock, reclaim=boolean, state=int32)
nlm4_cancargs = struct(cookie=netobj, block=boolean, exclusive=boolean, alock=nlm4_lock)
nlm4_unlockargs = struct(cookie=netobj, alock=nlm4_lock)
nlm4_share = struct(caller_name=string(LM_MAXSTRLEN), fh=netobj, oh=netobj, mode=fsh_mode, access=fsh_access)
nlm4_shareargs = struct(cookie=netobj, share=nlm4_share, reclaim=boolean)
nlm4_shareres = struct(cookie=netobj, stat=status(nlm4_stats), sequence=int32)

PROGRAM = Program(
    name="nlm",
    number=Prog.NLM,
    version=4,
    title="Network Lock Manager",
    spec="RFC 1813 appendix II",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "TEST", args=nlm4_testargs, res=nlm4_testres),
        Procedure(2, "LOCK", args=nlm4_lockargs, res=nlm4_res),
        Procedure(3, "CANCEL", args=nlm4_cancargs, res=nlm4_res),
        Procedure(4, "UNLOCK", args=nlm4_unlockargs, res=nlm4_res),
        Procedure(5, "GRANTED", args=nlm4_testargs, res=nlm4_res),
        Procedure(6, "TEST_MSG", args=nlm4_testargs),
        Procedure(7, "LOCK_MSG", args=nlm4_lockargs),
        Procedure(8, "CANCEL_MSG", args=nlm4_cancargs),
        Procedure(9, "UNLOCK_MSG", args=nlm4_unlockargs),
        Procedure(10, "GRANTED_MSG", args=nlm4_testargs),
        Procedure(11, "TEST_RES", args=nlm4_testres),
        Procedure(12, "LOCK_RES", args=nlm4_res),
        Procedure(13, "CANCEL_RES", args=nlm4_res),
        Procedure(14, "UNLOCK_RES", args=nlm4_res),
        Procedure(15, "GRANTED_RES", args=nlm4_res),
        Procedure(16, "NSM_NOTIFY", args=nlm_reboot),  # Linux's, see version 3
        Procedure(20, "SHARE", args=nlm4_shareargs, res=nlm4_shareres),
        Procedure(21, "UNSHARE", args=nlm4_shareargs, res=nlm4_shareres),
        Procedure(22, "NM_LOCK", args=nlm4_lockargs, res=nlm4_res),
        Procedure(23, "FREE_ALL", args=nlm_notify),
    ),
)
