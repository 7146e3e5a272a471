"""Findings that something never came, where captures by another clock show the same two hosts.

No message tells whether these were taken later: what did not come in one capture may have come after it. Captures of
other clients of the same server do not show these two hosts, and doubt nothing. Where a finding is about several
clients, one that no other clock shows with its host is enough for it to be certain, and it names those that are in
doubt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from nfsrpc.diagnosis.timers import Frame, among
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.other_clocks import OtherClocks
from nfsrpc.findings.finding import Finding
from nfsrpc.tables import Calls
from nfsrpc.wording import named


class Shown(NamedTuple):
    """What a frame of evidence shows: a call between two hosts, or its reply."""

    hosts: frozenset[str]
    is_open: bool  # without a reply


def doubted(findings: Sequence[Finding], inputs: Inputs) -> list[Finding]:
    """The findings; those of which a capture by another clock may hold what never came are at most likely."""
    others = inputs.other_clocks
    if others.by_clock is None:
        return list(findings)
    asked = {id(each) for each in findings if each.certainty == "certain" and each.says_never}
    frames = {(proof.capture, proof.frame) for each in findings if id(each) in asked for proof in each.evidence}
    shown = shown_by(inputs.calls, frames) if frames else {}
    return [doubtful(each, shown, others) if id(each) in asked else each for each in findings]


def shown_by(calls: Calls, frames: Iterable[Frame]) -> Mapping[Frame, list[Shown]]:
    """What these frames show."""
    found: defaultdict[Frame, list[Shown]] = defaultdict(list)
    for capture, frame in (("capture", "call_frame"), ("reply_capture", "reply_frame")):
        for row in calls.where(among(calls, capture, frame, frames)).rows():
            if row.client and row.server:
                shown = Shown(frozenset((row.client, row.server)), row.reply_frame is None)
                found[getattr(row, capture), getattr(row, frame)].append(shown)
    return found


def doubtful(found: Finding, shown: Mapping[Frame, list[Shown]], others: OtherClocks) -> Finding:
    """The finding, in doubt about the clients that others show; `shown` has the calls, of which its host's count."""
    host = found.table_host or ""
    calls = [each for proof in found.evidence for each in shown.get((proof.capture, proof.frame), ())]
    calls = [call for call in calls if host in ("", *call.hosts)]
    if not calls and host:  # what was sent is below RPC: SYNs
        calls = [Shown(frozenset((host, client)), True) for client in found.clients]
    is_open = any(call.is_open for call in calls)
    decisive = {call.hosts for call in calls if call.is_open or not is_open}
    # Evidence is of some of many clients. Where it is of none, the clients wait for what the host has of another one.
    clients = {frozenset((host, client)) for client in found.clients}
    concerned = clients if decisive & clients else decisive
    answered = {call.hosts for call in calls if is_open and not call.is_open} - decisive
    seen = {hosts: file for hosts in concerned - answered if (file := others.file(hosts))}
    if not seen:
        return found
    files, peers = set(seen.values()), frozenset().union(*seen) - {host}
    why = (
        f"{named(files)} {'shows' if len(files) == 1 else 'show'} {named(peers)} with {host} as well, and no message "
        "tells whether it was taken later: what did not come here may have come later."
    )
    if len(seen) == len(concerned):
        return found.doubted(why)
    return replace(
        found, explanation=f"{found.explanation} {why} So of {named(peers)} it is likely, of others certain."
    )
