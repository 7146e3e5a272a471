"""What has to be concluded from each real capture, and the table of what is.

`expected.json` in a capture's folder says it (captures/README.md tells its form). Run as a module, this prints the
table of all captures; given the beginning of a name, of some.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nfsrpc.decode import decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.sessions import WANTED, Sessions
from tests.captures_dir import SETS

# Not of a capture format that is read here.
UNREADABLE = ("08-nokiapcap.pcap", "33-empty.pcap", "34-not-a-capture.pcap")


@dataclass(frozen=True)
class Case:
    """Some files given together, and the verdict on them."""

    folder: Path
    files: tuple[str, ...]
    expected: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder.name}/{' + '.join(self.files)}"

    @property
    def verdicts(self) -> tuple[str, ...]:
        verdict = self.expected["verdict"]
        return (verdict,) if isinstance(verdict, str) else tuple(verdict)

    @property
    def tolerates_healthy(self) -> bool:
        """Where nothing may be claimed, the note says when "healthy" would be right as well."""
        return "ealthy" in self.expected.get("note", "")

    def diagnosis(self) -> Diagnosis:
        return diagnose(Sessions(decode([self.folder / file for file in self.files], WANTED)))


def cases(*kinds: str) -> Iterator[Case]:
    for kind in kinds:
        for path in sorted(SETS[kind].found.glob("*/expected.json")):
            for names, expected in json.loads(path.read_text())["captures"].items():
                files = tuple(names.split(" + "))
                if not any(file in UNREADABLE for file in files):
                    yield Case(path.parent, files, expected)


def problems(case: Case, diagnosis: Diagnosis) -> list[str]:
    """What is wrong about a diagnosis; nothing when it is as expected."""
    found = {finding.rule for finding in diagnosis.findings}
    return [
        *wrong_verdict(case, diagnosis),
        *(f"{broken.rule} is broken: {broken.error}" for broken in diagnosis.broken),
        *(f"{rule} was not found" for rule in case.expected["must"] if rule not in found),
        *(f"{rule} accuses the innocent" for rule in case.expected["must_not"] if rule in found),
        *missing_causes(case, diagnosis),
    ]


def missing_causes(case: Case, diagnosis: Diagnosis) -> Iterator[str]:
    """The causes that a verdict has to name and does not: each is one of some rules, on a host."""
    found = {(cause.rule, cause.host) for cause in diagnosis.verdict.causes}
    for cause in case.expected.get("causes", ()):
        if found.isdisjoint((rule, cause["host"]) for rule in cause["rule"]):
            yield f"{' or '.join(cause['rule'])} on {cause['host']} is no cause"


def wrong_verdict(case: Case, diagnosis: Diagnosis) -> Iterator[str]:
    verdict, expected = diagnosis.verdict, case.expected
    said = verdict.rule or verdict.state
    allowed = {*case.verdicts, *(expected.get("may") or ())}
    if "cannot-tell" in case.verdicts and case.tolerates_healthy:
        allowed.add("healthy")
    if said not in allowed:
        yield f"the verdict is {said}, not {' or '.join(case.verdicts)}"
    lead = leading(diagnosis)
    if lead is None or said not in case.verdicts:
        return
    for name in ("certainty", "host"):
        if expected[name] is not None and getattr(lead, name) != expected[name]:
            yield f"its {name} is {getattr(lead, name)}, not {expected[name]}"


def leading(diagnosis: Diagnosis) -> Finding | None:
    return next(iter(diagnosis.causes), None)


def row(case: Case, diagnosis: Diagnosis) -> tuple[str, ...]:
    """A row of the table: capture, expected, found, other findings, differences."""
    lead = leading(diagnosis)
    others = [f"{found.rule} {found.severity}" for found in diagnosis.findings if found is not lead]
    return (
        case.name,
        described(" or ".join(case.verdicts), case.expected["certainty"], case.expected["host"]),
        described(diagnosis.verdict.rule or diagnosis.verdict.state, lead and lead.certainty, lead and lead.host),
        ", ".join(others),
        "; ".join(problems(case, diagnosis)),
    )


def described(verdict: str, certainty: str | None, host: str | None) -> str:
    return ", ".join(filter(None, [verdict, certainty, f"on {host}" if host else ""]))


HEAD = ("capture", "expected", "found", "other findings", "differences")


def table(chosen: Sequence[Case]) -> str:
    """Captures × expected × found, as Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(row(case, case.diagnosis()) for case in chosen)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    beginning = sys.argv[1] if len(sys.argv) > 1 else ""
    print(table([case for case in cases("samples", "kernel") if case.name.startswith(beginning)]))
