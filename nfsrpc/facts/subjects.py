"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nfsrpc.columns import Mask, Table, isin
from nfsrpc.facts.basic import LOCK, LOCK_MSG, MOUNT, NFS, NLM, NM_LOCK, NSM, UNLOCK
from nfsrpc.facts.portmappers import answers_about

LOCKS = (LOCK, NM_LOCK)  # whose reply is the result


def names_a_port(registrations: Table, programs: Sequence[int] = ()) -> bool:
    """Whether a portmapper named a port, of one of these programs if any are given."""
    rows = answers_about(registrations, programs) if programs else registrations
    return bool((rows["port"][rows.valid("port")] > 0).any())


def results(requests: Table, *procedures: int) -> Mask:
    """Requests of these procedures whose result is in the capture."""
    mask: Mask = isin(requests["proc"], procedures) & requests.valid("status")
    return mask


def messages(locks: Table) -> Mask:
    """Sessions whose LOCK_MSG has a result in the capture."""
    mask: Mask = (locks["procedure"] == "LOCK_MSG") & locks.valid("status")
    return mask


# The subject, as in "no ... in the capture": whether these tables and facts hold it.
SUBJECTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "answer of a host's own portmapper": lambda inputs: bool(
        (inputs["registrations"]["loopback"] & inputs["registrations"].valid("port")).any()
    ),
    "named port": lambda inputs: names_a_port(inputs["registrations"]),
    "named port of NFS or MOUNT": lambda inputs: names_a_port(inputs["registrations"], (NFS, MOUNT)),
    "named port of statd or the lock manager": lambda inputs: names_a_port(inputs["registrations"], (NSM, NLM)),
    "answers of portmappers": lambda inputs: bool(len(inputs["portmappers"].answered)),
    "lock requests": lambda inputs: bool(inputs["roles"].lock_pairs),
    "lock requests with their range": lambda inputs: len(inputs["locks"]) > 0,
    "answered lock requests": lambda inputs: bool(inputs["requests"].valid("latency_s").any()),
    "LOCK requests": lambda inputs: bool(isin(inputs["nlm"]["proc"], (*LOCKS, LOCK_MSG)).any()),
    "replies to LOCK": lambda inputs: bool(results(inputs["requests"], *LOCKS).any()),
    "results of LOCK": lambda inputs: bool(
        results(inputs["requests"], *LOCKS).any() or messages(inputs["locks"]).any()
    ),
    "replies to UNLOCK": lambda inputs: bool(results(inputs["requests"], UNLOCK).any()),
    "granted locks": lambda inputs: bool(inputs["locks"].valid("granted").any()),
    "locks granted in time": lambda inputs: bool(
        (inputs["locks"].valid("granted") & (inputs["locks"]["granted_by"] != "late-reply")).any()
    ),
    "whole lock requests": lambda inputs: bool(inputs["locks"].valid("requested").any()),  # not cut before the range
    "answered LOCK": lambda inputs: answered_lock(inputs["requests"]),
    "TCP or UDP": lambda inputs: bool(len(inputs["flows"])),
    "answered SM_MON": lambda inputs: bool(
        ((inputs["monitors"]["procedure"] == "MON") & (inputs["monitors"]["state"] == "answered")).any()
    ),
    "notices of a reboot": lambda inputs: bool(inputs["notified"]),
    "SM_NOTIFY": lambda inputs: any(known.notices for known in inputs["notified"]),
}


def answered_lock(requests: Table) -> bool:
    """Whether a result of LOCK was captured, and when it was asked for."""
    asked = isin(requests["proc"], (LOCK, NM_LOCK)) & requests.valid("status") & requests.valid("time")
    return bool(asked.any())
