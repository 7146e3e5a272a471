"""The verdict of faults: which is the gravest, and the sentence about one or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nfsrpc.diagnosis.causes import explains
from nfsrpc.findings.bounds import SCREEN, first_of
from nfsrpc.findings.finding import SEVERITIES, Answer, Cause, Finding, Verdict, lacking
from nfsrpc.rules import FAMILIES
from nfsrpc.wording import capitalized, duration, named

DEPTHS = {family: depth for depth, family in enumerate(FAMILIES)}
WORTH_TELLING_S = 1.0  # the verdict leaves shorter waits out
PARTIAL = "Not all rules were run: the look took too long, and the cause may be another."
MORE = "Of {rules} there may be more findings than are listed."


def gravity(found: Finding) -> tuple[object, ...]:
    """The sort key of findings by which the gravest comes first."""
    return (
        SEVERITIES.index(found.severity),
        found.certainty != "certain",
        DEPTHS.get(found.rule[:3], len(DEPTHS)),
        -(found.wait_s or 0.0),
        -len(found.explains),
        found.first or 0,
        found.id,
    )


def fault(causes: Sequence[Finding], findings: Iterable[Finding], answers: Sequence[Answer] = ()) -> Verdict:
    """The verdict of causes, the gravest first: of one its summary, of several how many there are, on which hosts.

    It says so where, by these answers, not all rules were run to their end, or they may have further findings.
    """
    by_id = {found.id: found for found in findings}
    listed = tuple(
        Cause(cause.rule, cause.host, cause.certainty, summary(cause, effects_of(cause, by_id)), cause.id)
        for cause in causes
    )
    sentences = [listed[0].summary if len(listed) == 1 else headline(causes)]
    if lacking("time", answers):
        sentences.append(PARTIAL)
    if rules := lacking("room", answers):
        sentences.append(MORE.format(rules=named(rules)))
    return Verdict(causes[0].rule, "fault", " ".join(sentences), listed)


def effects_of(cause: Finding, by_id: Mapping[str, Finding]) -> list[Finding]:
    """The findings that a cause explains directly."""
    effects = (by_id[found] for found in cause.explains if found in by_id)
    return [effect for effect in effects if explains(cause, effect)]


def headline(causes: Sequence[Finding]) -> str:
    """How many faults there are, and which on which hosts.

    >>> from nfsrpc.findings.finding import Rule
    >>> rule = Rule("REG001", "statd-not-registered", "error")
    >>> titles = {"10.30.0.1": "10.30.0.1 has no rpc.statd", "10.30.0.2": "lockd cannot be reached"}
    >>> headline([rule.finding(host=host, title=title, explanation="") for host, title in titles.items()])
    '2 faults: 10.30.0.1 has no rpc.statd; lockd cannot be reached (10.30.0.2).'
    """
    shown, more = first_of(causes, SCREEN.causes)
    parts = [cause.title if (cause.host or "") in cause.title else f"{cause.title} ({cause.host})" for cause in shown]
    if more:
        hosts = dict.fromkeys(cause.host for cause in causes[len(shown) :] if cause.host)
        parts.append(f"and {more} more{f' ({named(hosts)})' if hosts else ''}")
    return f"{len(causes)} faults: {'; '.join(parts)}."


def affected_clients(cause: Finding, effects: Sequence[Finding]) -> tuple[set[str], float]:
    """The clients that a cause affects and their longest wait: its own, else those of its effects."""
    clients = set(cause.clients) or {client for found in effects for client in found.clients}
    theirs = [found.wait_s or 0.0 for found in effects if set(found.clients) <= clients]
    return clients, cause.wait_s if cause.wait_s is not None else max(theirs, default=0.0)


def summary(cause: Finding, effects: Sequence[Finding]) -> str:
    """A cause in one sentence: host, what is wrong, who is affected and for how long."""
    clients, wait = affected_clients(cause, effects)
    lasted = f"waited up to {duration(wait)}" if wait >= WORTH_TELLING_S else ""
    if duration(wait) in cause.title:
        lasted = ""
    if clients == {cause.table_host}:
        subject = "it" if cause.title.startswith(cause.table_host or "") else cause.table_host
        affected = f"; {subject} {lasted}" if lasted else ""
    elif clients:
        who = named(clients, cause.at_least)
        affected = f"; {who} {lasted}" if lasted else f"; affected: {who}"
    else:
        affected = f"; a client {lasted}" if lasted else ""
    return f"{capitalized(cause.title)}{affected}."
