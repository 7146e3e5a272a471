"""Which finding explains which: a cause explains an effect on the same hosts at the same time.

A rule's head names the rules whose findings its own may explain: those are candidates. Whether one finding explains
another is decided for the two, by host and time, and findings refer to each other by their identifiers. A fault that no
other explains is a cause; of faults that explain each other in a circle the gravest is one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from nfsrpc.diagnosis.catalogue import candidates
from nfsrpc.findings.finding import Finding
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND

ABOUT_THE_CAPTURE = "CAP"  # findings on the capture itself are never a cause
# An effect may last so long after its cause was last seen: retransmissions and polls come a minute later.
AFTERMATH_S = 130.0
BEFORE_S = 10.0
# Of at most so many findings all pairs are compared, and effects of effects are listed; of more as many pairs, the
# gravest causes first, so that the cost stays linear.
MANY = 400
FEW = 64  # files and clients that are compared for a pair of findings; the longer lists are of floods
NEAR = 8  # causes at one host that a further one is compared with, where there are many


def is_fault(found: Finding) -> bool:
    return found.severity != "info" and not found.rule.startswith(ABOUT_THE_CAPTURE)


def unexplained(faults: Sequence[Finding]) -> tuple[Finding, ...]:
    """The faults that no other explains which they do not explain in turn."""
    causes = Causes(faults)
    return tuple(found for found in faults if not causes.explain_alone(found))


def root_causes(faults: Sequence[Finding]) -> list[Finding]:
    """The faults that no other explains, the gravest first; of faults that explain each other the first."""
    if len(faults) > MANY:
        return roots_of_many(faults)
    direct = direct_effects(faults)
    effects = [reached(direct, start) for start in range(len(faults))]
    causing: list[set[int]] = [set() for _ in faults]
    for cause, found in enumerate(effects):
        for effect in found:
            causing[effect].add(cause)
    roots: list[Finding] = []
    covered: set[int] = set()
    for number, fault in enumerate(faults):
        if number not in covered and causing[number] <= effects[number]:
            roots.append(fault)
            covered |= effects[number]
    return roots


def roots_of_many(faults: Sequence[Finding]) -> list[Finding]:
    """The root causes of more than MANY faults, without comparing all pairs or searching circles of three or more."""
    roots: defaultdict[str | None, list[Finding]] = defaultdict(list)
    for fault in unexplained(faults):
        here = roots[fault.table_host]
        if not any(explains(root, fault) for root in here[:NEAR]):
            here.append(fault)
    chosen = {id(fault) for found in roots.values() for fault in found}
    return [fault for fault in faults if id(fault) in chosen] or list(faults[:1])


def numbered(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, those of one rule about hosts of one address with their numbers, by time."""
    alike: defaultdict[tuple[str, str | None], list[int]] = defaultdict(list)
    for at, found in enumerate(findings):
        alike[found.rule, found.host].append(at)
    result = list(findings)
    for places in alike.values():
        ordered = sorted(places, key=lambda at: place_in_time(findings[at])) if len(places) > 1 else ()
        for number, at in enumerate(ordered, 1):
            result[at] = replace(findings[at], number=number)
    return result


def place_in_time(found: Finding) -> tuple[int, str, str]:
    """The sort key of findings by time, which does not depend on the order of the captures."""
    return found.first or 0, found.host_capture or "", found.title


def explained(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, the gravest first, each with the identifiers of those that it explains."""
    direct = direct_effects(findings)
    effects = direct if len(findings) > MANY else [reached(direct, start) for start in range(len(findings))]
    return [
        replace(cause, explains=tuple(sorted(findings[at].id for at in found)))
        for cause, found in zip(findings, effects, strict=True)
    ]


def by_rule(findings: Iterable[Finding]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, found in enumerate(findings):
        numbers.setdefault(found.rule, []).append(number)
    return numbers


def reached(direct: Sequence[set[int]], start: int) -> set[int]:
    """The numbers of all findings that one explains, directly or through others."""
    found, left = {start}, {start}
    while left:
        fresh = direct[left.pop()] - found
        found |= fresh
        left |= fresh
    return found - {start}


def direct_effects(findings: Sequence[Finding]) -> list[set[int]]:
    """For each finding the numbers of those that it explains itself, as far as MANY * MANY pairs show."""
    near: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, found in enumerate(findings):
        for party in found.parties:
            near[found.rule, party].append(number)
    left = MANY * MANY
    effects: list[set[int]] = []
    for number, cause in enumerate(findings):
        found_here: set[int] = set()
        for at in candidates_near(cause, near):
            if left == 0:
                break
            left -= 1
            if at != number and explains(cause, findings[at]):
                found_here.add(at)
        effects.append(found_here)
    return effects


def candidates_near(cause: Finding, near: dict[tuple[str, str], list[int]]) -> Iterator[int]:
    """The findings of rules that this one may explain, which have a host or client in common with it."""
    for rule in candidates().get(cause.rule, ()) if cause.severity != "info" else ():
        for party in cause.parties:
            yield from near.get((rule, party), ())


def explains(cause: Finding, effect: Finding) -> bool:
    if effect.rule not in candidates().get(cause.rule, ()) or cause.severity == "info":
        return False
    return concerned_alike(cause, effect) and at_one_time(cause, effect)


def concerned_alike(cause: Finding, effect: Finding) -> bool:
    """Whether two findings concern the same host or clients, or one's host is an affected client of the other.

    Findings without a host are compared by their clients. The same clients waiting for the same file will do, too: the
    host of a finding about a wait is the holder of the lock.
    """
    host, other = cause.table_host, effect.table_host
    if host is None or other is None:
        return not cause.parties.isdisjoint(effect.parties)
    return host == other or host in effect.clients or other in cause.clients or is_same_wait(cause, effect)


def is_same_wait(cause: Finding, effect: Finding) -> bool:
    return meet(cause.files, effect.files) and meet(cause.clients, effect.clients)


def meet(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists have something in common; those that are too long to compare for each pair have not."""
    return len(one) <= FEW and len(other) <= FEW and not {*one}.isdisjoint(other)


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
        self.hosts = Stretches.of((finding.table_host, *time) for finding, time in hosted)
        self.clients = Stretches.of((client, *time) for finding, time in hosted for client in finding.clients)
        self.parties = Stretches.of((party, *time) for finding, time in found for party in finding.parties)
        without = [(finding, time) for finding, time in found if finding.host is None]
        self.of_hostless = Stretches.of((party, *time) for finding, time in without for party in finding.parties)

    def alike(self, other: Finding, time: Window) -> bool:
        """Whether another finding concerns the same hosts as one of these, whose time meets this one."""
        theirs, host = other.parties, other.table_host
        if host is None:
            return any(self.parties.meet(party, *time) for party in theirs)
        return (
            any(self.hosts.meet(one, *time) for one in (host, *other.clients))
            or self.clients.meet(host, *time)
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
