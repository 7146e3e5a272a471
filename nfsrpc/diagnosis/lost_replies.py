"""Findings that rest on calls without reply, where the capture itself may have lost the reply.

A reply that was lost shows in the next frame of its connection: sequence numbers go on behind it. Where no such frame
comes, or over UDP, only the client tells that it had no reply: it retransmits the call. One call of the evidence that
waited in sight is enough for the finding to be certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nfsrpc.columns import Mask, isin
from nfsrpc.decode import rows_of
from nfsrpc.diagnosis.timers import Frame, among
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Finding
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.exchanges import UNANSWERED_NS
from nfsrpc.sessions.grouping import group
from nfsrpc.tables import Calls, Flows

WHY = "Nothing was captured of the client after that call which shows that no reply came: the capture may have lost it."


def doubted(findings: Sequence[Finding], inputs: Inputs) -> list[Finding]:
    """The findings; those whose evidence is nothing but calls that may have had their replies are likely at most."""
    frames = {(proof.capture, proof.frame) for each in findings for proof in each.evidence}
    calls = inputs.calls
    calls = calls.where((calls["state"] == "unanswered") & among(calls, "capture", "call_frame", frames))
    names = zip(calls["capture"].tolist(), calls["call_frame"].tolist(), strict=True)
    waited = dict(zip(names, in_sight(calls, inputs.flows).tolist(), strict=True))
    return [doubtful(each, waited) for each in findings]


def doubtful(found: Finding, waited: Mapping[Frame, bool]) -> Finding:
    """The finding; `waited`: which calls are open, by their frames, and whether they waited in sight."""
    proved = [waited.get((proof.capture, proof.frame), True) for proof in found.evidence]
    return found if not proved or any(proved) else found.doubted(WHY)


def in_sight(calls: Calls, flows: Flows) -> Mask:
    """Which open calls waited in sight: they were repeated, or their connection ends or has a frame long after them."""
    at = rows_of(flows["flow"], calls["flow"])
    last = np.append(np.maximum(flows["c_last"], flows["s_last"]), 0)[at]
    closed = flows["c_fin"] + flows["s_fin"] + flows["c_rst"] + flows["s_rst"] > 0
    ended = np.append(closed | flows["superseded"], False)[at]
    mask: Mask = (calls["transport"] == "tcp") & ((last - calls["time"] >= UNANSWERED_NS) | ended)
    return mask | (calls["retransmits"] > 0) | asked_anew(calls)


def asked_anew(calls: Calls) -> Mask:
    """Which calls are one of several questions or notices: kernels and sm-notify repeat these as new calls."""
    kinds, _ = group(calls["client"].codes, calls["server"].codes, calls["prog"], calls["proc"])
    mask: Mask = isin(calls["prog"], (Prog.PORTMAP, Prog.NSM)) & (np.bincount(kinds)[kinds] > 1)
    return mask
