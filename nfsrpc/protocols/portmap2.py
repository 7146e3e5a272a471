"""Portmapper, version 2 (RFC 1833 §3): which port a program listens at; port 0 means that it is not registered."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import IpProto, Prog
from nfsrpc.protocols.xdr import boolean, linked, opaque, open_enum, struct, uint32

ipproto = open_enum("ipproto", IpProto)

mapping = struct(prog=uint32, vers=uint32, prot=ipproto, port=uint32)
call_args = struct(prog=uint32, vers=uint32, proc=uint32, args=opaque())
call_result = struct(port=uint32, res=opaque())

PROGRAM = Program(
    name="portmap",
    number=Prog.PORTMAP,
    version=2,
    title="Port mapper",
    spec="RFC 1833 §3",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "SET", args=mapping, res=struct(result=boolean)),
        Procedure(2, "UNSET", args=mapping, res=struct(result=boolean)),
        Procedure(3, "GETPORT", args=mapping, res=struct(port=uint32)),
        Procedure(4, "DUMP", res=struct(mappings=linked(mapping))),
        Procedure(5, "CALLIT", args=call_args, res=call_result),
    ),
)
