"""MOUNT, version 1 (RFC 1094 appendix A): from a path to the handle that NFS version 2 starts with."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import fixed_opaque, linked, open_enum, status, string, struct, union, void

FHSIZE = 32
MNTPATHLEN = 1024
MNTNAMLEN = 255

fhandle = fixed_opaque(FHSIZE)
dirpath = string(MNTPATHLEN)
name = string(MNTNAMLEN)

# The RFC says "UNIX error"; these are the ones that Linux and BSD number alike.
mountstat = open_enum("mountstat", OK=0, PERM=1, NOENT=2, IO=5, ACCES=13, NOTDIR=20, INVAL=22)

fhstatus = union("fhs_status", status(mountstat), {"OK": struct(fhs_fhandle=fhandle)}, default=void)
mountbody = struct(ml_hostname=name, ml_directory=dirpath)
groupnode = struct(gr_name=name)
exportnode = struct(ex_dir=dirpath, ex_groups=linked(groupnode))

PROGRAM = Program(
    name="mount",
    number=Prog.MOUNT,
    version=1,
    title="Mount",
    spec="RFC 1094 appendix A",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "MNT", args=struct(dirpath=dirpath), res=fhstatus),
        Procedure(2, "DUMP", res=struct(mountlist=linked(mountbody))),
        Procedure(3, "UMNT", args=struct(dirpath=dirpath)),
        Procedure(4, "UMNTALL"),
        Procedure(5, "EXPORT", res=struct(exports=linked(exportnode))),
        Procedure(6, "EXPORTALL", res=struct(exports=linked(exportnode))),
    ),
)
