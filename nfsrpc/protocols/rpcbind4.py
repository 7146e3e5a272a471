"""rpcbind, version 4 (RFC 1833 §2): version 3, with indirect calls, address lists and statistics."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.rpcbind3 import PROGRAM as RPCBIND3
from nfsrpc.protocols.rpcbind3 import rpcb, rpcb_rmtcallargs, rpcb_rmtcallres
from nfsrpc.protocols.xdr import fixed_array, int32, linked, string, struct, uint32

RPCBSTAT_HIGHPROC = 13
RPCBVERS_STAT = 3

rpcb_entry = struct(
    r_maddr=string(), r_nc_netid=string(), r_nc_semantics=uint32, r_nc_protofmly=string(), r_nc_proto=string()
)
rpcbs_addrlist = struct(prog=uint32, vers=uint32, success=int32, failure=int32, netid=string())
rpcbs_rmtcalllist = struct(
    prog=uint32, vers=uint32, proc=uint32, success=int32, failure=int32, indirect=int32, netid=string()
)
rpcb_stat = struct(
    info=fixed_array(int32, RPCBSTAT_HIGHPROC),
    setinfo=int32,
    unsetinfo=int32,
    addrinfo=linked(rpcbs_addrlist),
    rmtinfo=linked(rpcbs_rmtcalllist),
)

PROGRAM = Program(
    name="rpcbind",
    number=Prog.PORTMAP,
    version=4,
    title="RPC binder",
    spec="RFC 1833 §2.2",
    procedures=(
        *(procedure for procedure in RPCBIND3.procedures if procedure.name != "CALLIT"),
        Procedure(5, "BCAST", args=rpcb_rmtcallargs, res=rpcb_rmtcallres),
        Procedure(9, "GETVERSADDR", args=rpcb, res=struct(addr=string())),
        Procedure(10, "INDIRECT", args=rpcb_rmtcallargs, res=rpcb_rmtcallres),
        Procedure(11, "GETADDRLIST", args=rpcb, res=struct(rpcb_entry_list=linked(rpcb_entry))),
        Procedure(12, "GETSTAT", res=struct(rpcb_stat_byvers=fixed_array(rpcb_stat, RPCBVERS_STAT))),
    ),
)
