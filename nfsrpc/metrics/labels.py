"""Values of labels, of which there is a bounded number: a capture may name any host, and any program."""

from __future__ import annotations

from nfsrpc.printable import clean
from nfsrpc.protocols import PROTOCOLS, procedure_name, program_name

MAX_HOSTS = 200
OTHER = "other"

DECLARED = {
    (program.number, program.version, procedure.number) for program in PROTOCOLS for procedure in program.procedures
}
PROGRAMS = {program.number for program in PROTOCOLS}


class HostLabels:
    """The hosts that have a label of their own: the first MAX_HOSTS, for good, since counters must not change."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}

    def label(self, host: str) -> str:
        if host not in self._labels and len(self._labels) < MAX_HOSTS:
            self._labels[host] = clean(host)
        return self._labels.get(host, OTHER)


def procedure(prog: int, vers: int, proc: int) -> tuple[str, str]:
    """The names of a program and its procedure; those that no protocol declares are one.

    >>> procedure(100021, 4, 2), procedure(100021, 4, 99), procedure(400000, 1, 2)
    (('nlm', 'LOCK'), ('nlm', 'other'), ('other', 'other'))
    """
    if prog not in PROGRAMS:
        return OTHER, OTHER
    name = procedure_name(prog, vers, proc) if (prog, vers, proc) in DECLARED else OTHER
    return program_name(prog, vers), name
