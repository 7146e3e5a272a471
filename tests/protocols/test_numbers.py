"""The numbers that the program names are those of the declarations by which the core decodes."""

from __future__ import annotations

from enum import IntEnum

import pytest

from nfsrpc.protocols import PROTOCOLS, nlm1, nlm4, nsm1, portmap2, program, rpc
from nfsrpc.protocols.nfs3 import nfsstat3
from nfsrpc.protocols.numbers import (
    NULL,
    AcceptStat,
    AuthFlavor,
    AuthStat,
    IpProto,
    MountProc,
    Nfs2Proc,
    Nfs3Proc,
    Nfsstat3,
    Nlm4Stats,
    NlmProc,
    NsmProc,
    Prog,
    SmRes,
)
from nfsrpc.protocols.xdr import Enum


def named(members: type[IntEnum]) -> dict[str, int]:
    return {member.name: member.value for member in members}


@pytest.mark.parametrize(
    ("members", "declared"),
    [
        (Nlm4Stats, nlm4.nlm4_stats),
        (SmRes, nsm1.sm_res),
        (Nfsstat3, nfsstat3),
        (AcceptStat, rpc.accept_stat),
        (AuthStat, rpc.auth_stat),
        (AuthFlavor, rpc.auth_flavor),
        (IpProto, portmap2.ipproto),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value.name,
)
def test_statuses_are_the_declared_ones(members: type[IntEnum], declared: Enum) -> None:
    assert named(members) == declared.values


def test_earlier_versions_of_nlm_have_the_same_statuses() -> None:
    assert nlm1.nlm_stats.values.items() <= named(Nlm4Stats).items()


@pytest.mark.parametrize(
    ("members", "protocols"),
    [
        (NlmProc, ("nlm1", "nlm2", "nlm3", "nlm4")),
        (NsmProc, ("nsm1",)),
        (MountProc, ("mount1", "mount2", "mount3")),
        (Nfs2Proc, ("nfs2",)),
        (Nfs3Proc, ("nfs3",)),
    ],
)
def test_procedures_are_the_declared_ones(members: type[IntEnum], protocols: tuple[str, ...]) -> None:
    numbers = named(members)
    known = set()
    for protocol in protocols:
        declared = {procedure.name: procedure.number for procedure in program(protocol).procedures}
        known |= numbers.keys() & declared.keys()
        assert {name: declared[name] for name in numbers.keys() & declared.keys()}.items() <= numbers.items(), protocol
    assert known == set(numbers)


def test_every_declared_procedure_of_the_lock_manager_and_statd_is_named() -> None:
    for members, names in ((NlmProc, ("nlm1", "nlm3", "nlm4")), (NsmProc, ("nsm1",))):
        declared = {procedure.name for name in names for procedure in program(name).procedures} - {"NULL"}
        assert declared == set(named(members))


def test_programs_are_the_declared_ones() -> None:
    assert {found.number for found in PROTOCOLS} >= set(Prog)
    names = {found.number: found.name for found in reversed(PROTOCOLS)}  # 100000 is rpcbind from version 3 on
    assert {names[member]: member.value for member in Prog} == {name.lower(): n for name, n in named(Prog).items()}
    assert {found.procedure("NULL").number for found in PROTOCOLS} == {NULL}
