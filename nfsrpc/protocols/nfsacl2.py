"""NFSACL, version 2 (Sun's nfs_acl.x): POSIX access control lists beside NFS version 2."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.nfs2 import fattr, fhandle, result
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import array, boolean, int32, struct, uint32

NFS_ACL_MAX_ENTRIES = 1024

aclent = struct(type=int32, id=uint32, perm=uint32)
secattr = struct(
    mask=uint32,
    aclcnt=int32,
    aclent=array(aclent, NFS_ACL_MAX_ENTRIES),
    dfaclcnt=int32,
    dfaclent=array(aclent, NFS_ACL_MAX_ENTRIES),
)

PROGRAM = Program(
    name="nfsacl",
    number=Prog.NFSACL,
    version=2,
    title="NFS access control lists",
    spec="nfs_acl.x of Sun Microsystems",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "GETACL", args=struct(fh=fhandle, mask=uint32), res=result(struct(attr=fattr, acl=secattr))),
        Procedure(2, "SETACL", args=struct(fh=fhandle, acl=secattr), res=result(struct(attr=fattr))),
        Procedure(3, "GETATTR", args=struct(fh=fhandle), res=result(struct(attr=fattr))),
        Procedure(4, "ACCESS", args=struct(fh=fhandle, access=uint32), res=result(struct(attr=fattr, access=uint32))),
        Procedure(
            5, "GETXATTRDIR", args=struct(fh=fhandle, create=boolean), res=result(struct(fh=fhandle, attr=fattr))
        ),
    ),
)
