"""Numbers and names as the RFCs, Linux and Wireshark have them, for whoever shows or looks up a procedure."""

from __future__ import annotations

import pytest

from nfsrpc import protocols
from nfsrpc.protocols import PROTOCOLS, procedure_name, program_name, status_name, status_names

PROCEDURES = {
    "portmap2": "NULL 0, SET 1, UNSET 2, GETPORT 3, DUMP 4, CALLIT 5",
    "rpcbind3": "NULL 0, SET 1, UNSET 2, GETADDR 3, DUMP 4, CALLIT 5, GETTIME 6, UADDR2TADDR 7, TADDR2UADDR 8",
    "rpcbind4": "NULL 0, SET 1, UNSET 2, GETADDR 3, DUMP 4, BCAST 5, GETTIME 6, UADDR2TADDR 7, TADDR2UADDR 8, "
    "GETVERSADDR 9, INDIRECT 10, GETADDRLIST 11, GETSTAT 12",
    "nfs2": "NULL 0, GETATTR 1, SETATTR 2, ROOT 3, LOOKUP 4, READLINK 5, READ 6, WRITECACHE 7, WRITE 8, CREATE 9, "
    "REMOVE 10, RENAME 11, LINK 12, SYMLINK 13, MKDIR 14, RMDIR 15, READDIR 16, STATFS 17",
    "nfs3": "NULL 0, GETATTR 1, SETATTR 2, LOOKUP 3, ACCESS 4, READLINK 5, READ 6, WRITE 7, CREATE 8, MKDIR 9, "
    "SYMLINK 10, MKNOD 11, REMOVE 12, RMDIR 13, RENAME 14, LINK 15, READDIR 16, READDIRPLUS 17, FSSTAT 18, FSINFO 19, "
    "PATHCONF 20, COMMIT 21",
    "nfs4": "NULL 0, COMPOUND 1",
    "mount1": "NULL 0, MNT 1, DUMP 2, UMNT 3, UMNTALL 4, EXPORT 5, EXPORTALL 6",
    "mount2": "NULL 0, MNT 1, DUMP 2, UMNT 3, UMNTALL 4, EXPORT 5, EXPORTALL 6, PATHCONF 7",
    "mount3": "NULL 0, MNT 1, DUMP 2, UMNT 3, UMNTALL 4, EXPORT 5",
    "nlm1": "NULL 0, TEST 1, LOCK 2, CANCEL 3, UNLOCK 4, GRANTED 5, TEST_MSG 6, LOCK_MSG 7, CANCEL_MSG 8, "
    "UNLOCK_MSG 9, GRANTED_MSG 10, TEST_RES 11, LOCK_RES 12, CANCEL_RES 13, UNLOCK_RES 14, GRANTED_RES 15",
    "nsm1": "NULL 0, SM_STAT 1, SM_MON 2, SM_UNMON 3, SM_UNMON_ALL 4, SM_SIMU_CRASH 5, SM_NOTIFY 6",
    "rquota1": "NULL 0, GETQUOTA 1, GETACTIVEQUOTA 2, SETQUOTA 3, SETACTIVEQUOTA 4",
    "nfsacl2": "NULL 0, GETACL 1, SETACL 2, GETATTR 3, ACCESS 4, GETXATTRDIR 5",
    "nfsacl3": "NULL 0, GETACL 1, SETACL 2, GETXATTRDIR 3",
}
PROCEDURES["nlm2"] = PROCEDURES["nlm1"]
PROCEDURES["nlm3"] = PROCEDURES["nlm1"] + ", NSM_NOTIFY 16, SHARE 20, UNSHARE 21, NM_LOCK 22, FREE_ALL 23"
PROCEDURES["nlm4"] = PROCEDURES["nlm3"]
PROCEDURES["rquota2"] = PROCEDURES["rquota1"]

PROGRAMS = {
    "portmap": 100000,
    "rpcbind": 100000,
    "nfs": 100003,
    "mount": 100005,
    "rquota": 100011,
    "nlm": 100021,
    "nsm": 100024,
    "nfsacl": 100227,
}


def test_every_protocol_has_its_procedures_by_number() -> None:
    found = {
        program.protocol: {(procedure.name, procedure.number) for procedure in program.procedures}
        for program in PROTOCOLS
    }
    expected = {
        protocol: {(name, int(number)) for name, number in (entry.split() for entry in listed.split(", "))}
        for protocol, listed in PROCEDURES.items()
    }
    assert {protocol: found[protocol] for protocol in expected} == expected


def test_every_program_has_its_number() -> None:
    found = {program.name: program.number for program in PROTOCOLS}
    assert found | PROGRAMS == found


@pytest.mark.parametrize(
    ("prog", "vers", "name"),
    [(100000, 2, "portmap"), (100000, 4, "rpcbind"), (100021, 4, "nlm"), (100021, 9, "nlm"), (100001, 3, "100001")],
)
def test_programs_are_named_where_known(prog: int, vers: int, name: str) -> None:
    assert program_name(prog, vers) == name


@pytest.mark.parametrize(
    ("prog", "vers", "proc", "name"),
    [
        (100021, 4, 2, "LOCK"),
        (100021, 4, 17, "17"),
        (100024, 1, 2, "SM_MON"),
        (100003, 4, 1, "COMPOUND"),
        (100001, 1, 0, "0"),
    ],
)
def test_procedures_are_named_where_known(prog: int, vers: int, proc: int, name: str) -> None:
    assert procedure_name(prog, vers, proc) == name


@pytest.mark.parametrize(
    ("prog", "vers", "proc", "status", "name"),
    [
        (100021, 4, 2, 0, "GRANTED"),
        (100021, 4, 1, 1, "DENIED"),
        (100021, 4, 2, 9, "FAILED"),
        (100021, 3, 2, 5, "5"),
        (100024, 1, 2, 1, "STAT_FAIL"),
        (100003, 3, 1, 70, "STALE"),
        (100003, 3, 6, 10008, "JUKEBOX"),
        (100003, 2, 9, 28, "NOSPC"),
        (100005, 3, 1, 13, "ACCES"),
        (100011, 1, 1, 2, "NOQUOTA"),
        (100227, 3, 1, 10004, "NOTSUPP"),
    ],
)
def test_statuses_are_named_where_known(prog: int, vers: int, proc: int, status: int, name: str) -> None:
    assert status_name(prog, vers, proc, status) == name


def test_procedures_without_a_status_of_their_own_have_no_names_for_it() -> None:
    assert status_names(100021, 4, 7) == {}
    assert status_names(100000, 2, 3) == {}


def test_a_protocol_is_looked_up_by_its_name() -> None:
    assert protocols.program("nlm4").version == 4
    with pytest.raises(KeyError, match="there are portmap2"):
        protocols.program("nlm9")
    with pytest.raises(KeyError, match="nlm4 has no procedure RELOCK"):
        protocols.program("nlm4").procedure("RELOCK")
