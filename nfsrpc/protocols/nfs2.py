"""NFS, version 2 (RFC 1094 §2)."""

from nfsrpc.protocols.layout import Procedure, Program
from nfsrpc.protocols.numbers import Prog
from nfsrpc.protocols.xdr import (
    Struct,
    Union,
    boolean,
    data,
    enum,
    fixed_opaque,
    linked,
    open_enum,
    status,
    string,
    struct,
    uint32,
    union,
    void,
)

FHSIZE = 32
COOKIESIZE = 4
MAXDATA = 8192
MAXNAMLEN = 255
MAXPATHLEN = 1024

# Servers pass on other values of errno.
stat = open_enum(
    "stat",
    OK=0,
    PERM=1,
    NOENT=2,
    IO=5,
    NXIO=6,
    ACCES=13,
    EXIST=17,
    NODEV=19,
    NOTDIR=20,
    ISDIR=21,
    FBIG=27,
    NOSPC=28,
    ROFS=30,
    NAMETOOLONG=63,
    NOTEMPTY=66,
    DQUOT=69,
    STALE=70,
    WFLUSH=99,
)
ftype = enum("ftype", NON=0, REG=1, DIR=2, BLK=3, CHR=4, LNK=5, SOCK=6, BAD=7, FIFO=8)  # beyond LNK: SunOS, Linux

fhandle = fixed_opaque(FHSIZE)
filename = string(MAXNAMLEN)
path = string(MAXPATHLEN)
nfsdata = data(MAXDATA)
nfscookie = fixed_opaque(COOKIESIZE)
timeval = struct(seconds=uint32, useconds=uint32)

fattr = struct(
    type=ftype,
    mode=uint32,
    nlink=uint32,
    uid=uint32,
    gid=uint32,
    size=uint32,
    blocksize=uint32,
    rdev=uint32,
    blocks=uint32,
    fsid=uint32,
    fileid=uint32,
    atime=timeval,
    mtime=timeval,
    ctime=timeval,
)
sattr = struct(mode=uint32, uid=uint32, gid=uint32, size=uint32, atime=timeval, mtime=timeval)  # all ones: not set
diropargs = struct(dir=fhandle, name=filename)
createargs = struct(where=diropargs, attributes=sattr)
entry = struct(fileid=uint32, name=filename, cookie=nfscookie)


def result(ok: Struct) -> Union:
    return union("status", status(stat), {"OK": ok}, default=void)


attrstat = result(struct(attributes=fattr))
diropres = result(struct(file=fhandle, attributes=fattr))
only_status = struct(status=status(stat))

PROGRAM = Program(
    name="nfs",
    number=Prog.NFS,
    version=2,
    title="Network File System",
    spec="RFC 1094",
    procedures=(
        Procedure(0, "NULL"),
        Procedure(1, "GETATTR", args=struct(file=fhandle), res=attrstat),
        Procedure(2, "SETATTR", args=struct(file=fhandle, attributes=sattr), res=attrstat),
        Procedure(3, "ROOT"),
        Procedure(4, "LOOKUP", args=diropargs, res=diropres),
        Procedure(5, "READLINK", args=struct(file=fhandle), res=result(struct(data=path))),
        Procedure(
            6,
            "READ",
            args=struct(file=fhandle, offset=uint32, count=uint32, totalcount=uint32),
            res=result(struct(attributes=fattr, data=nfsdata)),
        ),
        Procedure(7, "WRITECACHE"),
        Procedure(
            8,
            "WRITE",
            args=struct(file=fhandle, beginoffset=uint32, offset=uint32, totalcount=uint32, data=nfsdata),
            res=attrstat,
        ),
        Procedure(9, "CREATE", args=createargs, res=diropres),
        Procedure(10, "REMOVE", args=diropargs, res=only_status),
        Procedure(11, "RENAME", args=struct(from_=diropargs, to=diropargs), res=only_status),
        Procedure(12, "LINK", args=struct(from_=fhandle, to=diropargs), res=only_status),
        Procedure(13, "SYMLINK", args=struct(from_=diropargs, to=path, attributes=sattr), res=only_status),
        Procedure(14, "MKDIR", args=createargs, res=diropres),
        Procedure(15, "RMDIR", args=diropargs, res=only_status),
        Procedure(
            16,
            "READDIR",
            args=struct(dir=fhandle, cookie=nfscookie, count=uint32),
            res=result(struct(entries=linked(entry), eof=boolean)),
        ),
        Procedure(
            17,
            "STATFS",
            args=struct(file=fhandle),
            res=result(struct(tsize=uint32, bsize=uint32, blocks=uint32, bfree=uint32, bavail=uint32)),
        ),
    ),
)
