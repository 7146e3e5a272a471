"""The proof of a fault can only be seen elsewhere.

Sees
    A finding that is only likely, or a symptom without its cause, whose proof passes where nothing was captured: most
    often the server's loopback, over which its lockd asks its own portmapper and statd.

Why it matters
    Several faults look the same in this capture. One more capture separates them.

Not flagged when
    The cause is proven.

How to confirm
    Run the command of the finding on that host while the fault happens again.

How to fix
    Nothing to fix: capture there, and give both captures to nfsrpc together.

References
    tcpdump(8); docs of the rules that name this one.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.findings.finding import Answer, Finding, Need, Rule

RULE = Rule("CAP005", "decisive-vantage-missing", "info")


def check(faults: tuple[Finding, ...], unexplained: tuple[Finding, ...]) -> Iterator[Answer]:
    missing: dict[Need, list[Finding]] = {}
    for found in unexplained:
        if found.needs is not None:
            missing.setdefault(found.needs, []).append(found)
    for need, concerned in missing.items():
        yield finding(need, concerned)
    if not missing:
        yield RULE.clear("what was found is proven where it was captured" if faults else "nothing is left to be proven")


def finding(need: Need, concerned: list[Finding]) -> Finding:
    rules = ", ".join(dict.fromkeys(found.rule for found in concerned))
    return RULE.finding(
        host=concerned[0].host,
        title=f"the decisive vantage is missing: {need.vantage}",
        explanation=f"Only frames of that vantage prove or refute {rules}. Capture them while the fault happens again.",
        clients=concerned[0].clients,
        remedy=(need.command,),
        needs=need,
    )
