"""What a host answered, as rows: each program that was looked for, where it is registered, what its NULL came to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nfsrpc.probe.asking import ANSWERED, Asked
from nfsrpc.probe.questions import OF_CLIENTS, OF_SERVERS, Probed
from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.protocols.numbers import NULL, Prog
from nfsrpc.report.terminal import columns
from nfsrpc.wording import duration

NOT_REGISTERED, NOT_FOUND = "not registered", "not found"


class ProgramAnswer(NamedTuple):
    program: str
    versions: str
    transport: str
    port: str
    answer: str


HEADINGS = ProgramAnswer("program", "versions", "transport", "port", "answer")


def answers(probed: Probed) -> list[ProgramAnswer]:
    """One row per program, port and kind of answer; the slowest of several."""
    found: dict[tuple[int, str, int, str], list[Asked]] = {}
    dead = {place(each) for each in probed.asked if each.question.proc == NULL and each.outcome != ANSWERED}
    for each in probed.asked:
        if each.question.proc == NULL or (each.outcome != ANSWERED and place(each) not in dead):
            found.setdefault((each.question.prog, each.transport, each.port, outcome(each)), []).append(each)
    rows = {key: row(*key, asked) for key, asked in found.items()}
    missing = [
        ProgramAnswer(program_name(prog, 0), "", "", "", what) for prog, what in missing_programs(probed).items()
    ]
    return [*(rows[key] for key in sorted(rows)), *missing]


def place(asked: Asked) -> tuple[str, str, int]:
    return asked.address, asked.transport, asked.port


def outcome(asked: Asked) -> str:
    """The outcome, with its procedure unless it is NULL."""
    procedure = "" if asked.question.proc == NULL else f"{procedure_name(*asked.question[:3])}: "
    return procedure + asked.outcome


def row(prog: int, transport: str, port: int, what: str, asked: list[Asked]) -> ProgramAnswer:
    versions = " ".join(map(str, sorted({each.question.vers for each in asked})))
    slowest = max((each.latency_s for each in asked if each.latency_s is not None), default=None)
    return ProgramAnswer(
        program_name(prog, 0), versions, transport, str(port), duration(slowest) if what == ANSWERED else what
    )


def missing_programs(probed: Probed) -> dict[int, str]:
    """The programs that the port mapper's list does not have; without a whole list, those that were not found."""
    registrations = probed.trace.tables["registrations"]
    lists = registrations.where((registrations["source"] == "DUMP") & registrations["complete"])
    if len(lists):
        listed = set(lists["prog"].tolist())
        return {prog: NOT_REGISTERED for prog in programs(probed) if prog not in listed}
    asked = {each.question.prog for each in probed.asked}
    return {prog: NOT_FOUND for prog in programs(probed) if prog not in asked}


def programs(probed: Probed) -> tuple[Prog, ...]:
    return OF_CLIENTS if probed.as_server else OF_SERVERS


def unanswered(probed: Probed) -> list[str]:
    """What did not answer as it should, in a few words each."""
    wrong = [row for row in answers(probed) if row.answer and not row.answer[0].isdigit()]
    return [f"{row.program} {f'({row.transport} {row.port}) ' if row.port else ''}{row.answer}" for row in wrong]


def aligned(rows: Iterable[ProgramAnswer]) -> list[str]:
    """The rows as lines, below their headings."""
    return columns([HEADINGS, *rows])
