"""The output of `live` while it runs: one line per change for users and logs, one JSON object per change for programs.

no packet yet  begin     tcpdump on any, parsed as nobody, without capabilities
2023-11-14 22:13:20 UTC  FAULT     Rpc.statd is not registered on the server 10.1.84.31; …
2023-11-14 22:13:20 UTC  appeared  error REG001, certain: rpc.statd is not registered on the server 10.1.84.31
2023-11-14 22:13:25 UTC  waiting   10.1.84.41 for a lock on /srv/a of 10.1.84.31, 5.10 s
2023-11-14 22:14:22 UTC  over      10.1.84.41 waited 61.6 s for a lock on /srv/a of 10.1.84.31
2023-11-14 22:14:23 UTC  resolved  REG001 on 10.1.84.31: statd of 10.1.84.31 was not registered until …
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nfsrpc.diagnosis.run import CUT_SHORT
from nfsrpc.findings.bounds import SCREEN, clipped
from nfsrpc.findings.finding import Verdict
from nfsrpc.printable import clean
from nfsrpc.report import json as analysis
from nfsrpc.report.contents import Report
from nfsrpc.report.terminal import Paint, plain
from nfsrpc.sources.privileges import Rights
from nfsrpc.watch.changes import Change, LockWait, What
from nfsrpc.wording import date_time, digits, duration, timestamp

BADGES = {"fault": "FAULT", "healthy": "HEALTHY", "cannot-tell": "UNKNOWN"}
WIDTH = 8
NO_PACKET = "no packet yet"


def lines(changes: Sequence[Change]) -> Iterator[str]:
    """One line per change; of many of one kind at once the first ones, and the number of the others."""
    numbers, passed = Counter(map(kind, changes)), Counter[tuple[What, str]]()
    for change in changes:
        mine = kind(change)
        passed[mine] += 1
        if passed[mine] <= SCREEN.findings:
            yield line(change)
        elif passed[mine] == numbers[mine]:
            what, of_which = mine
            yield stamped(change.time, what, f"and {digits(passed[mine] - SCREEN.findings)} more{of_which}")


def kind(change: Change) -> tuple[What, str]:
    return change.what, f" of {change.finding.rule}" if change.finding else ""


def line(change: Change, paint: Paint = plain) -> str:
    """The line of one change, with its time first, as in a log."""
    what, style, text = TEXTS[change.what](change)
    return stamped(change.time, what, text, lambda what: paint(style, what))


def stamped(time: int | None, what: str, text: str, paint: Callable[[str], str] = str) -> str:
    when = date_time(time) if time is not None else NO_PACKET
    return f"{when}  {paint(what)}{' ' * (WIDTH - len(what))}  {clean(clipped(text, SCREEN.characters))}\n"


def _of_finding(change: Change) -> tuple[str, str, str]:
    finding = change.finding
    assert finding is not None
    if change.what == "resolved":
        where = f" on {finding.host}" if finding.host else ""
        return change.what, "heading", f"{finding.rule} {finding.name}{where}: {change.why}"
    seen = f" ({finding.count} times)" if finding.count > 1 else ""
    return (
        change.what,
        finding.severity,
        f"{finding.severity} {finding.rule}, {finding.certainty}: {finding.title}{seen}",
    )


def _of_wait(change: Change) -> tuple[str, str, str]:
    wait = change.wait
    assert wait is not None
    lock, age = f"for a lock on {wait.file} of {wait.server}", duration(wait.age_s)
    if change.what == "over":
        return change.what, "heading", f"{wait.client} waited {age} {lock} ({wait.owner})"
    behind = f", behind {', '.join(wait.behind)}" if wait.behind else ""
    return change.what, "warning", f"{wait.client} waits {age} {lock} ({wait.owner}){behind}"


def _of_verdict(change: Change) -> tuple[str, str, str]:
    assert change.verdict is not None
    return BADGES[change.verdict.state], "heading", change.verdict.summary


TEXTS: dict[What, Callable[[Change], tuple[str, str, str]]] = {
    "appeared": _of_finding,
    "changed": _of_finding,
    "resolved": _of_finding,
    "waiting": _of_wait,
    "over": _of_wait,
    "verdict": _of_verdict,
}


def begin(source: str, rights: Rights) -> str:
    """The first line: the source, and the rights of the process that parses it."""
    return f"{NO_PACKET}  begin{' ' * (WIDTH - len('begin'))}  {clean(source)}, parsed {clean(str(rights))}\n"


def begin_jsonl(source: str, rights: Rights) -> str:
    """The first object: the source, and the rights of the process that parses it."""
    object_ = rights._asdict() | {"capabilities": f"{rights.capabilities:016x}"}  # as /proc/PID/status has them
    return json.dumps({"schema": analysis.SCHEMA, "change": "begin", "source": source, "rights": object_}) + "\n"


def jsonl(change: Change) -> str:
    return json.dumps(document(change), allow_nan=False) + "\n"


def document(change: Change) -> dict[str, Any]:
    """The object of one change: a finding, a wait or a verdict, as `change` says."""
    result: dict[str, Any] = {"schema": analysis.SCHEMA, "time": timestamp(change.time), "change": change.what}
    if change.finding:
        result["finding"] = analysis.finding_document(change.finding)
    if change.wait:
        result["wait"] = _wait(change.wait)
    if change.verdict:
        result["verdict"] = analysis.verdict_document(change.verdict)
    return result | ({"why": change.why} if change.why else {})


def _wait(wait: LockWait) -> dict[str, Any]:
    return {**wait._asdict(), "since": timestamp(wait.since), "behind": list(wait.behind)}


def end(report: Report) -> str:
    """The last object: the whole document of `analyze`."""
    object_ = {"schema": analysis.SCHEMA, "change": "end", "report": analysis.document(report)}
    return json.dumps(object_, allow_nan=False) + "\n"


def end_cut_short(verdict: Verdict) -> str:
    """The last object if there was no time for the document: the verdict alone."""
    conclusion = analysis.verdict_document(verdict)
    object_ = {"schema": analysis.SCHEMA, "change": "end", "verdict": conclusion, "why": CUT_SHORT}
    return json.dumps(object_, allow_nan=False) + "\n"
