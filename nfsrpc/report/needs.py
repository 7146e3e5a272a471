"""The captures to make next: one command per file that is written, and the one to run where a capture cannot tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from nfsrpc.diagnosis.catalogue import rules as catalogue
from nfsrpc.findings.advice import ALL_BUT_SSH, capture_at
from nfsrpc.findings.command import Command
from nfsrpc.findings.finding import CannotTell, Diagnosis, Finding, Need

CAPTURING = re.compile(r"tcpdump .*-w (?P<file>\S+?)(?:\.pcap)? '(?P<filter>[^']*)'")


class FirstCapture(NamedTuple):
    """The capture that a verdict needs, where the one given cannot tell."""

    where: str  # "on 10.1.84.31 (nfssrv), while a lock hangs"
    command: Command


def first_capture(diagnosis: Diagnosis, host: str | None, shown: str) -> FirstCapture:
    """The one capture to make where no verdict is possible: the first that an answer needs, or all that passes a host.

    `shown` is how reports call the host where the captures were taken, if that is known.
    """
    for need in needs_of(diagnosis):
        return FirstCapture(f"the {need.vantage}, while a lock hangs", need.command)
    where = f"on {shown}" if host else "on the NFS server, or on a client"
    return FirstCapture(f"{where}, while a lock hangs", capture_at(host or "", ALL_BUT_SSH))


def needs_of(diagnosis: Diagnosis) -> Iterator[Need]:
    """The captures that answers need: those of findings first, what would only inform last."""
    yield from (finding.needs for finding in diagnosis.findings if finding.needs)
    for unknown in unknowns(diagnosis.cannot_tell):
        yield from unknown.needs


def one_command_per_file(diagnosis: Diagnosis) -> Diagnosis:
    """A diagnosis in which all commands that write one file are one command, which captures what each of them asks."""
    answers: tuple[Finding | CannotTell, ...] = (*diagnosis.findings, *diagnosis.cannot_tell)
    asked = [answer.needs.command for answer in answers if answer.needs]
    asked += [line for finding in diagnosis.findings for line in finding.remedy]
    chosen = widest(asked)
    if all(old == new for old, new in chosen.items()):
        return diagnosis
    return replace(
        diagnosis,
        findings=tuple(finding_with(finding, chosen) for finding in diagnosis.findings),
        cannot_tell=tuple(answer_with(answer, chosen) for answer in diagnosis.cannot_tell),
    )


def widest(commands: Iterable[Command]) -> dict[Command, Command]:
    """For each capture command the one to run in its place.

    >>> from nfsrpc.findings.advice import loopback_of, wire_of
    >>> narrow, wide = wire_of("10.0.0.1", ["10.0.0.2"]).command, loopback_of("10.0.0.1", ["10.0.0.2"]).command
    >>> widest([narrow, wide])[narrow] == wide
    True
    >>> other = wire_of("10.0.0.1", ["10.0.0.3"]).command
    >>> widest([narrow, other])[other].line
    "tcpdump -i any -s 0 -B 8192 -w 10.0.0.1.pcap 'not port 22'"
    """
    by_file: dict[str, dict[Command, frozenset[str]]] = {}
    for command in commands:
        if match := CAPTURING.match(command.line):
            by_file.setdefault(match["file"], {})[command] = frozenset(match["filter"].split(" or "))
    chosen: dict[Command, Command] = {}
    for file, filters in by_file.items():
        everything = frozenset().union(*filters.values())
        whole = [each for each, terms in filters.items() if terms in (everything, {ALL_BUT_SSH.expression})]
        chosen |= dict.fromkeys(filters, whole[0] if whole else capture_at(file, ALL_BUT_SSH))
    return chosen


def need_with(need: Need | None, chosen: Mapping[Command, Command]) -> Need | None:
    return need and replace(need, command=chosen.get(need.command, need.command))


def answer_with(answer: CannotTell, chosen: Mapping[Command, Command]) -> CannotTell:
    return answer._replace(needs=need_with(answer.needs, chosen))


def finding_with(finding: Finding, chosen: Mapping[Command, Command]) -> Finding:
    remedy = tuple(chosen.get(line, line) for line in finding.remedy)
    return replace(finding, needs=need_with(finding.needs, chosen), remedy=remedy)


# Where the verdict is healthy and checks could not be judged.
HEALTHY_SO_FAR = "Locks work as far as these captures show; they cannot show:"


class Unknown(NamedTuple):
    """Reasons that some rules share why they cannot tell, and the captures of which each would help."""

    reasons: tuple[tuple[str, tuple[str, ...]], ...]  # why, and the rules that say so
    needs: tuple[Need, ...]


def unknowns(answers: Sequence[CannotTell]) -> list[Unknown]:
    """Answers grouped: a capture that many rules lack stands once, and so does a reason that many hosts share.

    First comes what would show faults, then what would inform, then bare reasons.
    """
    by_need: dict[Need | None, dict[str, dict[str, None]]] = {}
    for answer in answers:
        by_need.setdefault(answer.needs, {}).setdefault(answer.why, {})[answer.rule] = None
    by_reasons: dict[tuple[tuple[str, tuple[str, ...]], ...], list[Need]] = {}
    for need, reasons in by_need.items():
        key = tuple((why, tuple(rules)) for why, rules in reasons.items())
        by_reasons.setdefault(key, []).extend([need] if need else [])
    found = [Unknown(reasons, tuple(needs)) for reasons, needs in by_reasons.items()]
    return sorted(found, key=lambda unknown: (not unknown.needs, informs_only(unknown)))


def of_many_hosts(found: Iterable[Unknown]) -> list[tuple[Unknown, int]]:
    """The first of those that differ in their host alone, and of how many more hosts the same holds."""
    alike: dict[object, list[Unknown]] = {}
    for unknown in found:
        alike.setdefault(without_host(unknown), []).append(unknown)
    return [(first, len(others)) for first, *others in alike.values()]


def without_host(unknown: Unknown) -> object:
    """What an unknown has in common with those of other hosts, if it has one need, of one host."""
    if len(unknown.needs) != 1:
        return unknown
    where, _, host = unknown.needs[0].vantage.rpartition(" ")
    named = re.compile(rf"(?<![\w.:]){re.escape(host)}(?![\w.:])( \([^)]*\))?")
    return where, tuple((named.sub("", why), rules) for why, rules in unknown.reasons)


def informs_only(unknown: Unknown) -> bool:
    known = catalogue()
    asked = [known[rule].rule for _, rules in unknown.reasons for rule in rules if rule in known]
    return bool(asked) and all(rule.severity == "info" for rule in asked)
