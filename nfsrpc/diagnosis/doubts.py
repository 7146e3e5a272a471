"""Findings of which something makes doubtful what they rest on: likely at most, whatever the rule says."""

from __future__ import annotations

from collections.abc import Sequence

from nfsrpc.diagnosis import damaged_frames, lost_replies, seen_elsewhere, unread_files
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Finding


def doubted(findings: Sequence[Finding], inputs: Inputs) -> list[Finding]:
    """The findings in their order, each as certain as it can be."""
    for reason in (damaged_frames, unread_files, seen_elsewhere, lost_replies):
        findings = reason.doubted(findings, inputs)
    return list(findings)
