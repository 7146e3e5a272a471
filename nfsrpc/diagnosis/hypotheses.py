"""Competing causes of a stall whose decisive half was not captured, the most probable first.

Rules whose fault may be behind what the wire shows of a stall (facts/signs.py) say so themselves, in `suspected`.
Nothing competes where a server holds its reply back until the range is released: that explains itself.
"""

from __future__ import annotations

import numpy as np

from nfsrpc.diagnosis.catalogue import head, rules
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.signs import Signs
from nfsrpc.facts.stalls import LATE_S, late, longest, overtaken
from nfsrpc.facts.statd_dns import DnsQueries
from nfsrpc.findings.finding import Finding, Hypothesis, holds
from nfsrpc.protocols.numbers import Nlm4Stats, Prog
from nfsrpc.tables import Calls
from nfsrpc.wording import SECOND


def hypotheses(lead: Finding, inputs: Inputs) -> tuple[Hypothesis, ...]:
    """The competing causes of a finding, the most probable first; none for one that is certain."""
    if not holds(head(lead.rule).asks_causes, lead.certainty):
        return ()
    if lead.table_host is None or lead.table_host in inputs.loopbacks or nfs_waits_too(lead, inputs.exchanges):
        return ()
    if inputs.lock_answers.held_back_for(inputs.stalled[lead.table_host]) is not None:
        return ()
    seen = signs(lead, inputs)
    asked = ((check.rule, check.suspected(seen)) for check in rules().values() if check.suspected)
    found = [(rule, suspicion) for rule, suspicion in asked if suspicion]
    ordered = sorted(found, key=lambda known: (-known[1].weight, known[0].id))
    return tuple(
        Hypothesis(rule.id, rule.name, lead.host, suspicion.supports, suspicion.against, lead.id)
        for rule, suspicion in ordered
    )


def nfs_waits_too(lead: Finding, exchanges: Calls) -> bool:
    """Whether more than the lock manager is silent: then its statd is no explanation."""
    waits = (exchanges["state"] == "unanswered") | late(exchanges, LATE_S)
    nfs = (exchanges["server"] == lead.table_host) & (exchanges["prog"] == Prog.NFS) & waits
    begun, over = lead.first or 0, lead.last or np.iinfo(np.int64).max
    return bool((nfs & (exchanges["time"] >= begun - SECOND) & (exchanges["time"] <= over)).any())


def signs(lead: Finding, inputs: Inputs) -> Signs:
    stalls = inputs.stalls
    here = stalls.where(stalls["server"] == lead.table_host)
    denied = here["status"] == Nlm4Stats.DENIED_NOLOCKS
    open_ = here["state"] == "unanswered"
    span = inputs.span
    granted, refused, unanswered = (longest(here.where(mask), span) for mask in (~denied & ~open_, denied, open_))
    served = bool(overtaken(here, inputs.served, span).any())
    return Signs(granted, refused, unanswered, resolving(lead, inputs.unresolved), served)


def resolving(lead: Finding, unresolved: DnsQueries) -> bool:
    if lead.table_host is None or lead.first is None or lead.last is None:
        return False
    return unresolved.has_queries(lead.table_host, lead.first, lead.last)
