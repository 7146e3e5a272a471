"""What a rule answers, and what the answers come to: plain data, made by the rules and read by the reports.

A rule answers one of findings, `Clear` (it passes, and on what evidence) or `CannotTell` (what is missing, and the
command that would show it). Silence is not a pass. `Diagnosis` is all answers together with the one verdict.
Times are ns since the epoch; a capture is the index of the file given, a frame is counted from 1 in that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Required, TypeAlias, TypedDict, Unpack

from nfsrpc.printable import clean
from nfsrpc.rules.command import Command

Severity: TypeAlias = Literal["error", "warning", "info"]
Certainty: TypeAlias = Literal["certain", "likely"]  # the proof is in the capture; or a vantage, or intact frame, lacks
State: TypeAlias = Literal["fault", "healthy", "cannot-tell"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Evidence(NamedTuple):
    """A frame that proves something, and what it proves."""

    capture: int
    frame: int
    note: str


@dataclass(frozen=True, slots=True)
class Need:
    """A vantage that is missing, and the command that captures it."""

    vantage: str  # "loopback of the server 10.1.84.31"
    command: Command

    def __post_init__(self) -> None:
        check_commands(self.command)


def check_commands(*lines: Command) -> None:
    """Raises TypeError for a line that was not built from a template: it may hold anything."""
    if not all(isinstance(line, Command) for line in lines):
        raise TypeError(f"not built by nfsrpc.rules.command: {lines!r}")


class Hypothesis(NamedTuple):
    """One of the causes that the capture cannot tell apart."""

    rule: str
    name: str
    host: str | None  # the host to fix, should it be true
    supports: str  # what speaks for it
    against: str  # what speaks against it, "" when nothing does


@dataclass(frozen=True)
class Finding:
    """What a rule found: the host to fix, who suffers, the frames that prove it, commands that fix and that verify it.

    `str()` is the whole of it as text, with all but the commands as comments to a shell. Times are ns since the epoch.

    >>> from nfsrpc import read
    >>> finding = read("captures/server-without-statd/nfssrv-any.pcap").diagnosis.findings[0]
    >>> finding.rule, finding.severity, finding.certainty, finding.host, finding.clients
    ('REG001', 'error', 'certain', '10.1.84.31', ('10.1.84.41',))
    >>> [proof.frame for proof in finding.evidence][:2], str(finding.remedy[0])
    ([107, 109], 'systemctl enable --now rpcbind rpc-statd')
    """

    rule: str
    name: str
    severity: Severity
    certainty: Certainty
    host: str | None  # the host to fix
    title: str
    explanation: str
    clients: tuple[str, ...] = ()  # who suffers
    files: tuple[str, ...] = ()
    count: int = 1
    first: int | None = None
    last: int | None = None
    evidence: tuple[Evidence, ...] = ()
    remedy: tuple[Command, ...] = ()
    verify: tuple[Command, ...] = ()
    explains: tuple[str, ...] = ()  # rules whose findings this one explains: filled in by the verdict
    needs: Need | None = None  # what would make a likely finding certain
    wait_s: float | None = None  # the longest that anyone waited for this

    def __post_init__(self) -> None:
        check_commands(*self.remedy, *self.verify)

    def __str__(self) -> str:
        from nfsrpc.rules.shown import finding_text

        return finding_text(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from nfsrpc.rules.shown import finding_html

        return finding_html(self)


class LogLine(NamedTuple):
    """A line to expect in the kernel log of a host."""

    time: int
    host: str  # whose log
    about: str  # the host that the line names
    text: str
    rules: tuple[str, ...]  # those that find what it is about

    def belongs_to(self, finding: Finding) -> bool:
        return finding.rule in self.rules and bool({self.host, self.about} & {finding.host, *finding.clients})


class Clear(NamedTuple):
    """The rule passes, on this evidence."""

    rule: str
    evidence: str


class CannotTell(NamedTuple):
    """The capture does not hold what the rule would have to see."""

    rule: str
    why: str
    needs: Need | None = None


class Broken(NamedTuple):
    """The rule raised: a bug of the rule, which stops no other."""

    rule: str
    error: str
    traceback: str = ""


Answer: TypeAlias = Finding | Clear | CannotTell | Broken


class Fields(TypedDict, total=False):
    """What a rule says of a finding; what is left out is as in Finding."""

    severity: Severity
    certainty: Certainty
    host: Required[str | None]
    title: Required[str]
    explanation: Required[str]
    clients: tuple[str, ...]
    files: tuple[str, ...]
    count: int
    first: int | None
    last: int | None
    evidence: tuple[Evidence, ...]
    remedy: tuple[Command, ...]
    verify: tuple[Command, ...]
    needs: Need | None
    wait_s: float | None


class Rule(NamedTuple):
    """The head of a rule's file: identifier, name (the file's, in kebab case) and severity."""

    id: str
    name: str
    severity: Severity

    def finding(self, **fields: Unpack[Fields]) -> Finding:
        """A finding of this rule, certain and of its severity unless told otherwise."""
        told: Fields = {"severity": self.severity, "certainty": "certain", **fields}
        return Finding(rule=self.id, name=self.name, **told)

    def clear(self, evidence: str) -> Clear:
        return Clear(self.id, evidence)

    def cannot_tell(self, why: str, needs: Need | None = None) -> CannotTell:
        return CannotTell(self.id, why, needs)


class Verdict(NamedTuple):
    """What it comes to. Of state `fault` the rule is the one whose finding explains the others.

    >>> from nfsrpc import read
    >>> verdict = read("captures/one-sided/onesided-Qin-srv-eth0.pcap").verdict
    >>> verdict.state, verdict.rule
    ('cannot-tell', None)
    """

    rule: str | None  # of the finding that explains the others; null unless the state is fault
    state: State
    summary: str  # one sentence: host, what, who is hurt, how long

    def __str__(self) -> str:
        return clean(f"{self.state.replace('-', ' ').upper()} {self.rule or ''}".rstrip() + f": {self.summary}")

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from nfsrpc.rules.shown import verdict_html

        return verdict_html(self)


class Settings(NamedTuple):
    """Which rules were asked, and with which thresholds: what was changed, and nothing where all is as it comes."""

    select: Sequence[str] = ()  # beginnings of identifiers or names
    ignore: Sequence[str] = ()
    thresholds: Mapping[str, Mapping[str, Any]] = {}  # rule -> threshold -> value
    file: str | None = None  # that says so, at least in part

    def __bool__(self) -> bool:
        return any(self)


DEFAULTS = Settings()


@dataclass(frozen=True)
class Diagnosis:
    """All answers of the rules.

    >>> from nfsrpc import read
    >>> diagnosis = read("captures/contended/nfssrv-any.pcap").diagnosis
    >>> diagnosis.verdict.state, [finding.rule for finding in diagnosis.findings]
    ('healthy', ['LCK011'])
    >>> "REG001" in [answer.rule for answer in diagnosis.clear]
    True
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()  # the verdict's first, then by severity
    cannot_tell: tuple[CannotTell, ...] = ()
    clear: tuple[Clear, ...] = ()
    broken: tuple[Broken, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()  # most probable first, where the decisive vantage is missing
    log: tuple[LogLine, ...] = ()  # lines to expect in the hosts' kernel logs, in order
    settings: Settings = DEFAULTS

    def _repr_html_(self) -> str:
        from nfsrpc.rules.shown import diagnosis_html

        return diagnosis_html(self)
