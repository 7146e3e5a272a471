"""NFS, version 3 (RFC 1813 §3).

Most results carry attributes on an error too. `post_op_attr` and its like are written as optionals, which they are on
the wire; the structs `…resok` and `…resfail` are the arms of the results below.
"""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Nfsstat3, Prog
from nfsrpc.protocols.xdr import (
    Struct,
    Type,
    Union,
    boolean,
    data,
    enum,
    fixed_opaque,
    linked,
    opaque,
    optional,
    status,
    string,
    struct,
    uhyper,
    uint32,
    union,
    void,
)

NFS3_FHSIZE = 64
NFS3_COOKIEVERFSIZE = 8
NFS3_CREATEVERFSIZE = 8
NFS3_WRITEVERFSIZE = 8

nfsstat3 = enum("nfsstat3", Nfsstat3)
ftype3 = enum("ftype3", REG=1, DIR=2, BLK=3, CHR=4, LNK=5, SOCK=6, FIFO=7)
time_how = enum("time_how", DONT_CHANGE=0, SET_TO_SERVER_TIME=1, SET_TO_CLIENT_TIME=2)
stable_how = enum("stable_how", UNSTABLE=0, DATA_SYNC=1, FILE_SYNC=2)
createmode3 = enum("createmode3", UNCHECKED=0, GUARDED=1, EXCLUSIVE=2)

nfs_fh3 = opaque(NFS3_FHSIZE)
filename3 = string()
nfspath3 = string()
cookieverf3 = fixed_opaque(NFS3_COOKIEVERFSIZE)
createverf3 = fixed_opaque(NFS3_CREATEVERFSIZE)
writeverf3 = fixed_opaque(NFS3_WRITEVERFSIZE)
nfstime3 = struct(seconds=uint32, nseconds=uint32)
specdata3 = struct(specdata1=uint32, specdata2=uint32)

fattr3 = struct(
    type=ftype3,
    mode=uint32,
    nlink=uint32,
    uid=uint32,
    gid=uint32,
    size=uhyper,
    used=uhyper,
    rdev=specdata3,
    fsid=uhyper,
    fileid=uhyper,
    atime=nfstime3,
    mtime=nfstime3,
    ctime=nfstime3,
)
wcc_attr = struct(size=uhyper, mtime=nfstime3, ctime=nfstime3)
post_op_attr = optional(fattr3)
post_op_fh3 = optional(nfs_fh3)
wcc_data = struct(before=optional(wcc_attr), after=post_op_attr)

set_time = union("set_it", time_how, {"SET_TO_CLIENT_TIME": nfstime3}, default=void)
sattr3 = struct(
    mode=optional(uint32),
    uid=optional(uint32),
    gid=optional(uint32),
    size=optional(uhyper),
    atime=set_time,
    mtime=set_time,
)
diropargs3 = struct(dir=nfs_fh3, name=filename3)

createhow3 = union(
    "mode",
    createmode3,
    {("UNCHECKED", "GUARDED"): struct(obj_attributes=sattr3), "EXCLUSIVE": struct(verf=createverf3)},
)
symlinkdata3 = struct(symlink_attributes=sattr3, symlink_data=nfspath3)
devicedata3 = struct(dev_attributes=sattr3, spec=specdata3)
mknoddata3 = union(
    "type",
    ftype3,
    {("CHR", "BLK"): struct(device=devicedata3), ("SOCK", "FIFO"): struct(pipe_attributes=sattr3)},
    default=void,
)
entry3 = struct(fileid=uhyper, name=filename3, cookie=uhyper)
entryplus3 = struct(fileid=uhyper, name=filename3, cookie=uhyper, name_attributes=post_op_attr, name_handle=post_op_fh3)
dirlist3 = struct(entries=linked(entry3), eof=boolean)
dirlistplus3 = struct(entries=linked(entryplus3), eof=boolean)

new_object = struct(obj=post_op_fh3, obj_attributes=post_op_attr, dir_wcc=wcc_data)
link_result = struct(file_attributes=post_op_attr, linkdir_wcc=wcc_data)
rename_result = struct(fromdir_wcc=wcc_data, todir_wcc=wcc_data)


def result(resok: Struct, resfail: Type) -> Union:
    return union("status", status(nfsstat3), {"OK": resok}, default=resfail)


PROGRAM = Program(
    name="nfs",
    number=Prog.NFS,
    version=3,
    title="Network File System",
    spec="RFC 1813",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(
            1,
            "GETATTR",
            args=struct(object=nfs_fh3),
            res=result(struct(obj_attributes=fattr3), void),
        ),
        Procedure(
            2,
            "SETATTR",
            args=struct(object=nfs_fh3, new_attributes=sattr3, guard=optional(nfstime3)),
            res=result(struct(obj_wcc=wcc_data), struct(obj_wcc=wcc_data)),
        ),
        Procedure(
            3,
            "LOOKUP",
            args=struct(what=diropargs3),
            res=result(
                struct(object=nfs_fh3, obj_attributes=post_op_attr, dir_attributes=post_op_attr),
                struct(dir_attributes=post_op_attr),
            ),
        ),
        Procedure(
            4,
            "ACCESS",
            args=struct(object=nfs_fh3, access=uint32),
            res=result(struct(obj_attributes=post_op_attr, access=uint32), struct(obj_attributes=post_op_attr)),
        ),
        Procedure(
            5,
            "READLINK",
            args=struct(symlink=nfs_fh3),
            res=result(
                struct(symlink_attributes=post_op_attr, data=nfspath3),
                struct(symlink_attributes=post_op_attr),
            ),
        ),
        Procedure(
            6,
            "READ",
            args=struct(file=nfs_fh3, offset=uhyper, count=uint32),
            res=result(
                struct(file_attributes=post_op_attr, count=uint32, eof=boolean, data=data()),
                struct(file_attributes=post_op_attr),
            ),
        ),
        Procedure(
            7,
            "WRITE",
            args=struct(file=nfs_fh3, offset=uhyper, count=uint32, stable=stable_how, data=data()),
            res=result(
                struct(file_wcc=wcc_data, count=uint32, committed=stable_how, verf=writeverf3),
                struct(file_wcc=wcc_data),
            ),
        ),
        Procedure(
            8,
            "CREATE",
            args=struct(where=diropargs3, how=createhow3),
            res=result(new_object, struct(dir_wcc=wcc_data)),
        ),
        Procedure(
            9,
            "MKDIR",
            args=struct(where=diropargs3, attributes=sattr3),
            res=result(new_object, struct(dir_wcc=wcc_data)),
        ),
        Procedure(
            10,
            "SYMLINK",
            args=struct(where=diropargs3, symlink=symlinkdata3),
            res=result(new_object, struct(dir_wcc=wcc_data)),
        ),
        Procedure(
            11,
            "MKNOD",
            args=struct(where=diropargs3, what=mknoddata3),
            res=result(new_object, struct(dir_wcc=wcc_data)),
        ),
        Procedure(
            12,
            "REMOVE",
            args=struct(object=diropargs3),
            res=result(struct(dir_wcc=wcc_data), struct(dir_wcc=wcc_data)),
        ),
        Procedure(
            13,
            "RMDIR",
            args=struct(object=diropargs3),
            res=result(struct(dir_wcc=wcc_data), struct(dir_wcc=wcc_data)),
        ),
        Procedure(
            14,
            "RENAME",
            args=struct(from_=diropargs3, to=diropargs3),
            res=result(rename_result, rename_result),
        ),
        Procedure(
            15,
            "LINK",
            args=struct(file=nfs_fh3, link=diropargs3),
            res=result(link_result, link_result),
        ),
        Procedure(
            16,
            "READDIR",
            args=struct(dir=nfs_fh3, cookie=uhyper, cookieverf=cookieverf3, count=uint32),
            res=result(
                struct(dir_attributes=post_op_attr, cookieverf=cookieverf3, reply=dirlist3),
                struct(dir_attributes=post_op_attr),
            ),
        ),
        Procedure(
            17,
            "READDIRPLUS",
            args=struct(dir=nfs_fh3, cookie=uhyper, cookieverf=cookieverf3, dircount=uint32, maxcount=uint32),
            res=result(
                struct(dir_attributes=post_op_attr, cookieverf=cookieverf3, reply=dirlistplus3),
                struct(dir_attributes=post_op_attr),
            ),
        ),
        Procedure(
            18,
            "FSSTAT",
            args=struct(fsroot=nfs_fh3),
            res=result(
                struct(
                    obj_attributes=post_op_attr,
                    tbytes=uhyper,
                    fbytes=uhyper,
                    abytes=uhyper,
                    tfiles=uhyper,
                    ffiles=uhyper,
                    afiles=uhyper,
                    invarsec=uint32,
                ),
                struct(obj_attributes=post_op_attr),
            ),
        ),
        Procedure(
            19,
            "FSINFO",
            args=struct(fsroot=nfs_fh3),
            res=result(
                struct(
                    obj_attributes=post_op_attr,
                    rtmax=uint32,
                    rtpref=uint32,
                    rtmult=uint32,
                    wtmax=uint32,
                    wtpref=uint32,
                    wtmult=uint32,
                    dtpref=uint32,
                    maxfilesize=uhyper,
                    time_delta=nfstime3,
                    properties=uint32,
                ),
                struct(obj_attributes=post_op_attr),
            ),
        ),
        Procedure(
            20,
            "PATHCONF",
            args=struct(object=nfs_fh3),
            res=result(
                struct(
                    obj_attributes=post_op_attr,
                    linkmax=uint32,
                    name_max=uint32,
                    no_trunc=boolean,
                    chown_restricted=boolean,
                    case_insensitive=boolean,
                    case_preserving=boolean,
                ),
                struct(obj_attributes=post_op_attr),
            ),
        ),
        Procedure(
            21,
            "COMMIT",
            args=struct(file=nfs_fh3, offset=uhyper, count=uint32),
            res=result(struct(file_wcc=wcc_data, verf=writeverf3), struct(file_wcc=wcc_data)),
        ),
    ),
)
