"""Every procedure of every protocol: values survive encoding, and the layout finds in the bytes what the values say."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nfsrpc.protocols import CALL, PROTOCOLS, REPLY, Layout, Procedure, Program, compile  # noqa: A004
from nfsrpc.protocols.xdr import DONE, END, JUMP, OPTIONAL, UNION, Op, decode, encode
from tests.protocols.flattened import flattened, status_of, without_nulls
from tests.protocols.reference_vm import Row, run
from tests.protocols.strategies import values

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])

LAYOUTS, TABLES = compile(PROTOCOLS)
BODIES = [
    pytest.param(program, procedure, direction, id=f"{program.protocol}-{procedure.name}-{('args', 'res')[direction]}")
    for program in PROTOCOLS
    for procedure in program.procedures
    for direction in (CALL, REPLY)
    if procedure.args is not None
]


def layout_of(program: Program, procedure: Procedure, direction: int, layouts: list[Layout]) -> Layout:
    key = (program.number, program.version, procedure.number, direction)
    return next(layout for layout in layouts if layout[:4] == key)


@pytest.mark.parametrize(("program", "procedure", "direction"), BODIES)
@given(data=st.data())
@few
def test_values_survive_and_become_columns(
    program: Program, procedure: Procedure, direction: int, data: st.DataObject
) -> None:
    kind = procedure.args if direction == CALL else procedure.res
    assert kind is not None
    value = data.draw(values(kind))

    body = encode(kind, value)
    assert decode(kind, body) == value

    outcome = run(layout_of(program, procedure, direction, LAYOUTS), TABLES, body)
    assert (outcome.stopped, outcome.bad_enums) == ("", [])
    assert without_nulls(outcome.rows) == flattened(program, procedure, direction, value)
    assert outcome.status == (status_of(kind, value) if direction == REPLY else None)


@pytest.mark.parametrize(
    "program", [program for program in PROTOCOLS if program.protocol != "nfs4"], ids=lambda program: program.protocol
)
@given(data=st.data())
@few
def test_columns_asked_for_alone_are_the_same(program: Program, data: st.DataObject) -> None:
    """Leaving columns out changes no other: what is skipped is skipped rightly."""
    procedure = data.draw(st.sampled_from([one for one in program.procedures if one.name != "NULL"]))
    direction = data.draw(st.sampled_from([CALL, REPLY]))
    kind = procedure.args if direction == CALL else procedure.res
    assert kind is not None
    body = encode(kind, data.draw(values(kind)))
    everything = run(layout_of(program, procedure, direction, LAYOUTS), TABLES, body)

    columns = [
        (table, column) for table, found in TABLES if table.partition(".")[0] == program.protocol for column, _ in found
    ]
    chosen = set(data.draw(st.lists(st.sampled_from(columns), min_size=1, max_size=4)))
    layouts, tables = compile([program], {program.protocol: [asked_as(table, column) for table, column in chosen]})
    outcome = next((run(one, tables, body) for one in layouts if one[2:4] == (procedure.number, direction)), None)

    expected = {
        table: [{column: row[column] for chosen_table, column in chosen if chosen_table == table} for row in rows]
        for table, rows in everything.rows.items()
    }
    found = outcome.rows if outcome else {}
    for table in expected.keys() | found.keys():
        assert with_values(expected.get(table, [])) == with_values(found.get(table, []))
    assert (outcome.status if outcome else None) == everything.status
    assert outcome is None or outcome.stopped == ""


def with_values(rows: list[Row]) -> list[Row]:
    return [row for row in rows if any(value is not None for value in row.values())]


def asked_as(table: str, column: str) -> str:
    """The name to ask for: a child table's column goes with its list."""
    name = table.partition(".")[2]
    return column if name in ("args", "res") else f"{name}.{column}"


def targets(op: Op) -> list[int]:
    if op[0] == UNION:
        return [target for _, target in op[4]] + [op[3]] * (op[3] >= 0)
    return [op[1]] if op[0] in (JUMP, OPTIONAL) else []


def test_layouts_run_forward_and_end() -> None:
    for layout in LAYOUTS + compile(PROTOCOLS, {})[0]:
        ops = layout[5]
        assert ops[-1][0] in (DONE, END)
        for at, op in enumerate(ops):
            assert all(at < target < len(ops) for target in targets(op))


def test_column_names_are_unique_and_leave_room_for_the_cores_own() -> None:
    for table, columns in TABLES:
        names = [name for name, _ in columns]
        assert len(set(names)) == len(names), table
        assert not {"exchange", "copy", "frame", "index"} & set(names), table
