"""Findings that something never came, where captures by another clock show the same two hosts.

No message tells whether these were taken later: what did not come in one capture may have come after it. Captures of
other clients of the same server do not show these two hosts, and doubt nothing. Where several calls had no reply, one
whose hosts no other clock shows is enough for the finding to be certain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    """The finding; `shown` has the calls, of which those that concern its host count."""
    calls = [each for proof in found.evidence for each in shown.get((proof.capture, proof.frame), ())]
    calls = [call for call in calls if found.table_host in (None, *call.hosts)]
    if not calls and found.table_host:  # what was sent is below RPC: SYNs
        calls = [Shown(frozenset((found.table_host, client)), True) for client in found.clients]
    is_open = any(call.is_open for call in calls)
    files = {call.hosts: others.file(call.hosts) for call in calls if call.is_open or not is_open}
    seen = [(hosts, file) for hosts, file in files.items() if file]
    if not seen or (is_open and len(seen) < len(files)):
        return found
    hosts, file = seen[0]
    return found.doubted(
        f"{file} shows {named(hosts)} as well, and no message tells whether it was taken later: what did not come "
        "here may have come later."
    )
