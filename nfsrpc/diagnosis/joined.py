"""Diagnoses of captures that are judged by themselves as one: what several of them show of a host is one fault.

Captures are judged by themselves where no time of one can be compared with a time of another (sessions/aligned.py), and
in a fleet also where they show none of the same hosts. A finding of one rule about one host that several of them have
is one finding: it says what the gravest of them says, with the clients, the evidence and the count of all, and is
certain if one of them is. What is a cause in one diagnosis and an effect in another stays two. Findings about single
files, and those of which one diagnosis has several, are one only if they say the same. Captures of loopbacks alone say
nothing about locks, which pass between hosts: where they show no fault, the verdict is that of the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, compress
from operator import not_
from typing import NamedTuple

from nfsrpc.diagnosis.causes import numbered
from nfsrpc.diagnosis.faults import fault, gravity
from nfsrpc.findings.bounds import first_of
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Diagnosis, Finding, Hypothesis, Verdict
from nfsrpc.wording import duration, named, several


class Witness(NamedTuple):
    """A finding of one of the diagnoses."""

    diagnosis: int
    found: Finding
    is_cause: bool

    @property
    def about(self) -> tuple[Hashable, ...]:
        """What findings have in common that may be one."""
        return self.found.rule, self.found.table_host, self.found.severity, self.is_cause

    @property
    def is_about_a_file(self) -> bool:
        return any(file in self.found.title for file in self.found.files)


HEALTHY = "No fault: "  # begins the summary of one diagnosis, and is said once of several
SHOWN = 3  # of the sentences on groups without a fault
Ids = Mapping[tuple[int, str], str]  # of the finding that a diagnosis has under an identifier


def joined(diagnoses: Sequence[Diagnosis]) -> Diagnosis:
    """Some diagnoses as one."""
    if len(diagnoses) == 1:
        return diagnoses[0]
    alike = those_alike(witnesses(diagnoses))
    found = numbered([merged([witness.found for witness in group]) for group in alike])
    ids = ids_of(found, alike)
    explaining = [
        replace(one, explains=tuple(sorted(effects_of(group, ids) - {one.id})))
        for one, group in zip(found, alike, strict=True)
    ]
    leading = [group[0].is_cause for group in alike]
    causes = sorted(compress(explaining, leading), key=gravity)
    others = sorted(compress(explaining, map(not_, leading)), key=gravity)
    unknown = tuple({str(answer): answer for each in diagnoses for answer in each.cannot_tell}.values())
    broken = {answer.rule: answer for each in diagnoses for answer in each.broken}
    unjudged = {*broken, *(answer.rule for answer in unknown)}
    clear = {answer.rule: answer for each in diagnoses for answer in each.clear if answer.rule not in unjudged}
    return Diagnosis(
        verdict=fault(causes, explaining, unknown) if causes else without_fault(verdicts_on_locks(diagnoses)),
        findings=(*causes, *others),
        cannot_tell=unknown,
        clear=tuple(clear.values()),
        broken=tuple(broken.values()),
        hypotheses=hypotheses_of(diagnoses, ids),
        log=tuple(sorted(dict.fromkeys(line for each in diagnoses for line in each.log))),
        settings=diagnoses[0].settings,
        off_the_wire=all(each.off_the_wire for each in diagnoses),
    )


def verdicts_on_locks(diagnoses: Sequence[Diagnosis]) -> list[Verdict]:
    """The verdicts on captures that may show locks; on all where none may."""
    return [each.verdict for each in diagnoses if not each.off_the_wire] or [each.verdict for each in diagnoses]


def ids_of(found: Sequence[Finding], alike: Sequence[list[Witness]]) -> Ids:
    """The identifiers of these findings, by those of the findings that each is of."""
    return {
        (witness.diagnosis, witness.found.id): one.id
        for one, group in zip(found, alike, strict=True)
        for witness in group
    }


def hypotheses_of(diagnoses: Sequence[Diagnosis], ids: Ids) -> tuple[Hypothesis, ...]:
    """The hypotheses of all diagnoses, one per rule and host, about the findings of these identifiers."""
    by_subject = {
        (each.rule, each.host): each._replace(finding=ids.get((number, each.finding), each.finding))
        for number, diagnosis in enumerate(diagnoses)
        for each in diagnosis.hypotheses
    }
    return tuple(by_subject.values())


def witnesses(diagnoses: Sequence[Diagnosis]) -> list[Witness]:
    found: list[Witness] = []
    for number, diagnosis in enumerate(diagnoses):
        causes = {cause.finding for cause in diagnosis.verdict.causes}
        found += [Witness(number, each, each.id in causes) for each in diagnosis.findings]
    return found


def those_alike(found: Sequence[Witness]) -> list[list[Witness]]:
    """The findings that are one, in the order in which they come first."""
    about: defaultdict[tuple[Hashable, ...], list[Witness]] = defaultdict(list)
    for witness in found:
        about[witness.about].append(witness)
    groups: defaultdict[tuple[Hashable, ...], list[Witness]] = defaultdict(list)
    for key, same in about.items():
        by_title = len({witness.diagnosis for witness in same}) < len(same)
        times: Counter[tuple[int, str]] = Counter()  # that one diagnosis says the same
        for witness in same:
            title = witness.found.title if by_title or witness.is_about_a_file else ""
            times[witness.diagnosis, title] += 1
            groups[*key, title, times[witness.diagnosis, title]].append(witness)
    return list(groups.values())


def merged(found: Sequence[Finding]) -> Finding:
    """Findings of several diagnoses that are one, as the gravest of them says it."""
    first, *others = sorted(found, key=gravity)
    if not others:
        return first
    clients = dict.fromkeys(chain.from_iterable(each.clients for each in (first, *others)))
    more = [client for client in clients if client not in set(first.clients)]
    by_client = any(client in str(line) for line in first.remedy for client in first.clients)
    waits = [each.wait_s for each in found if each.wait_s is not None]
    return replace(
        first,
        explanation=f"{first.explanation} {also(len(others), more, max(waits, default=0.0))}",
        clients=tuple(sorted(clients)),
        files=tuple(sorted({file for each in found for file in each.files})),
        count=sum(each.count for each in found),
        evidence=tuple(chain.from_iterable(each.evidence for each in (first, *others))),
        remedy=(
            *first.remedy,
            *([remark("The same for {clients}.", clients=named(more))] if by_client and more else []),
        ),
        wait_s=max(waits, default=None),
    )


def also(others: int, clients: Sequence[str], wait_s: float) -> str:
    """A sentence on what the other captures show."""
    whose = f" of {named(clients)}" if clients else ""
    waited = f", which waited up to {duration(wait_s)}" if clients and wait_s >= 1 else ""
    where = several(others, "other group", "other groups")
    return f"The captures of {where}, judged by themselves, show the same{whose}{waited}."


def effects_of(group: Sequence[Witness], ids: Ids) -> set[str]:
    """The identifiers of what some findings explain."""
    return {ids[witness.diagnosis, effect] for witness in group for effect in witness.found.explains}


def without_fault(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of diagnoses without a fault: healthy only if all are."""
    if len(verdicts) == 1:
        return verdicts[0]
    unknown = [verdict for verdict in verdicts if verdict.state != "healthy"]
    if not unknown:
        shown, more = first_of(
            tuple(dict.fromkeys(verdict.summary.removeprefix(HEALTHY) for verdict in verdicts)), SHOWN
        )
        others = [f"{several(more, 'more group has', 'more groups have')} no fault either."] if more else []
        where = f"No fault in {len(verdicts)} groups of captures, judged by themselves."
        return Verdict(None, "healthy", " ".join([where, *shown, *others]))
    if len(unknown) == len(verdicts):
        return Verdict(None, "cannot-tell", unknown[0].summary)
    known = len(verdicts) - len(unknown)
    where = f"of {len(verdicts)} groups of captures {known} {'is' if known == 1 else 'are'} healthy"
    return Verdict(None, "cannot-tell", f"{unknown[0].summary.rstrip('.')}; {where}.")
