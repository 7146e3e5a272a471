"""The catalogue: every rule's file in this package, found by listing it once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from inspect import Parameter, cleandoc, signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, NamedTuple

import nfsrpc.rules
from nfsrpc.rules.finding import Answer, Rule

# The sections of a rule's documentation, in their order.
SECTIONS = ("Sees", "Why it hurts", "Not flagged when", "How to confirm", "How to fix", "References")
PARAMETERS = "Parameters"  # one more where a rule has thresholds: "name: meaning" a line
HEADING = re.compile(rf"^({'|'.join((*SECTIONS, PARAMETERS))})$", re.MULTILINE)


class Check(NamedTuple):
    """A rule as its file declares it."""

    rule: Rule
    check: Callable[..., Iterable[Answer]]
    doc: str
    parameters: tuple[str, ...]  # the tables and facts that it looks at
    thresholds: Mapping[str, Any]  # names of keyword parameters with their defaults

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    @property
    def sections(self) -> dict[str, str]:
        """The text under each heading of the documentation."""
        return {title: text for title, text in self._parts.items() if title != PARAMETERS}

    @property
    def meanings(self) -> dict[str, str]:
        """What each threshold is."""
        lines = self._parts.get(PARAMETERS, "").splitlines()
        return {name: meaning.strip() for name, _, meaning in (line.partition(":") for line in lines)}

    @property
    def _parts(self) -> dict[str, str]:
        parts = HEADING.split(self.doc)
        return {title: cleandoc(text) for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def declared(module: ModuleType) -> Check:
    parameters = signature(module.check).parameters.values()
    return Check(
        rule=module.RULE,
        check=module.check,
        doc=cleandoc(module.__doc__ or ""),
        parameters=tuple(known.name for known in parameters if known.kind is not Parameter.KEYWORD_ONLY),
        thresholds={known.name: known.default for known in parameters if known.kind is Parameter.KEYWORD_ONLY},
    )


@cache
def rules() -> dict[str, Check]:
    """The rules by identifier, in order."""
    package = nfsrpc.rules
    modules = [import_module(f"{package.__name__}.{found.name}") for found in iter_modules(package.__path__)]
    checks = [declared(module) for module in modules if hasattr(module, "RULE")]
    return {check.rule.id: check for check in sorted(checks, key=lambda check: check.rule.id)}


def chosen(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> list[Check]:
    """The rules whose identifier or name begins with one of `select` (nothing: all) and with none of `ignore`."""
    wanted, unwanted = tuple(filter(None, select)), tuple(filter(None, ignore))
    return [
        check
        for check in rules().values()
        if (not wanted or matches(check.rule, wanted)) and not matches(check.rule, unwanted)
    ]


def matches(rule: Rule, beginnings: tuple[str, ...]) -> bool:
    return rule.id.startswith(tuple(text.upper() for text in beginnings)) or rule.name.startswith(beginnings)


def find(name: str) -> Check:
    """A rule by its identifier or its name. Raises KeyError."""
    for check in rules().values():
        if name.upper() == check.rule.id or name.lower() == check.rule.name:
            return check
    raise KeyError(name)
