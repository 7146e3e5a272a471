"""MOUNT, version 3 (RFC 1813 §5.2): from a path to the handle that NFS version 3 starts with."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.mount1 import dirpath, exportnode, mountbody
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import array, enum, linked, opaque, open_enum, status, struct, union, void

FHSIZE3 = 64

fhandle3 = opaque(FHSIZE3)
mountstat3 = enum(
    "mountstat3",
    OK=0,
    PERM=1,
    NOENT=2,
    IO=5,
    ACCES=13,
    NOTDIR=20,
    INVAL=22,
    NAMETOOLONG=63,
    NOTSUPP=10004,
    SERVERFAULT=10006,
)
auth_flavor = open_enum("auth_flavor", NONE=0, SYS=1, SHORT=2, DH=3, GSS=6, KRB5=390003, KRB5I=390004, KRB5P=390005)

mountres3_ok = struct(fhandle=fhandle3, auth_flavors=array(auth_flavor))
mountres3 = union("fhs_status", status(mountstat3), {"OK": mountres3_ok}, default=void)

PROGRAM = Program(
    name="mount",
    number=Prog.MOUNT,
    version=3,
    title="Mount",
    spec="RFC 1813 §5.2",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "MNT", args=struct(dirpath=dirpath), res=mountres3),
        Procedure(2, "DUMP", res=struct(mountlist=linked(mountbody))),
        Procedure(3, "UMNT", args=struct(dirpath=dirpath)),
        Procedure(4, "UMNTALL"),
        Procedure(5, "EXPORT", res=struct(exports=linked(exportnode))),
    ),
)
