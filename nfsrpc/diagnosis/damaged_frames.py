"""Findings whose evidence is damaged: what those frames say may not be what was sent.

Frames with a wrong checksum never become evidence, and what may have been in them is undecided (core/src/checksum.rs).
Where checksums say nothing, as on a loopback, damage shows in a message that contradicts its declaration, or in a
time stamp that contradicts its neighbours': such a frame proves nothing for certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from nfsrpc.facts.basic import fact
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Finding
from nfsrpc.tables import Oddities

Frames: TypeAlias = Mapping[tuple[int, int], str]  # capture and number, and the kind of oddity

DAMAGE = (
    *("capture-fraction", "frame-time", "header-lost", "ip-header", "not-rpc", "record-mark"),
    *("xdr-bool", "xdr-enum", "xdr-items", "xdr-length", "xdr-short", "xdr-trailing", "xdr-union"),
)


@fact
def damaged_frames(oddities: Oddities) -> Frames:
    """The frames whose content or time stamp is contradictory, each with its kind of oddity."""
    rows = oddities.where(oddities["kind"].isin(DAMAGE)).rows()
    return {(row.capture, row.frame): row.kind for row in rows}


def doubted(findings: Iterable[Finding], inputs: Inputs) -> list[Finding]:
    """The findings; those with damaged evidence are at most likely, and their explanation says why."""
    return [doubtful(found, inputs.damaged_frames) for found in findings]


def doubtful(found: Finding, damaged: Frames) -> Finding:
    touched = [proof for proof in found.evidence if (proof.capture, proof.frame) in damaged]
    if not touched:
        return found
    frame, kind = touched[0].frame, damaged[touched[0].capture, touched[0].frame]
    return found.doubted(f"Frame {frame} of the evidence is damaged ({kind}): what it says is not certain.")
