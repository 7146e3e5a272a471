"""rpcbind, version 3 (RFC 1833 §2): universal addresses; an empty one means that the program is not registered."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import boolean, linked, opaque, string, struct, uint32

rpcb = struct(r_prog=uint32, r_vers=uint32, r_netid=string(), r_addr=string(), r_owner=string())
rpcb_rmtcallargs = struct(prog=uint32, vers=uint32, proc=uint32, args=opaque())
rpcb_rmtcallres = struct(addr=string(), results=opaque())
netbuf = struct(maxlen=uint32, buf=opaque())

PROGRAM = Program(
    name="rpcbind",
    number=Prog.PORTMAP,
    version=3,
    title="RPC binder",
    spec="RFC 1833 §2.1",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "SET", args=rpcb, res=struct(result=boolean)),
        Procedure(2, "UNSET", args=rpcb, res=struct(result=boolean)),
        Procedure(3, "GETADDR", args=rpcb, res=struct(addr=string())),
        Procedure(4, "DUMP", res=struct(rpcblist=linked(rpcb))),
        Procedure(5, "CALLIT", args=rpcb_rmtcallargs, res=rpcb_rmtcallres),
        Procedure(6, "GETTIME", res=struct(time=uint32)),
        Procedure(7, "UADDR2TADDR", args=struct(addr=string()), res=netbuf),
        Procedure(8, "TADDR2UADDR", args=netbuf, res=struct(addr=string())),
    ),
)
