"""Network Status Monitor, version 1 (X/Open C702 chapter 11): rpc.statd.

A lock manager asks the statd of its own host (SM_MON) to be told when a peer reboots; the statd of a host that has
rebooted notifies its peers (SM_NOTIFY).
"""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog, SmRes
from nfsrpc.protocols.xdr import enum, fixed_opaque, int32, status, string, struct

SM_MAXSTRLEN = 1024

sm_res = enum("sm_res", SmRes)

sm_name = struct(mon_name=string(SM_MAXSTRLEN))
my_id = struct(my_name=string(SM_MAXSTRLEN), my_prog=int32, my_vers=int32, my_proc=int32)
mon_id = struct(mon_name=string(SM_MAXSTRLEN), my_id=my_id)
mon = struct(mon_id=mon_id, priv=fixed_opaque(16))
stat_chge = struct(mon_name=string(SM_MAXSTRLEN), state=int32)
sm_stat = struct(state=int32)
sm_stat_res = struct(res_stat=status(sm_res), state=int32)

PROGRAM = Program(
    name="nsm",
    number=Prog.NSM,
    version=1,
    title="Network Status Monitor",
    spec="X/Open C702 chapter 11",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "SM_STAT", args=sm_name, res=sm_stat_res),
        Procedure(2, "SM_MON", args=mon, res=sm_stat_res),
        Procedure(3, "SM_UNMON", args=mon_id, res=sm_stat),
        Procedure(4, "SM_UNMON_ALL", args=my_id, res=sm_stat),
        Procedure(5, "SM_SIMU_CRASH"),
        Procedure(6, "SM_NOTIFY", args=stat_chge),
    ),
)
