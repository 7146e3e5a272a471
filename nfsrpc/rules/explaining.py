"""Which fault explains which: a cause explains an effect on the same hosts at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nfsrpc.rules.facts import SECOND
from nfsrpc.rules.finding import Finding

STALLED = ("LCK001", "LCK002", "LCK007", "RPC004")
DENIED = (*STALLED, "LCK004")

# cause -> the rules whose findings it explains, where they concern the same hosts at the same time.
EXPLAINS: Mapping[str, tuple[str, ...]] = {
    "REG001": (*DENIED, "LCK008", "REG006"),
    "REG002": ("REG006",),
    "REG003": (*STALLED, "NET002"),
    "REG004": ("REG001", "REG002", "REG003", "REG008", *DENIED),
    "REG005": (*DENIED, "REG003", "MON004", "RPC005", "NET001", "NET002"),
    "REG006": DENIED,
    "REG007": (*DENIED, "NET002", "MON003"),
    "REG008": ("RPC005", "NET002", "MNT001"),
    "MON001": (*DENIED,),
    "MON002": (*DENIED,),
    "MON003": (*DENIED, "LCK008", "MON002"),
    "MON005": ("LCK008", "LCK009", "LCK010"),
    "MON008": ("LCK005", "LCK008", "LCK009"),
    "LCK008": ("LCK010", "LCK011"),
    "LCK010": ("LCK011", "CBK001", "NET001", "NET003"),
    "LCK012": ("LCK006", "LCK010", "LCK011"),
    "LCK014": ("LCK008", "LCK009", "MON005"),
    "CBK001": ("NET001", "NET002", "NET003", "REG003", "REG005", "LCK003", "LCK010", "LCK011", "CBK003", "RPC005"),
    "CBK002": ("LCK003", "LCK011"),
    "CBK003": ("LCK003", "LCK011"),
    "NET001": (*STALLED, "RPC005", "MON004", "REG005", "NET003"),
    "NET002": (*STALLED, "RPC005", "MON004", "REG005"),
    "NET003": (*STALLED, "RPC005"),
    "NET004": (*STALLED, "RPC005"),
    "NET005": (*STALLED, "RPC005", "REG005"),
    "NET007": (*STALLED, "RPC005", "MON002"),
    "RPC001": (*STALLED, "RPC005"),
    "RPC002": ("LCK006", "LCK007", "NFS001"),
    "RPC004": ("LCK001", "LCK002", "LCK007"),
    "RPC005": ("NFS001",),
    "LCK001": ("LCK002", "LCK007"),
    "LCK002": ("LCK007",),
    "LCK003": ("LCK011",),
    "LCK004": ("LCK002",),
    "LCK006": ("NFS001",),
}
# An effect may last so long after its cause was last seen: resends and polls come a minute later.
AFTERMATH_S = 130.0
BEFORE_S = 10.0


def explained(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, each with the rules whose findings it explains, at first or at second hand."""
    return [replace(cause, explains=tuple(sorted(effects_of(cause, findings)))) for cause in findings]


def effects_of(cause: Finding, findings: Iterable[Finding]) -> set[str]:
    left, reached = list(findings), [cause]
    for reason in reached:
        effects = [effect for effect in left if effect is not cause and explains(reason, effect)]
        left = [effect for effect in left if effect not in effects]
        reached += effects
    return {effect.rule for effect in reached[1:]}


def explains(cause: Finding, effect: Finding) -> bool:
    if effect.rule not in EXPLAINS.get(cause.rule, ()) or cause.severity == "info":
        return False
    return concerned_alike(cause, effect) and at_one_time(cause, effect)


def concerned_alike(cause: Finding, effect: Finding) -> bool:
    """The same host, or one's host is among those whom the other hurts; without a host the same clients."""
    if cause.host is None or effect.host is None:
        return bool(parties(cause) & parties(effect))
    return cause.host == effect.host or cause.host in effect.clients or effect.host in cause.clients


def parties(finding: Finding) -> set[str]:
    return {*finding.clients, finding.host or ""} - {""}


def at_one_time(cause: Finding, effect: Finding) -> bool:
    if cause.first is None or cause.last is None or effect.first is None or effect.last is None:
        return True
    begins, ends = cause.first - BEFORE_S * SECOND, cause.last + AFTERMATH_S * SECOND
    return effect.last >= begins and effect.first <= ends
