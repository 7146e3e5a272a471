"""The compiler: what a declaration becomes, column by column and operation by operation."""

from __future__ import annotations

import pytest

from nfsrpc._core import OPERATIONS
from nfsrpc.protocols import PROTOCOLS, Procedure, Program, compile, program, xdr  # noqa: A004
from nfsrpc.protocols.xdr import (
    ARRAY,
    BOOL,
    DATA,
    DONE,
    END,
    ENUM,
    FIXED,
    HEADER,
    INT32,
    INT64,
    ITEM_END,
    JUMP,
    KEEP,
    LIST,
    MAX_KEEP,
    OPAQUE,
    OPTIONAL,
    STATUS,
    UNBOUNDED,
    UNION,
    Op,
    Type,
    array,
    boolean,
    data,
    encode,
    enum,
    fixed_array,
    fixed_opaque,
    hyper,
    int32,
    linked,
    opaque,
    optional,
    status,
    string,
    struct,
    uint32,
    union,
    void,
)
from tests.protocols.reference_vm import run

stat = enum("stat", OK=0, BAD=7)


def declare(args: Type = void, res: Type = void) -> Program:
    return Program("toy", 400000, 1, "A toy", "nowhere", (Procedure(3, "PLAY", args, res),))


def ops_of(kind: Type, *wanted: str) -> list[Op]:
    """The operations of arguments of that type; of their wanted columns, if any are named."""
    layouts, _ = compile([declare(kind)], {"toy1": wanted} if wanted else None)
    return layouts[0][5]


@pytest.mark.parametrize(
    ("kind", "ops"),
    [
        (struct(a=int32, b=uint32, c=hyper), [(INT32, 0, 0, 0), (INT32, 1, 0, 0), (INT64, 2, 0, 0)]),
        (struct(a=boolean, b=stat), [(BOOL, 0, 0, 0), (ENUM, 1, 0, 0, [0, 7])]),
        (struct(a=opaque(8), b=string(9)), [(OPAQUE, 0, 8, 0), (OPAQUE, 1, 9, 0)]),
        (struct(a=fixed_opaque(5), b=data(100)), [(FIXED, 0, 5, 0), (DATA, 1, 100, 0)]),
        (struct(a=optional(int32), b=int32), [(OPTIONAL, 2, 0, 0), (INT32, 0, 0, 0), (INT32, 1, 0, 0)]),
        (struct(a=array(int32, 3)), [(ARRAY, 0, 3, 3), (INT32, 0, 0, 0), (ITEM_END, 0, 0, 0)]),
        (struct(a=linked(struct(b=int32))), [(LIST, 0, 0, 3), (INT32, 0, 0, 0), (ITEM_END, 0, 0, 0)]),
        (
            union("how", stat, {"OK": struct(a=int32)}, default=struct(b=int32)),
            [(UNION, 0, 1, 3, [(0, 1), (7, 3)]), (INT32, 1, 0, 0), (JUMP, 4, 0, 0), (INT32, 2, 0, 0)],
        ),
        (
            union("how", int32, {(1, 2): struct(a=int32)}),
            [(UNION, 0, 0, -1, [(1, 1), (2, 1)]), (INT32, 1, 0, 0), (JUMP, 3, 0, 0)],
        ),
    ],
    ids=[
        "numbers",
        "bool-enum",
        "opaque-string",
        "fixed-data",
        "optional",
        "array",
        "list",
        "default",
        "values-an-arm",
    ],
)
def test_operations(kind: Type, ops: list[Op]) -> None:
    assert ops_of(kind) == [*ops, (DONE, 0, 0, 0)]


def test_a_layout_is_found_by_program_version_procedure_and_direction() -> None:
    layouts, tables = compile([declare(struct(a=int32), struct(b=boolean))])
    assert [layout[:5] for layout in layouts] == [(400000, 1, 3, 0, 0), (400000, 1, 3, 1, 1)]
    assert tables == [("toy1.args", [("a", "i32")]), ("toy1.res", [("res_b", "bool")])]


def test_a_status_is_noted_in_replies_only() -> None:
    kind = struct(stat=status(stat))
    layouts, _ = compile([declare(kind, kind)])
    enum_op = (ENUM, 0, 0, 0, [0, 7])
    assert [layout[5] for layout in layouts] == [
        [enum_op, (DONE, 0, 0, 0)],
        [enum_op, (STATUS, 0, 0, 0), (DONE, 0, 0, 0)],
    ]


def test_a_leaf_is_a_column_by_its_own_name_or_by_its_path_where_two_have_it() -> None:
    item = struct(fh=opaque(), size=uint32)
    _, tables = compile([declare(struct(from_=item, to=struct(fh=opaque()), items=linked(item), numbers=array(int32)))])
    assert tables == [
        ("toy1.args", [("from_fh", "bytes"), ("size", "u32"), ("to_fh", "bytes")]),
        ("toy1.items", [("fh", "bytes"), ("size", "u32")]),
        ("toy1.numbers", [("numbers", "i32")]),
    ]


def test_arms_that_share_a_field_share_its_column() -> None:
    kind = union("how", stat, {"OK": struct(wcc=int32, more=int32)}, default=struct(wcc=int32))
    _, tables = compile([declare(kind)])
    assert tables == [("toy1.args", [("how", "i32"), ("wcc", "i32"), ("more", "i32")])]


def test_bulk_data_is_a_column_of_its_length() -> None:
    assert compile([declare(struct(data=data()))])[1] == [("toy1.args", [("data_length", "u32")])]


def test_reading_stops_after_the_last_column_asked_for() -> None:
    kind = struct(a=int32, b=opaque(4), c=int32)
    assert ops_of(kind, "b") == [(FIXED, -1, 4, 0), (OPAQUE, 0, 4, 0), (END, 0, 0, 0)]


def test_neighbours_that_nobody_asked_for_are_skipped_at_once() -> None:
    kind = struct(a=int32, b=hyper, c=fixed_opaque(5), d=boolean)
    assert ops_of(kind, "d") == [(FIXED, -1, 20, 0), (BOOL, 0, 0, 0), (END, 0, 0, 0)]


def test_what_is_skipped_begins_anew_where_a_jump_arrives() -> None:
    kind = struct(a=optional(int32), b=int32, c=boolean)
    assert ops_of(kind, "c") == [
        (OPTIONAL, 2, 0, 0),
        (FIXED, -1, 4, 0),
        (FIXED, -1, 4, 0),
        (BOOL, 0, 0, 0),
        (END, 0, 0, 0),
    ]


def test_a_union_of_which_nothing_but_the_discriminant_is_asked_is_a_number() -> None:
    kind = union("how", stat, {"OK": struct(a=int32)}, default=void)
    assert ops_of(kind, "how") == [(ENUM, 0, 0, 0, [0, 7]), (END, 0, 0, 0)]


def test_a_union_of_which_nothing_is_asked_is_read_past() -> None:
    kind = struct(shape=union("how", stat, {"OK": struct(a=opaque(4))}, default=void), b=int32)
    assert ops_of(kind, "b") == [
        (UNION, -1, 1, 3, [(0, 1), (7, 3)]),
        (OPAQUE, -1, 4, 0),
        (JUMP, 3, 0, 0),
        (INT32, 0, 0, 0),
        (END, 0, 0, 0),
    ]


def test_without_any_column_the_status_is_read_and_nothing_else() -> None:
    res = union("stat", status(stat), {"OK": struct(a=linked(struct(b=int32)))}, default=void)
    layouts, tables = compile([declare(struct(a=string()), res)], {})
    ops = [(ENUM, -1, 0, 0, [0, 7]), (STATUS, 0, 0, 0), (END, 0, 0, 0)]
    assert layouts == [(400000, 1, 3, 1, -1, ops, KEEP, UNBOUNDED)]
    assert tables == []


def test_without_any_column_what_has_a_longest_body_is_known_by_that() -> None:
    layouts, tables = compile([declare(struct(a=int32, b=opaque(5)))], {})
    assert layouts == [
        (400000, 1, 3, 0, -1, [(END, 0, 0, 0)], KEEP, 16),
        (400000, 1, 3, 1, -1, [(END, 0, 0, 0)], KEEP, 0),
    ]
    assert tables == []


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        (void, 0),
        (struct(a=int32, b=hyper, c=boolean, d=stat, e=status(stat)), 24),
        (struct(a=opaque(5), b=string(8), c=fixed_opaque(3), d=data(1)), 12 + 12 + 4 + 8),
        (struct(a=optional(hyper)), 12),
        (struct(a=array(hyper, 3)), 28),
        (struct(a=fixed_array(hyper, 3)), 24),
        (union("stat", stat, {"OK": struct(a=hyper)}, default=struct(b=int32)), 12),
        (union("stat", stat, {"OK": struct(a=hyper)}, default=struct(b=opaque(16))), 24),
        (union("stat", stat, {"OK": struct(a=hyper)}), 12),
        *((struct(a=kind), UNBOUNDED) for kind in (string(), data(), array(int32), linked(int32), optional(opaque()))),
        (union("stat", stat, {"OK": struct(a=int32, b=linked(int32))}), UNBOUNDED),
    ],
)
def test_how_long_a_body_can_be(kind: Type, most: int) -> None:
    assert compile([declare(kind)])[0][0][7] == most


@pytest.mark.parametrize(
    ("protocol", "procedure", "most"),
    [
        # RFC 1813: a handle of 64 bytes, fattr3 of 84 bytes, and what tells whether they are there.
        ("nfs3", "GETATTR", (68, 88)),
        ("nfs3", "LOOKUP", (UNBOUNDED, 4 + 68 + 88 + 88)),
        ("nfs3", "READ", (80, UNBOUNDED)),
        # The Open Group's XNFS: netobj and string of 1024 bytes each.
        ("nlm4", "UNLOCK", (1028 + 1028 + 1028 + 1028 + 4 + 8 + 8, 1028 + 4)),
        ("nsm1", "SM_MON", (1028 + 1028 + 12 + 16, 8)),
    ],
)
def test_how_long_the_bodies_of_a_procedure_can_be(protocol: str, procedure: str, most: tuple[int, int]) -> None:
    found = program(protocol)
    number = found.procedure(procedure).number
    assert tuple(layout[7] for layout in compile([found])[0] if layout[2] == number) == most


def test_nothing_is_said_of_what_is_not_declared() -> None:
    assert [layout[2] for layout in compile([program("nfs4")])[0]] == [0, 0]


def test_columns_of_one_procedure_are_asked_for_by_its_name() -> None:
    layouts, tables = compile(PROTOCOLS, {"nlm4.LOCK": ["fh"], "nfs3.READDIRPLUS": ["entries.name"]})
    assert tables == [("nfs3.entries", [("name", "bytes")]), ("nlm4.args", [("fh", "bytes")])]
    calls = [layout for layout in layouts if layout[3] == 0 and layout[5] != [(END, 0, 0, 0)]]
    assert [layout[:5] for layout in calls] == [(100021, 4, 2, 0, 1)]


@pytest.mark.parametrize("wanted", [{"nlm4": ["fhandle"]}, {"nlm4.LOCK": ["res_svid"]}, {"nlm9": ["fh"]}])
def test_a_column_that_does_not_exist_is_an_error(wanted: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="no such column: nlm"):
        compile(PROTOCOLS, wanted)


def test_a_column_of_two_kinds_is_an_error() -> None:
    other = Procedure(4, "WORK", struct(a=opaque()))
    toy = declare(struct(a=int32))
    with pytest.raises(ValueError, match=r"toy1\.args: a is i32 in one procedure and bytes in another"):
        compile([Program(toy.name, toy.number, toy.version, toy.title, toy.spec, (*toy.procedures, other))])


@pytest.mark.parametrize(
    ("kind", "keep"),
    [
        (struct(data=data()), KEEP),
        (struct(fh=opaque(1024)), HEADER + 1024 + 11 + 8),
        (struct(items=linked(int32)), MAX_KEEP),
        (struct(name=string()), MAX_KEEP),
    ],
)
def test_no_more_of_a_record_is_kept_than_its_layout_can_read(kind: Type, keep: int) -> None:
    assert compile([declare(kind)])[0][0][6] == keep


def test_lists_in_lists_have_rows_of_their_own() -> None:
    mount = program("mount3")
    layouts, tables = compile([mount])
    export = next(layout for layout in layouts if layout[2:4] == (5, 1))
    body = encode(
        mount.procedure("EXPORT").res,  # type: ignore[arg-type]
        {"exports": [{"ex_dir": "/a", "ex_groups": [{"gr_name": "x"}, {"gr_name": "y"}]}, {"ex_dir": "/b"}]},
    )
    assert run(export, tables, body).rows == {
        "mount3.exports": [{"ex_dir": b"/a"}, {"ex_dir": b"/b"}],
        "mount3.ex_groups": [{"gr_name": b"x"}, {"gr_name": b"y"}],
    }


def test_the_operations_are_those_of_the_core() -> None:
    """The core declares them; every name has a number of its own, is one here, and nothing else is compiled."""
    here = {name: getattr(xdr, name) for name in OPERATIONS}
    assert here == OPERATIONS
    assert len(set(OPERATIONS.values())) == len(OPERATIONS)
    layouts, _ = compile(PROTOCOLS)
    used = {operation[0] for layout in layouts for operation in layout[5]}
    assert used <= set(OPERATIONS.values())
    assert {xdr.UNION, xdr.ARRAY, xdr.LIST, xdr.STATUS, xdr.DONE} <= used
