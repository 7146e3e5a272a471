"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# The subject, as in "no ... in the capture": whether these tables and facts hold it.
SUBJECTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "lock requests": lambda inputs: bool(inputs["roles"].lock_pairs),
}
