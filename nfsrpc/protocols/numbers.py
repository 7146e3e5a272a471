"""The numbers of protocols that the rest of the program names, each once, under the names of the specifications.

Declarations use them where they can; where a declaration repeats a number (a procedure is one line of its program),
tests/protocols/test_numbers.py holds the two equal.
"""

from enum import IntEnum


class Prog(IntEnum):
    """RPC programs, of whichever version."""

    PORTMAP = 100000
    NFS = 100003
    MOUNT = 100005
    RQUOTA = 100011
    NLM = 100021
    NSM = 100024
    NFSACL = 100227


class Port(IntEnum):
    """Ports that are not asked for."""

    DNS = 53
    PORTMAP = 111
    NFS = 2049


class IpProto(IntEnum):
    TCP = 6
    UDP = 17


class AuthFlavor(IntEnum):
    AUTH_NONE = 0
    AUTH_SYS = 1
    AUTH_SHORT = 2
    AUTH_DH = 3
    RPCSEC_GSS = 6
    AUTH_TLS = 7


class AcceptStat(IntEnum):
    SUCCESS = 0
    PROG_UNAVAIL = 1
    PROG_MISMATCH = 2
    PROC_UNAVAIL = 3
    GARBAGE_ARGS = 4
    SYSTEM_ERR = 5


class Rejected(IntEnum):
    """What the column `rpc_status` holds beyond the values of accept_stat; AUTH_ERROR is the first of its range."""

    RPC_MISMATCH = 16
    AUTH_ERROR = 32  # and the auth_stat


class AuthStat(IntEnum):
    AUTH_OK = 0
    AUTH_BADCRED = 1
    AUTH_REJECTEDCRED = 2
    AUTH_BADVERF = 3
    AUTH_REJECTEDVERF = 4
    AUTH_TOOWEAK = 5
    AUTH_INVALIDRESP = 6
    AUTH_FAILED = 7
    RPCSEC_GSS_CREDPROBLEM = 13
    RPCSEC_GSS_CTXPROBLEM = 14


NULL = 0  # the procedure of every program that does nothing


class NlmProc(IntEnum):
    """Procedures of the lock manager, alike in all versions that have them."""

    TEST = 1
    LOCK = 2
    CANCEL = 3
    UNLOCK = 4
    GRANTED = 5
    TEST_MSG = 6
    LOCK_MSG = 7
    CANCEL_MSG = 8
    UNLOCK_MSG = 9
    GRANTED_MSG = 10
    TEST_RES = 11
    LOCK_RES = 12
    CANCEL_RES = 13
    UNLOCK_RES = 14
    GRANTED_RES = 15
    NSM_NOTIFY = 16
    SHARE = 20
    UNSHARE = 21
    NM_LOCK = 22
    FREE_ALL = 23


# Requests whose reply is the result. The reply to an _MSG procedure only says that it arrived.
SYNCHRONOUS = (NlmProc.TEST, NlmProc.LOCK, NlmProc.CANCEL, NlmProc.UNLOCK, NlmProc.NM_LOCK)
MESSAGES = (NlmProc.TEST_MSG, NlmProc.LOCK_MSG, NlmProc.CANCEL_MSG, NlmProc.UNLOCK_MSG)
REQUESTS = (*SYNCHRONOUS, *MESSAGES, NlmProc.SHARE, NlmProc.UNSHARE, NlmProc.FREE_ALL)
GRANTS = (NlmProc.GRANTED, NlmProc.GRANTED_MSG)  # of the server


class Nlm4Stats(IntEnum):
    """Results of the lock manager; versions 1 to 3 have the first five."""

    GRANTED = 0
    DENIED = 1
    DENIED_NOLOCKS = 2
    BLOCKED = 3
    DENIED_GRACE_PERIOD = 4
    DEADLCK = 5
    ROFS = 6
    STALE_FH = 7
    FBIG = 8
    FAILED = 9


class NsmProc(IntEnum):
    SM_STAT = 1
    SM_MON = 2
    SM_UNMON = 3
    SM_UNMON_ALL = 4
    SM_SIMU_CRASH = 5
    SM_NOTIFY = 6


class SmRes(IntEnum):
    STAT_SUCC = 0
    STAT_FAIL = 1


class PortmapProc(IntEnum):
    """Of version 2; a list is the same number in versions 3 and 4."""

    GETPORT = 3
    DUMP = 4


class MountProc(IntEnum):
    MNT = 1
    EXPORT = 5


class Nfs2Proc(IntEnum):
    LOOKUP = 4
    WRITE = 8


class Nfs3Proc(IntEnum):
    LOOKUP = 3
    WRITE = 7


class Nfsstat3(IntEnum):
    OK = 0
    PERM = 1
    NOENT = 2
    IO = 5
    NXIO = 6
    ACCES = 13
    EXIST = 17
    XDEV = 18
    NODEV = 19
    NOTDIR = 20
    ISDIR = 21
    INVAL = 22
    FBIG = 27
    NOSPC = 28
    ROFS = 30
    MLINK = 31
    NAMETOOLONG = 63
    NOTEMPTY = 66
    DQUOT = 69
    STALE = 70
    REMOTE = 71
    BADHANDLE = 10001
    NOT_SYNC = 10002
    BAD_COOKIE = 10003
    NOTSUPP = 10004
    TOOSMALL = 10005
    SERVERFAULT = 10006
    BADTYPE = 10007
    JUKEBOX = 10008
