"""Network Lock Manager, version 3 (X/Open C702 chapter 10): version 1, with the share reservations of DOS.

Procedure 16 is no part of the specification: with it Linux's statd notifies the lockd of its own host that a peer
rebooted, because lockd asked for it so in SM_MON (`my_proc`).
"""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.nlm1 import LM_MAXSTRLEN, netobj, nlm_lockargs, nlm_res, nlm_stats
from nfsrpc.protocols.nlm1 import PROGRAM as NLM1
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import boolean, enum, fixed_opaque, int32, status, string, struct

LM_MAXNAMELEN = LM_MAXSTRLEN + 1

fsh_mode = enum("fsh_mode", NONE=0, READ=1, WRITE=2, RW=3)
fsh_access = enum("fsh_access", NONE=0, READ=1, WRITE=2, RW=3)

nlm_share = struct(caller_name=string(LM_MAXSTRLEN), fh=netobj, oh=netobj, mode=fsh_mode, access=fsh_access)
nlm_shareargs = struct(cookie=netobj, share=nlm_share, reclaim=boolean)
nlm_shareres = struct(cookie=netobj, stat=status(nlm_stats), sequence=int32)
nlm_notify = struct(name=string(LM_MAXNAMELEN), state=int32)
nlm_reboot = struct(mon_name=string(LM_MAXSTRLEN), state=int32, priv=fixed_opaque(16))

PROGRAM = Program(
    name="nlm",
    number=Prog.NLM,
    version=3,
    title="Network Lock Manager",
    spec="X/Open C702 chapter 10",
    procedures=(
        *NLM1.procedures,
        Procedure(16, "NSM_NOTIFY", args=nlm_reboot),
        Procedure(20, "SHARE", args=nlm_shareargs, res=nlm_shareres),
        Procedure(21, "UNSHARE", args=nlm_shareargs, res=nlm_shareres),
        Procedure(22, "NM_LOCK", args=nlm_lockargs, res=nlm_res),
        Procedure(23, "FREE_ALL", args=nlm_notify),
    ),
)
