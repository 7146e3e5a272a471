"""Bodies that are not what they should be: the decoder says what is wrong and where; the layout stops or goes on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nfsrpc.protocols import CALL, REPLY
from nfsrpc.protocols.xdr import XdrError, decode, encode
from tests.protocols.bodies import BODIES, Body
from tests.protocols.flattened import flattened, without_nulls
from tests.protocols.strategies import values
from tests.protocols.test_names import PROCEDURES

fewest = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_body = pytest.mark.parametrize("body", BODIES, ids=str)


@every_body
@given(data=st.data())
@fewest
def test_every_truncation_is_short(body: Body, data: st.DataObject) -> None:
    message = encode(body.kind, data.draw(values(body.kind)))
    for cut in range(len(message)):
        with pytest.raises(XdrError, match="are left") as error:
            decode(body.kind, message[:cut])
        assert error.value.offset <= cut
        assert body.run(message[:cut]).stopped == "short"


@every_body
def test_bytes_left_over_are_reported(body: Body) -> None:
    message = encode(body.kind)
    with pytest.raises(XdrError, match="4 bytes left over") as error:
        decode(body.kind, message + bytes(4))
    assert error.value.offset == len(message)
    assert body.run(message + bytes(4)).stopped == "trailing"


@every_body
@given(data=st.data())
@fewest
def test_any_wrong_word_is_read_alike_or_refused(body: Body, data: st.DataObject) -> None:
    """Where the strict decoder still finds a value, the layout finds the same."""
    message = encode(body.kind, data.draw(values(body.kind)))
    for at in range(0, len(message), 4):
        for word in (b"\xff\xff\xff\xff", b"\0\0\0\2"):
            wrong = message[:at] + word + message[at + 4 :]
            try:
                value = decode(body.kind, wrong)
            except XdrError:
                continue
            outcome = body.run(wrong)
            assert (outcome.stopped, outcome.bad_enums) == ("", [])
            assert without_nulls(outcome.rows) == flattened(body, value)


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4) for number in numbers)


LOCK_AS_FAR_AS_ITS_HANDLE = words(4, 0x1234, 0, 1) + words(5) + b"web-1\0\0\0"
TEN_STATUSES = words(0) + words(10)

REFUSED = [
    # protocol, procedure, direction, message, what is wrong, at which byte, in which field, how the layout stops
    ("nlm4", "LOCK", CALL, words(1025), "length 1025 exceeds 1024", 0, "cookie", "length"),
    ("nlm4", "LOCK", CALL, words(0, 2), "2 is no bool", 4, "block", "bool"),
    ("nlm4", "LOCK", CALL, LOCK_AS_FAR_AS_ITS_HANDLE + words(1025), "length 1025", 28, "alock.fh", "length"),
    ("nlm4", "LOCK", REPLY, TEN_STATUSES, "10 is no nlm4_stats", 4, "stat", ""),
    ("nlm4", "TEST", REPLY, TEN_STATUSES, "10 is no nlm4_stats", 4, "stat.stat", ""),
    ("nlm4", "SHARE", CALL, words(0, 0, 0, 0, 4, 0, 0), "4 is no fsh_mode", 16, "share.mode", ""),
    ("nlm3", "NSM_NOTIFY", CALL, words(1025), "length 1025", 0, "mon_name", "length"),
    ("nlm1", "LOCK", REPLY, words(0, 5), "5 is no nlm_stats", 4, "stat", ""),
    ("nsm1", "SM_MON", REPLY, words(2, 7), "2 is no sm_res", 0, "res_stat", ""),
    ("nsm1", "SM_NOTIFY", CALL, words(1025), "length 1025", 0, "mon_name", "length"),
    ("portmap2", "SET", REPLY, words(2), "2 is no bool", 0, "result", "bool"),
    ("portmap2", "DUMP", REPLY, words(1, 0, 0, 6, 0, 3), "3 is no bool", 20, "mappings", "bool"),
    ("rpcbind4", "GETADDR", REPLY, words(2**32 - 1), "length 4294967295", 0, "addr", "length"),
    ("mount3", "MNT", REPLY, words(0, 65), "length 65 exceeds 64", 4, "fhandle", "length"),
    ("mount3", "MNT", REPLY, words(4), "4 is no mountstat3", 0, "fhs_status", ""),
    ("nfs3", "GETATTR", CALL, words(65), "length 65 exceeds 64", 0, "object", "length"),
    ("nfs3", "GETATTR", REPLY, words(0, 8, *[0] * 20), "8 is no ftype3", 4, "obj_attributes.type", ""),
    ("nfs3", "CREATE", CALL, words(0, 0, 3), "3 is no createmode3", 8, "how.mode", "union"),
    ("nfs3", "MKNOD", CALL, words(0, 0, 9), "9 is no ftype3", 8, "what.type", ""),
    (
        "nfs3",
        "READDIR",
        REPLY,
        words(0, 0, 0, 0, 1, 0, 1, 2**31),
        "length 2147483648",
        28,
        "reply.entries.[0].name",
        "length",
    ),
    ("nfs2", "LOOKUP", CALL, bytes(32) + words(256), "length 256 exceeds 255", 32, "name", "length"),
    ("nfsacl3", "SETACL", CALL, words(0, 0, 0, 1025), "length 1025", 12, "acl.aclent", "length"),
    ("rquota1", "GETQUOTA", REPLY, words(0), "0 is no gqr_status", 0, "status", ""),
]


@pytest.mark.parametrize(("protocol", "name", "direction", "message", "problem", "offset", "path", "stopped"), REFUSED)
def test_what_is_wrong_is_named(
    protocol: str, name: str, direction: int, message: bytes, problem: str, offset: int, path: str, stopped: str
) -> None:
    body = Body(protocol, name, direction)
    with pytest.raises(XdrError) as error:
        decode(body.kind, message)
    assert (error.value.offset, ".".join(error.value.path)) == (offset, path)
    assert error.value.problem.startswith(problem)
    assert body.run(message).stopped == stopped


def test_a_status_that_no_specification_has_is_kept() -> None:
    outcome = Body("nlm4", "LOCK", REPLY).run(TEN_STATUSES)
    assert (outcome.status, outcome.bad_enums, outcome.rows["nlm4.res"][0]["res_stat"]) == (10, [10], 10)


def test_every_protocol_is_among_the_refused() -> None:
    """As far as it has anything to refuse: the others share their types with one that is."""
    shared = {"nlm2", "mount1", "mount2", "rpcbind3", "nfsacl2", "rquota2", "nfs4"}
    assert set(PROCEDURES) - shared == {row[0] for row in REFUSED}
