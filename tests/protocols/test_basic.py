"""Every procedure of every protocol: values survive encoding, and the layout finds in the bytes what the values say."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nfsrpc.protocols import PROTOCOLS, REPLY, compile  # noqa: A004
from nfsrpc.protocols.xdr import DONE, END, JUMP, OPTIONAL, UNION, Op, decode, encode
from tests.protocols.bodies import BODIES, LAYOUTS, TABLES, Body
from tests.protocols.flattened import flattened, status_of, without_nulls
from tests.protocols.reference_vm import Row, run
from tests.protocols.strategies import values

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
more = settings(few, max_examples=40)


@pytest.mark.parametrize("body", BODIES, ids=str)
@given(data=st.data())
@few
def test_values_survive_and_become_columns(body: Body, data: st.DataObject) -> None:
    value = data.draw(values(body.kind))

    message = encode(body.kind, value)
    assert decode(body.kind, message) == value

    outcome = body.run(message)
    assert (outcome.stopped, outcome.bad_enums) == ("", [])
    assert without_nulls(outcome.rows) == flattened(body, value)
    assert outcome.status == (status_of(body.kind, value) if body.direction == REPLY else None)


@pytest.mark.parametrize("protocol", sorted({body.protocol for body in BODIES} - {"nfs4"}))
@given(data=st.data())
@more
def test_columns_asked_for_alone_are_the_same(protocol: str, data: st.DataObject) -> None:
    """Leaving columns out changes no other: what is skipped is skipped rightly."""
    body = data.draw(st.sampled_from([body for body in BODIES if body.protocol == protocol and body.name != "NULL"]))
    message = encode(body.kind, data.draw(values(body.kind)))
    everything = body.run(message)

    columns = [(table, column) for table, found in TABLES if table.partition(".")[0] == protocol for column, _ in found]
    chosen = set(data.draw(st.lists(st.sampled_from(columns), min_size=1, max_size=4)))
    layouts, tables = compile([body.program], {protocol: [asked_as(table, column) for table, column in chosen]})
    layout = body.layout(layouts)
    outcome = run(layout, tables, message) if layout else None

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
