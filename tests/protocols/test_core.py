"""The core's tables hold what the messages say: every procedure of every protocol, from values to bytes to columns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nfsrpc._core import Decoder, Layouts
from nfsrpc.protocols import CALL, REPLY, program
from tests.protocols.bodies import BODIES, LAYOUTS, TABLES, Body
from tests.protocols.flattened import Rows, flattened, status_of, without_nulls
from tests.protocols.reference_vm import Row, Value
from tests.protocols.strategies import values
from tests.rpc_messages import encode_call, encode_reply
from tests.scenario import Scenario
from tests.wire import UDP

KINDS = {table: dict(columns) for table, columns in TABLES}
PROTOCOLS = sorted({body.protocol for body in BODIES} - {"nfs4"})


def conversation(protocol: str, data: st.DataObject) -> tuple[bytes, Rows, list[int | None]]:
    """Each procedure called and answered once, any values; the capture, the rows it must give, and the statuses."""
    scenario = Scenario()
    flow = scenario.host("10.0.0.1").flow(scenario.host("10.0.0.9"), 4045, UDP)
    expected: Rows = {}
    statuses = []
    for xid, procedure in enumerate(program(protocol).procedures, 1):
        call, reply = Body(protocol, procedure.name, CALL), Body(protocol, procedure.name, REPLY)
        args, res = data.draw(values(call.kind)), data.draw(values(reply.kind))
        flow.send(True, encode_call(call.program, procedure.name, args, xid=xid), scenario.tick())
        flow.send(False, encode_reply(call.program, procedure.name, res, xid=xid), scenario.tick())
        for table, rows in (*flattened(call, args).items(), *flattened(reply, res).items()):
            expected.setdefault(table, []).extend(rows)
        statuses.append(status_of(reply.kind, res))
    return scenario.capture(), expected, statuses


def decoded(batch: dict[str, Any]) -> Rows:
    """The rows of the decoded tables, in order of their frames, with values as the declaration has them."""
    found: Rows = {}
    for table, columns in batch["decoded"].items():
        frames = columns["frame"]
        order = sorted(range(len(frames)), key=lambda row: (frames[row], row))
        rows: list[Row] = [
            {
                name: value_of(kind, columns[name][0][row], batch["strings"])
                for name, kind in KINDS[table].items()
                if columns[name][1][row]
            }
            for row in order
        ]
        if rows:
            found[table] = rows
    return found


def value_of(kind: str, value: int, strings: list[bytes]) -> Value:
    if kind == "bytes":
        return strings[value]
    return bool(value) if kind == "bool" else int(value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.data())
@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
def test_the_core_reads_what_was_said(protocol: str, data: st.DataObject) -> None:
    capture, expected, statuses = conversation(protocol, data)
    decoder = Decoder(Layouts(LAYOUTS, TABLES))
    decoder.feed(capture)
    batch = decoder.close()
    assert decoded(batch) == without_nulls(expected)
    exchanges = batch["exchanges"]
    none = -(2**31)
    order = exchanges["call_frame"].argsort()
    assert [None if status == none else int(status) for status in exchanges["status"][order]] == statuses
    assert not len(batch["oddities"]["kind"])
