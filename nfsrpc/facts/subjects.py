"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nfsrpc.columns import Table
from nfsrpc.facts.basic import MOUNT, NFS, NLM, NSM
from nfsrpc.facts.portmappers import answers_about


def names_a_port(registrations: Table, programs: Sequence[int] = ()) -> bool:
    """Whether a portmapper named a port, of one of these programs if any are given."""
    rows = answers_about(registrations, programs) if programs else registrations
    return bool((rows["port"][rows.valid("port")] > 0).any())


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
}
