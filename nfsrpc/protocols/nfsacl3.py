"""NFSACL, version 3 (Sun's nfs_acl.x): POSIX access control lists beside NFS version 3."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.nfs3 import nfs_fh3, post_op_attr, result
from nfsrpc.protocols.nfsacl2 import secattr
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import boolean, struct, uint32

resfail = struct(attr=post_op_attr)

PROGRAM = Program(
    name="nfsacl",
    number=Prog.NFSACL,
    version=3,
    title="NFS access control lists",
    spec="nfs_acl.x of Sun Microsystems",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(
            1,
            "GETACL",
            args=struct(fh=nfs_fh3, mask=uint32),
            res=result(struct(attr=post_op_attr, acl=secattr), resfail),
        ),
        Procedure(
            2,
            "SETACL",
            args=struct(fh=nfs_fh3, acl=secattr),
            res=result(struct(attr=post_op_attr), resfail),
        ),
        Procedure(
            3,
            "GETXATTRDIR",
            args=struct(fh=nfs_fh3, create=boolean),
            res=result(struct(fh=nfs_fh3, attr=post_op_attr), resfail),
        ),
    ),
)
