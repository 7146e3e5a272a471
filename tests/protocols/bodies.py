"""The arguments and results of every procedure of every protocol, by name: what the tests here go over."""

from __future__ import annotations

from typing import NamedTuple

from nfsrpc import protocols
from nfsrpc.protocols import CALL, PROTOCOLS, REPLY, Layout, Procedure, Program
from nfsrpc.protocols.xdr import Type
from tests.protocols.reference_vm import Outcome, run

LAYOUTS, TABLES = protocols.compile(PROTOCOLS)


class Body(NamedTuple):
    protocol: str
    name: str
    direction: int = CALL

    def __str__(self) -> str:
        return f"{self.protocol}-{self.name}-{('args', 'res')[self.direction]}"

    @property
    def program(self) -> Program:
        return protocols.program(self.protocol)

    @property
    def procedure(self) -> Procedure:
        return self.program.procedure(self.name)

    @property
    def kind(self) -> Type:
        kind = self.procedure.args if self.direction == CALL else self.procedure.res
        assert kind is not None
        return kind

    def layout(self, layouts: list[Layout]) -> Layout | None:
        key = (self.program.number, self.program.version, self.procedure.number, self.direction)
        return next((layout for layout in layouts if layout[:4] == key), None)

    def run(self, message: bytes) -> Outcome:
        layout = self.layout(LAYOUTS)
        assert layout is not None
        return run(layout, TABLES, message)


BODIES = [
    Body(program.protocol, procedure.name, direction)
    for program in PROTOCOLS
    for procedure in program.procedures
    for direction in (CALL, REPLY)
    if procedure.args is not None
]
