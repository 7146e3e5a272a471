"""Findings that rest on calls without reply, where the capture itself may have lost the reply.

A reply that was lost shows in the next frame of its connection: sequence numbers go on behind it. Where no such frame
comes, or over UDP, only the client tells that it had no reply: it retransmits the call. One call of the evidence that
waited in sight is enough for the finding to be certain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nfsrpc.columns import Array, Mask, isin
from nfsrpc.decode import rows_of
from nfsrpc.facts.basic import fact
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Finding
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.exchanges import UNANSWERED_NS
from nfsrpc.sessions.grouping import group
from nfsrpc.tables import Calls, Flows, Registrations

WHY = "Nothing was captured of the client after that call which shows that no reply came: the capture may have lost it."


@fact
def perhaps_answered(calls: Calls, flows: Flows, registrations: Registrations) -> Array:
    """The calls without reply that may have had one, as keys of their captures and frames, sorted."""
    calls = calls.where(calls["state"] == "unanswered")
    calls = calls.where(~in_sight(calls, flows, registrations))
    return np.sort(key(calls["capture"], calls["call_frame"]))


def doubted(findings: Sequence[Finding], inputs: Inputs) -> list[Finding]:
    """The findings; those whose evidence is nothing but calls that may have had their replies are likely at most."""
    return [doubtful(each, inputs.perhaps_answered) for each in findings]


def doubtful(found: Finding, perhaps: Array) -> Finding:
    captures, frames = (np.array([proof[at] for proof in found.evidence]) for at in (0, 1))
    evidence = key(captures, frames)
    at = np.searchsorted(perhaps, evidence)
    alike = np.append(perhaps, 0)[at] == evidence
    return found.doubted(WHY) if len(evidence) and alike.all() else found


def key(captures: Array, frames: Array) -> Array:
    return captures.astype(np.uint64) << np.uint64(32) | frames.astype(np.uint64)


def in_sight(calls: Calls, flows: Flows, registrations: Registrations) -> Mask:
    """Which open calls waited in sight: they were repeated, or their connection ends or has a frame long after them."""
    at = rows_of(flows["flow"], calls["flow"])
    last = np.append(np.maximum(flows["c_last"], flows["s_last"]), 0)[at]
    closed = flows["c_fin"] + flows["s_fin"] + flows["c_rst"] + flows["s_rst"] > 0
    ended = np.append(closed | flows["superseded"], False)[at]
    mask: Mask = (calls["transport"] == "tcp") & ((last - calls["time"] >= UNANSWERED_NS) | ended)
    return mask | (calls["retransmits"] > 0) | asked_anew(calls, registrations)


def asked_anew(calls: Calls, registrations: Registrations) -> Mask:
    """Which calls are one of several questions or notices: kernels and sm-notify repeat these as new calls.

    Who asks a portmapper for one program and then for another had the first answer, as far as is known.
    """
    asked = registrations.where(isin(registrations["exchange"], calls["exchange"]))
    about = np.append(asked["prog"], 0)[rows_of(asked["exchange"], calls["exchange"])]
    kinds, _ = group(calls["client"].codes, calls["server"].codes, calls["prog"], calls["proc"], about)
    mask: Mask = isin(calls["prog"], (Prog.PORTMAP, Prog.NSM)) & (np.bincount(kinds)[kinds] > 1)
    return mask
