"""What a rule answers, and what the answers come to: plain data, made by the rules and read by the reports.

A rule answers one of findings, `Clear` (it passes, and on what evidence) or `CannotTell` (what is missing, and the
command that would show it). Silence is not a pass. `Diagnosis` is all answers together with the one verdict.
Times are ns since the epoch; a capture is the index of the file given, a frame is counted from 1 in that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Required, TypeAlias, TypedDict, Unpack

from nfsrpc.findings.command import Command
from nfsrpc.findings.shown import ShownFinding, failures_html, findings_html, verdict_html
from nfsrpc.printable import clean

Severity: TypeAlias = Literal["error", "warning", "info"]
Certainty: TypeAlias = Literal["certain", "likely"]  # the proof is in the capture; or a vantage, or intact frame, lacks
State: TypeAlias = Literal["fault", "healthy", "cannot-tell"]
When: TypeAlias = Literal["always", "likely", "never"]  # of which findings of a rule something holds: by certainty
# Kinds of lines in kernel logs (diagnosis/kernel_log.py), by what the capture shows of their reason.
LogKind: TypeAlias = Literal[
    "lockd-silent",  # lockd: server X not responding, still trying; lockd: server X OK
    "never-sent",  # the same: lockd is not registered, so no request is sent
    "port-unreachable",  # the same: no connection to lockd's port
    "callback-silent",  # lockd: server Y not responding, timed out
    "unmonitored",  # lockd: cannot monitor Z
    "statd-refused",  # the same: the port of the host's own statd is closed
    "statd-silent",  # statd: server rpc.statd not responding, timed out: SM_MON was not answered
    "statd-silent-denied",  # the same: a lock was denied after a minute
    "nfs-silent",  # nfs: server X not responding
    "grace-period",  # NFSD: starting 90-second grace period
    "reclaim-failed",  # lockd: failed to reclaim lock
    "out-of-sync",  # VFS is out of sync with lock manager
]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


def holds(when: When, certainty: Certainty) -> bool:
    """Whether what a rule's head says holds of a finding of this certainty."""
    return when in ("always", certainty)


class Evidence(NamedTuple):
    """A frame that proves something, and what it proves."""

    capture: int
    frame: int
    note: str

    @classmethod
    def of(cls, capture: int, frame: int | None, note: str) -> Evidence:
        """Of a frame that a row may lack, and that this one has: it was chosen so. Raises ValueError else."""
        if frame is None:
            raise ValueError(f"no frame: {note}")
        return cls(capture, frame, note)


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
        raise TypeError(f"not built by nfsrpc.findings.command: {lines!r}")


class Hypothesis(NamedTuple):
    """One of the causes that the capture cannot tell apart."""

    rule: str
    name: str
    host: str | None  # the host to fix, should it be true
    supports: str  # what speaks for it
    against: str  # what speaks against it, "" when nothing does


@dataclass(frozen=True)
class Finding(ShownFinding):
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

    # IPython takes the class's own __repr__, which the decorator makes, before what it inherits.
    _repr_pretty_ = ShownFinding._repr_pretty_

    def __post_init__(self) -> None:
        check_commands(*self.remedy, *self.verify)


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
    """The head of a rule's file: identifier, name (the file's, in kebab case), severity, and what is known about it."""

    id: str
    name: str
    severity: Severity
    explains: tuple[str, ...] = ()  # rules whose findings its own may cause, on the same hosts at the same time
    timed: When = "never"  # its findings conclude from durations or order, which a clock that is set confuses
    log: tuple[LogKind, ...] = ()  # lines of kernel logs that its findings account for
    asks_causes: When = "never"  # its findings are symptoms: the competing causes are listed

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
        return verdict_html(self.state, self.rule, self.summary)


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
        failed = [(rule.rule, rule.error) for rule in self.broken]
        return self.verdict._repr_html_() + findings_html(self.findings) + failures_html(failed)
