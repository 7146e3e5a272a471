"""Which finding explains which: a cause explains an effect on the same hosts at the same time.

A rule's head names the rules whose findings its own may explain; whether one explains another is decided of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from nfsrpc.diagnosis.catalogue import candidates
from nfsrpc.findings.finding import Finding
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND

ABOUT_THE_CAPTURE = "CAP"  # findings on the capture itself are never the verdict
# An effect may last so long after its cause was last seen: resends and polls come a minute later.
AFTERMATH_S = 130.0
BEFORE_S = 10.0


# Of more findings than these only what each explains at first hand is told: there would be too many pairs.
MANY = 400


def is_fault(found: Finding) -> bool:
    return found.severity != "info" and not found.rule.startswith(ABOUT_THE_CAPTURE)


def unexplained(faults: Sequence[Finding]) -> tuple[Finding, ...]:
    """The faults that no other explains which they do not explain in turn."""
    causes = Causes(faults)
    return tuple(found for found in faults if not causes.explain_alone(found))


def explained(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, each with the rules whose findings it explains, at first or at second hand."""
    rules = effects(findings) if len(findings) <= MANY else direct_effects(findings)
    return [replace(cause, explains=tuple(sorted(names))) for cause, names in zip(findings, rules, strict=True)]


def effects(findings: Sequence[Finding]) -> list[set[str]]:
    """For each finding the rules of those that it explains, whatever lies between."""
    numbers = by_rule(findings)
    direct = [
        {
            at
            for rule in candidates().get(cause.rule, ())
            for at in numbers.get(rule, ())
            if explains(cause, findings[at])
        }
        for cause in findings
    ]
    return [{findings[at].rule for at in reached(direct, start)} for start in range(len(findings))]


def by_rule(findings: Iterable[Finding]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, found in enumerate(findings):
        numbers.setdefault(found.rule, []).append(number)
    return numbers


def reached(direct: Sequence[set[int]], start: int) -> set[int]:
    """Where one comes to from there, step by step; not the start itself."""
    found, left = {start}, {start}
    while left:
        fresh = direct[left.pop()] - found
        found |= fresh
        left |= fresh
    return found - {start}


def direct_effects(findings: Sequence[Finding]) -> list[set[str]]:
    """For each finding the rules of those that it explains itself."""
    concerned = {
        rule: Concerned((findings[at], window(findings[at])) for at in numbers)
        for rule, numbers in by_rule(findings).items()
    }
    return [
        {
            rule
            for rule in (candidates().get(cause.rule, ()) if cause.severity != "info" else ())
            if rule in concerned and concerned[rule].alike(cause, window(cause, BEFORE_S, AFTERMATH_S))
        }
        for cause in findings
    ]


def explains(cause: Finding, effect: Finding) -> bool:
    if effect.rule not in candidates().get(cause.rule, ()) or cause.severity == "info":
        return False
    return concerned_alike(cause, effect) and at_one_time(cause, effect)


def concerned_alike(cause: Finding, effect: Finding) -> bool:
    """The same host, or one's host is among those whom the other hurts; without a host the same clients."""
    if cause.host is None or effect.host is None:
        return bool(parties(cause) & parties(effect))
    return cause.host == effect.host or cause.host in effect.clients or effect.host in cause.clients


def parties(finding: Finding) -> set[str]:
    return {*finding.clients, finding.host or ""} - {""}


def at_one_time(cause: Finding, effect: Finding) -> bool:
    if cause.first is None or cause.last is None or effect.first is None or effect.last is None:
        return True
    begins, ends = cause.first - BEFORE_S * SECOND, cause.last + AFTERMATH_S * SECOND
    return effect.last >= begins and effect.first <= ends


Window: TypeAlias = tuple[int, int]
ALWAYS: Window = (-(1 << 62), 1 << 62)
TIMES: Window = (-(1 << 63) + 1, (1 << 63) - 1)  # that a capture can have, in nanoseconds; the one below is NAT


def window(finding: Finding, before_s: float = 0.0, after_s: float = 0.0) -> Window:
    """The time of a finding, with some around it; any, where that is not known."""
    if finding.first is None or finding.last is None:
        return ALWAYS
    earliest, latest = TIMES
    return max(finding.first - round(before_s * SECOND), earliest), min(finding.last + round(after_s * SECOND), latest)


class Concerned:
    """Findings by the hosts that they concern, each with a time: what `explains` asks of one, of all at once."""

    def __init__(self, findings: Iterable[tuple[Finding, Window]]) -> None:
        found = list(findings)
        hosted = [(finding, time) for finding, time in found if finding.host is not None]
        self.hosts = Stretches.of((finding.host, *time) for finding, time in hosted)
        self.clients = Stretches.of((client, *time) for finding, time in hosted for client in finding.clients)
        self.parties = Stretches.of((party, *time) for finding, time in found for party in parties(finding))
        without = [(finding, time) for finding, time in found if finding.host is None]
        self.of_hostless = Stretches.of((party, *time) for finding, time in without for party in parties(finding))

    def alike(self, other: Finding, time: Window) -> bool:
        """Whether another finding concerns the same hosts as one of these, whose time meets this one."""
        theirs = parties(other)
        if other.host is None:
            return any(self.parties.meet(party, *time) for party in theirs)
        return (
            any(self.hosts.meet(host, *time) for host in (other.host, *other.clients))
            or self.clients.meet(other.host, *time)
            or any(self.of_hostless.meet(party, *time) for party in theirs)
        )


class Causes:
    """Findings that may explain others."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        causes = [found for found in findings if found.severity != "info" and found.rule in candidates()]
        rules = {rule: [causes[at] for at in numbers] for rule, numbers in by_rule(causes).items()}
        self.meanwhile = {
            rule: Concerned((cause, window(cause, BEFORE_S, AFTERMATH_S)) for cause in found)
            for rule, found in rules.items()
        }
        self.ended = {
            rule: Concerned((cause, (cause.last or 0, cause.last or 0)) for cause in found if ends_known(cause))
            for rule, found in rules.items()
        }

    def explain(self, effect: Finding) -> bool:
        """Whether one of them explains this finding."""
        return any(
            concerned.alike(effect, window(effect))
            for rule, concerned in self.meanwhile.items()
            if effect.rule in candidates()[rule]
        )

    def explain_alone(self, effect: Finding) -> bool:
        """Whether one of them explains this finding, which does not explain it in turn.

        Where rules explain each other, that is one that was over before this one could be its cause.
        """
        for rule, concerned in self.meanwhile.items():
            if effect.rule not in candidates()[rule]:
                continue
            if effect.severity == "info" or rule not in candidates().get(effect.rule, ()):
                if concerned.alike(effect, window(effect)):
                    return True
            elif ends_known(effect):
                begun = effect.first or 0
                over = begun - round(AFTERMATH_S * SECOND), begun - round(BEFORE_S * SECOND) - 1
                if self.ended[rule].alike(effect, over):
                    return True
        return False


def ends_known(finding: Finding) -> bool:
    return finding.first is not None and finding.last is not None
