"""The catalogue: every rule's file, found by listing the folders of nfsrpc/rules/ once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from inspect import cleandoc
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, NamedTuple

import nfsrpc.rules
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.findings.finding import Answer, LogKind, Rule

# The sections of a rule's documentation, in their order.
SECTIONS = ("Sees", "Why it matters", "Not flagged when", "How to confirm", "How to fix", "References")
PARAMETERS = "Parameters"  # one more where a rule has thresholds: one line "name: meaning" per threshold
UNDOCUMENTED = f"(the section {PARAMETERS} of the rule's file does not say)"
HEADING = rf"(?m)^({'|'.join((*SECTIONS, PARAMETERS))})$"


class Check(NamedTuple):
    """A rule as its file declares it."""

    rule: Rule
    check: Callable[..., Iterable[Answer]]
    doc: str  # as it stands in the file
    parameters: tuple[str, ...]  # the tables and facts that it looks at
    thresholds: Mapping[str, Any]  # names of keyword parameters with their defaults
    suspected: Callable[[Signs], Suspicion | None] | None = None  # what speaks for it where only symptoms are seen

    @property
    def summary(self) -> str:
        return cleandoc(self.doc).partition("\n")[0]

    @property
    def sections(self) -> dict[str, str]:
        """The text under each heading of the documentation."""
        return {title: text for title, text in self._parts.items() if title != PARAMETERS}

    @property
    def meanings(self) -> dict[str, str]:
        """The meaning of each threshold, from the documentation; UNDOCUMENTED where it has none."""
        lines = self._parts.get(PARAMETERS, "").splitlines()
        documented = {name: meaning.strip() for name, _, meaning in (line.partition(":") for line in lines)}
        return dict.fromkeys(self.thresholds, UNDOCUMENTED) | documented

    @property
    def _parts(self) -> dict[str, str]:
        parts = re.split(HEADING, cleandoc(self.doc))
        return {title: cleandoc(text) for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def declared(module: ModuleType) -> Check:
    code = module.check.__code__  # of which inspect.signature would make objects, 12 µs per rule
    return Check(
        rule=module.RULE,
        check=module.check,
        doc=module.__doc__ or "",
        parameters=code.co_varnames[: code.co_argcount],
        thresholds=module.check.__kwdefaults__ or {},
        suspected=getattr(module, "suspected", None),
    )


@cache
def rules() -> dict[str, Check]:
    """The rules by identifier, in order."""
    package = nfsrpc.rules
    found = walk_packages(package.__path__, f"{package.__name__}.")
    modules = [import_module(module.name) for module in found if not module.ispkg]
    checks = [declared(module) for module in modules if hasattr(module, "RULE")]
    return {check.rule.id: check for check in sorted(checks, key=lambda check: check.rule.id)}


def head(rule: str) -> Rule:
    """The head of a rule's file; of an identifier that no rule has, an empty one."""
    known = rules().get(rule)
    return known.rule if known else Rule(rule, rule, "info")


@cache
def candidates() -> dict[str, tuple[str, ...]]:
    """For each rule that explains others, the rules whose findings its own may explain."""
    return {rule: check.rule.explains for rule, check in rules().items() if check.rule.explains}


@cache
def accounting_for(kind: LogKind) -> tuple[str, ...]:
    """The rules whose findings account for lines of this kind in a kernel log."""
    return tuple(rule for rule, check in rules().items() if kind in check.rule.log)


def chosen(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> list[Check]:
    """The rules whose identifier or name begins with one of `select` (nothing: all) and with none of `ignore`."""
    prefixes, excluded = tuple(filter(None, select)), tuple(filter(None, ignore))
    return [
        check
        for check in rules().values()
        if (not prefixes or matches(check.rule, prefixes)) and not matches(check.rule, excluded)
    ]


def matches(rule: Rule, beginnings: tuple[str, ...]) -> bool:
    return rule.id.startswith(tuple(text.upper() for text in beginnings)) or rule.name.startswith(beginnings)


def find(name: str) -> Check:
    """A rule by its identifier or its name. Raises KeyError."""
    for check in rules().values():
        if name.upper() == check.rule.id or name.lower() == check.rule.name:
            return check
    raise KeyError(name)
