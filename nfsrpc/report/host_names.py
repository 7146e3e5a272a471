"""Hosts by their names: `10.1.84.41 (cl1)` where captures show what a host is called.

A name is what the user calls a host (`GivenNames`), else what it calls itself: machinename, caller_name, my_name
(`hosts.names`). It stands behind the first mention of an address in a text; commands and lines of kernel logs stay as
they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from nfsrpc.findings.command import HOST_NAME
from nfsrpc.findings.finding import Diagnosis, Finding, Verdict
from nfsrpc.printable import clean

if TYPE_CHECKING:
    from nfsrpc.tables import Tables

HostNames: TypeAlias = Mapping[str, str]  # address -> name

LONGEST = 64  # of a host's name with Linux (__NEW_UTS_LEN), and what a machinename in a credential has room for
# An address that is no part of a name, a path or an owner (0@10.1.84.41, 10.1.84.41.pcap).
ADDRESS = re.compile(
    r"(?<![\w.:@/%(-])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]*[0-9A-Fa-f])(?![\w@/%])(?!\.\w)"
)
# An owner of a lock, in any text.
OWNER = re.compile(r"\b\d{1,10}@[\w.:-]+")
OWNER_MEANS = "svid@name: a number that the client gives each owner (on Linux no process id), and its caller_name"


class GivenNames:
    """Names of hosts that the user has given, by address."""

    names: ClassVar[dict[str, str]] = {}

    @classmethod
    def add(cls, address: str, names: Iterable[str]) -> None:
        """Adds the shortest of some names. Raises ValueError for an address that is none.

        A loopback is another host's in each capture, so it gets no name; nor does anything that cannot be one.
        """
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            raise ValueError(f"{clean(address)} is no address") from None
        valid = [name for name in names if is_name(name)]
        if valid and not parsed.is_loopback:
            cls.names[str(parsed)] = shortest(valid)


def host_names(tables: Tables) -> HostNames:
    """The name of each host, by each of its addresses."""
    found: dict[str, str] = dict(GivenNames.names)
    for row in tables["hosts"].rows():
        addresses = (row.host, *(row.addresses or ()))
        given = [GivenNames.names[address] for address in addresses if address in GivenNames.names]
        names = given or [name for name in row.names or () if is_name(name)]
        if names:
            found |= dict.fromkeys(addresses, shortest(names))
    return found


def shortest(names: Iterable[str]) -> str:
    return min(names, key=lambda name: (len(name), name))


def is_name(text: str) -> bool:
    """Whether a text names one host: a valid host name, no address, and not what every host calls itself."""
    if len(text) > LONGEST or not HOST_NAME.fullmatch(text) or text.partition(".")[0].lower() == "localhost":
        return False
    try:
        ip_address(text)
    except ValueError:
        return True
    return False


def named_host(host: str, names: HostNames) -> str:
    """
    >>> named_host("10.1.84.41", {"10.1.84.41": "cl1"}), named_host("10.1.84.42", {})
    ('10.1.84.41 (cl1)', '10.1.84.42')
    """
    return f"{host} ({names[host]})" if host in names else host


def with_names(text: str, names: HostNames) -> str:
    """A text with the name of each host behind the first mention of its address.

    >>> with_names("10.1.84.41 waits; 10.1.84.41 retries as 0@10.1.84.41.", {"10.1.84.41": "cl1"})
    '10.1.84.41 (cl1) waits; 10.1.84.41 retries as 0@10.1.84.41.'
    """
    if not names:
        return text
    seen: set[str] = set()

    def named(match: re.Match[str]) -> str:
        address = match[0]
        if address in seen or address not in names:
            return address
        seen.add(address)
        is_named = text.startswith(" (", match.end())
        return address if is_named else named_host(address, names)

    return ADDRESS.sub(named, text)


def diagnosis_with_names(diagnosis: Diagnosis, names: HostNames) -> Diagnosis:
    """A diagnosis whose sentences have the names of hosts; addresses in fields stay as they are."""
    if not names:
        return diagnosis
    return replace(
        diagnosis,
        verdict=verdict_with_names(diagnosis.verdict, names),
        findings=tuple(finding_with_names(each, names) for each in diagnosis.findings),
        cannot_tell=tuple(each._replace(why=with_names(each.why, names)) for each in diagnosis.cannot_tell),
        clear=tuple(each._replace(evidence=with_names(each.evidence, names)) for each in diagnosis.clear),
        hypotheses=tuple(
            each._replace(supports=with_names(each.supports, names), against=with_names(each.against, names))
            for each in diagnosis.hypotheses
        ),
    )


def verdict_with_names(verdict: Verdict, names: HostNames) -> Verdict:
    causes = tuple(cause._replace(summary=with_names(cause.summary, names)) for cause in verdict.causes)
    return verdict._replace(summary=with_names(verdict.summary, names), causes=causes)


def finding_with_names(finding: Finding, names: HostNames) -> Finding:
    return replace(
        finding,
        title=with_names(finding.title, names),
        explanation=with_names(finding.explanation, names),
        evidence=tuple(proof._replace(note=with_names(proof.note, names)) for proof in finding.evidence),
    )
