"""A diagnosis of a capture that goes on: what has no answer may still get one, so nothing is final."""

from __future__ import annotations

from dataclasses import replace

from nfsrpc.findings.finding import Cause, Diagnosis, Finding

# Phrases of rules about a capture that has ended, and what is true until then.
FINAL = {
    "never answered": "not answered yet",
    "never acknowledged": "not acknowledged yet",
}


def so_far(diagnosis: Diagnosis) -> Diagnosis:
    """The diagnosis, in words that are true while the capture goes on."""
    verdict = diagnosis.verdict
    causes = tuple(map(cause_so_far, verdict.causes))
    return replace(
        diagnosis,
        verdict=verdict._replace(summary=open_ended(verdict.summary), causes=causes),
        findings=tuple(map(finding_so_far, diagnosis.findings)),
    )


def cause_so_far(cause: Cause) -> Cause:
    return cause._replace(summary=open_ended(cause.summary))


def finding_so_far(finding: Finding) -> Finding:
    notes = (proof.note for proof in finding.evidence)
    if not any(map(is_final, (finding.title, finding.explanation, *notes))):
        return finding
    return replace(
        finding,
        title=open_ended(finding.title),
        explanation=open_ended(finding.explanation),
        evidence=tuple(proof._replace(note=open_ended(proof.note)) for proof in finding.evidence),
    )


def is_final(text: str) -> bool:
    return any(phrase in text for phrase in FINAL)


def open_ended(text: str) -> str:
    """A text with the phrases for a capture that goes on.

    >>> open_ended("1 LOCK to 10.0.0.9 never answered")
    '1 LOCK to 10.0.0.9 not answered yet'
    """
    for final, meanwhile in FINAL.items():
        text = text.replace(final, meanwhile)
    return text
