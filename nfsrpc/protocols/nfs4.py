"""NFS, version 4 (RFC 7530, 8881): counted and timed, not decoded; its locking needs no lock manager and no statd."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog

PROGRAM = Program(
    name="nfs",
    number=Prog.NFS,
    version=4,
    title="Network File System",
    spec="RFC 7530",
    procedures=(Procedure(0, "NULL"), Procedure(1, "COMPOUND", args=None, res=None)),
)
