"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nfsrpc.columns import Table, isin
from nfsrpc.facts.basic import LOCK, NM_LOCK

# The subject, as in "no ... in the capture": whether these tables and facts hold it.
SUBJECTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "lock requests": lambda inputs: bool(inputs["roles"].lock_pairs),
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
