"""MOUNT, version 2 (X/Open C702 chapter 8): version 1, with the limits that POSIX pathconf() asks for."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.mount1 import PROGRAM as MOUNT1
from nfsrpc.protocols.mount1 import dirpath
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import fixed_array, int32, struct, uint32

ppathcnf = struct(
    pc_link_max=int32,
    pc_max_canon=int32,
    pc_max_input=int32,
    pc_name_max=int32,
    pc_path_max=int32,
    pc_pipe_buf=int32,
    pc_vdisable=uint32,
    pc_xxx=int32,
    pc_mask=fixed_array(int32, 2),
)

PROGRAM = Program(
    name="mount",
    number=Prog.MOUNT,
    version=2,
    title="Mount",
    spec="X/Open C702 chapter 8",
    procedures=(*MOUNT1.procedures, Procedure(7, "PATHCONF", args=struct(dirpath=dirpath), res=ppathcnf)),
)
