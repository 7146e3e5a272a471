"""Rules: what is wrong, on which host, and how sure. One rule a file, found by listing this package.

A rule's file opens with its documentation in fixed sections, names itself (`RULE`) and holds `check`, whose parameters
are the tables and facts (facts.py) that it looks at; keyword-only ones are thresholds, which settings may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nfsrpc.rules.catalogue import Check

    RULES: dict[str, Check]


def __getattr__(name: str) -> dict[str, Check]:
    """RULES, by identifier, loaded when first asked for: to read a finding nobody needs the rules."""
    if name != "RULES":
        raise AttributeError(name)
    from nfsrpc.rules.catalogue import rules

    return rules()
