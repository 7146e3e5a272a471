"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nfsrpc.facts.basic import UNLOCK

# The subject, as in "no ... in the capture": whether these tables and facts hold it.
SUBJECTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "lock requests": lambda inputs: bool(inputs["roles"].lock_pairs),
    "lock requests with their range": lambda inputs: len(inputs["locks"]) > 0,
    "answered lock requests": lambda inputs: bool(inputs["requests"].valid("latency_s").any()),
    "results of lock requests": lambda inputs: any(
        bool(inputs[table].valid("status").any()) for table in ("requests", "locks")
    ),
    "granted locks": lambda inputs: bool(inputs["locks"].valid("granted").any()),
    "answered UNLOCK": lambda inputs: bool(
        ((inputs["requests"]["proc"] == UNLOCK) & inputs["requests"].valid("status")).any()
    ),
}
