"""The protocols, one file a program and version, each of which declares its PROGRAM; a new file is found by itself."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from nfsrpc.protocols.layout import CALL, REPLY, Layout, Procedure, Program, TableSpec, compile, status_enum  # noqa: A004

__all__ = [
    "CALL",
    "PROTOCOLS",
    "REPLY",
    "Layout",
    "Procedure",
    "Program",
    "TableSpec",
    "compile",
    "procedure_name",
    "program",
    "program_name",
    "status_name",
    "status_names",
]

_modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
PROTOCOLS: tuple[Program, ...] = tuple(
    sorted(
        (module.PROGRAM for module in _modules if hasattr(module, "PROGRAM")),
        key=lambda found: (found.number, found.version),
    )
)

_programs = {(found.number, found.version): found for found in PROTOCOLS}
_names = {found.number: found.name for found in reversed(PROTOCOLS)}
_procedures: dict[tuple[int | None, int | None, int | None], Procedure] = {
    (found.number, found.version, procedure.number): procedure for found in PROTOCOLS for procedure in found.procedures
}


def program(protocol: str) -> Program:
    """The program of a protocol: `program("nlm4")`."""
    for found in PROTOCOLS:
        if found.protocol == protocol:
            return found
    raise KeyError(f"no protocol {protocol}; there are {', '.join(found.protocol for found in PROTOCOLS)}")


def program_name(prog: int, vers: int) -> str:
    """Its name, also for a version that is not declared; its number if nothing is known of it."""
    found = _programs.get((prog, vers))
    return found.name if found else _names.get(prog, str(prog))


def procedure_name(prog: int, vers: int, proc: int) -> str:
    """The RFC's name of a procedure, its number if it is not declared."""
    found = _procedures.get((prog, vers, proc))
    return found.name if found else str(proc)


def status_names(prog: int | None, vers: int | None, proc: int | None) -> dict[int, str]:
    """What the values of the procedure's own status mean; empty if it has none."""
    found = _procedures.get((prog, vers, proc))
    kind = status_enum(found.res) if found else None
    return kind.names if kind else {}


def status_name(prog: int | None, vers: int | None, proc: int | None, status: int) -> str:
    """The RFC's name of a status; for a value that the RFC does not have, that it is unknown."""
    return status_names(prog, vers, proc).get(status, f"unknown status {status}")
