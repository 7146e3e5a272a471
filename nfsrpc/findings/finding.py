"""The answers of rules, and the diagnosis that they add up to: plain data, made by the rules and read by the reports.

A rule answers one of findings, `Clear` (it passes, and on what evidence) or `CannotTell` (what is missing, and the
command that would show it). Silence is not a pass. `Diagnosis` is all answers together with the one verdict.
Times are ns since the epoch; a capture is the index of the file given, a frame is counted from 1 in that file.
A finding is known by its `id` within one diagnosis, and other findings refer to it by that. Its `host` is an address
alone: where that is a loopback address whose owner is not known, `host_capture` says in which file it was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from nfsrpc.findings.command import IN_CAPTURE, Command
from nfsrpc.findings.shown import ShownFinding, failures_html, findings_html, verdict_html
from nfsrpc.printable import clean
from nfsrpc.wording import AT_LEAST, AtLeast, capitalized

if TYPE_CHECKING:
    from typing import Required, TypedDict, Unpack

# Of a finding that counts what is listed, where not all is.
UNLISTED = "Not all was listed, for lack of room: there may be more, and other clients affected."

Severity: TypeAlias = Literal["error", "warning", "info"]
Certainty: TypeAlias = Literal["certain", "likely"]  # the proof is in the capture; or a vantage, or intact frame, lacks
State: TypeAlias = Literal["fault", "healthy", "cannot-tell"]
Lack: TypeAlias = Literal["capture", "time", "room"]  # for lack of what a rule cannot tell
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
    """Whether a property in a rule's head (`When`) holds of a finding of this certainty."""
    return when in ("always", certainty)


def split_host(host: str | None) -> tuple[str | None, str | None]:
    """The address of a host as the tables name it, and the capture that a loopback address belongs to.

    >>> split_host("127.0.0.1 of node1-lo.pcap"), split_host("10.1.84.31"), split_host(None)
    (('127.0.0.1', 'node1-lo.pcap'), ('10.1.84.31', None), (None, None))
    """
    address, _, capture = (host or "").partition(IN_CAPTURE)
    return address or None, capture or None


def in_capture(address: str, capture: str | None) -> str:
    """The host as the tables name it."""
    return f"{address}{IN_CAPTURE}{capture}" if capture else address


class Evidence(NamedTuple):
    """A frame that proves something, what it proves, and when it was captured, as far as known."""

    capture: int
    frame: int
    note: str
    time: int | None = None  # filled in by the report

    @classmethod
    def of(cls, capture: int, frame: int | None, note: str) -> Evidence:
        """The evidence of a frame; raises ValueError where the row lacks it, which its selection excludes."""
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
    finding: str = ""  # the identifier of the finding that it would explain


@dataclass(frozen=True)
class Finding(ShownFinding):
    """A fault that a rule found: host to fix, affected clients, frames that prove it, commands that fix and verify it.

    `str()` is the whole of it as text, with all but the commands as comments to a shell. Times are ns since the epoch.

    >>> from nfsrpc import read
    >>> finding = read("captures/server-without-statd/nfssrv-any.pcap").diagnosis.findings[0]
    >>> finding.id, finding.severity, finding.certainty, finding.host, finding.clients
    ('REG001@10.1.84.31', 'error', 'certain', '10.1.84.31', ('10.1.84.41',))
    >>> finding.explains
    ('LCK002@10.1.84.31',)
    >>> [proof.frame for proof in finding.evidence][:2], str(finding.remedy[0])
    ([107, 109], 'systemctl unmask rpc-statd; systemctl restart rpc-statd')
    """

    rule: str
    name: str
    severity: Severity
    certainty: Certainty
    host: str | None  # the address of the host to fix
    title: str
    explanation: str
    clients: tuple[str, ...] = ()  # affected
    files: tuple[str, ...] = ()
    count: int = 1
    first: int | None = None
    last: int | None = None
    evidence: tuple[Evidence, ...] = ()
    remedy: tuple[Command, ...] = ()
    verify: tuple[Command, ...] = ()
    explains: tuple[str, ...] = ()  # identifiers of the findings that this one explains: filled in by the verdict
    needs: Need | None = None  # what would make a likely finding certain
    wait_s: float | None = None  # the longest wait of a client for this
    host_capture: str | None = None  # the capture that a loopback address belongs to, where its owner is not known
    number: int = 1  # among the findings of this rule about hosts of this address
    says_never: bool = False  # it says that something never came, which a capture by another clock may have

    # IPython takes the class's own __repr__, which the decorator makes, before what it inherits.
    _repr_pretty_ = ShownFinding._repr_pretty_

    def __post_init__(self) -> None:
        check_commands(*self.remedy, *self.verify)

    @property
    def id(self) -> str:
        """The identifier of the finding within its diagnosis: REG001@10.1.84.31; MON005@10.1.84.31#2 on repetition."""
        where = f"@{self.host}" if self.host else ""
        return f"{self.rule}{where}{f'#{self.number}' if self.number > 1 else ''}"

    @property
    def at_least(self) -> bool:
        """Whether there was no room to list all that the finding counts: there may be more, and more clients."""
        return isinstance(self.count, AtLeast)

    def doubted(self, why: str) -> Finding:
        """The finding as likely at most, with the reason; what is likely anyway stays as it is."""
        if self.certainty != "certain":
            return self
        return replace(self, certainty="likely", explanation=f"{self.explanation} {why}")

    @property
    def table_host(self) -> str | None:
        """The host as the tables name it: a loopback address with its capture."""
        return self.host and in_capture(self.host, self.host_capture)

    @property
    def parties(self) -> frozenset[str]:
        """The host and the affected clients, as the tables name them."""
        return frozenset({self.table_host or "", *self.clients} - {""})


class LogLine(NamedTuple):
    """A line to expect in the kernel log of a host."""

    time: int
    host: str  # whose log
    about: str  # the host that the line names
    text: str
    rules: tuple[str, ...]  # those that find what it is about

    def belongs_to(self, finding: Finding) -> bool:
        """Whether a finding is about both hosts of the line; about one of them, where it names no other."""
        parties, named = finding.parties, {self.host, self.about}
        return finding.rule in self.rules and (named <= parties or (len(parties) == 1 and bool(named & parties)))


class Clear(NamedTuple):
    """The rule passes, on this evidence."""

    rule: str
    evidence: str


class CannotTell(NamedTuple):
    """The capture does not hold what the rule would have to see, or the rule did not look at all of it."""

    rule: str
    why: str
    needs: Need | None = None
    lacks: Lack = "capture"  # for lack of time it did not run to its end; of room it may have further findings


class Broken(NamedTuple):
    """The rule raised: a bug of the rule, which stops no other."""

    rule: str
    error: str
    traceback: str = ""


Answer: TypeAlias = Finding | Clear | CannotTell | Broken


def lacking(what: Lack, answers: Iterable[Answer]) -> set[str]:
    """The rules that cannot tell for lack of this."""
    return {answer.rule for answer in answers if isinstance(answer, CannotTell) and answer.lacks == what}


if TYPE_CHECKING:

    class FindingFields(TypedDict, total=False):
        """The fields that a rule sets of a finding; the others have the defaults of Finding."""

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
        says_never: bool


class Rule(NamedTuple):
    """The head of a rule's file: identifier, name (the file's, in kebab case), severity, and what is known about it."""

    id: str
    name: str
    severity: Severity
    explains: tuple[str, ...] = ()  # rules whose findings its own may cause, on the same hosts at the same time
    timed: When = "never"  # its findings conclude from durations or order, which a clock that is set confuses
    log: tuple[LogKind, ...] = ()  # lines of kernel logs that its findings account for
    asks_causes: When = "never"  # its findings are symptoms: the competing causes are listed
    judges: str = ""  # what the capture must hold for the rule to pass (nfsrpc/facts/subjects.py)
    names_holder: bool = False  # its findings name who held a lock, or need the capture that would show it
    compares_holders: bool = False  # it passes on what clients hold against each other, which one clock has to show
    says_never: bool = False  # its findings say so by default: something never came, to the end of the capture
    passes: str = ""  # on what evidence it passes where that was captured and `check` answers nothing

    def finding(self, **fields: Unpack[FindingFields]) -> Finding:
        """A finding of this rule, certain and of its severity by default. Its host is named as the tables name it."""
        values: FindingFields = {
            "severity": self.severity,
            "certainty": "certain",
            "says_never": self.says_never,
            **fields,
        }
        values["host"], capture = split_host(values["host"])
        if isinstance(values.get("count"), AtLeast):
            said = values["explanation"]
            values["explanation"] = f"{capitalized(said) if said.startswith(AT_LEAST) else said} {UNLISTED}"
        return Finding(rule=self.id, name=self.name, **values, host_capture=capture)

    def clear(self, evidence: str) -> Clear:
        return Clear(self.id, evidence)

    def cannot_tell(self, why: str, needs: Need | None = None, lacks: Lack = "capture") -> CannotTell:
        return CannotTell(self.id, why, needs, lacks)


class Cause(NamedTuple):
    """A fault that no other finding explains."""

    rule: str
    host: str | None  # the address of the host to fix
    certainty: Certainty
    summary: str  # one sentence: host, what is wrong, who is affected, for how long
    finding: str  # the identifier of its finding


class Verdict(NamedTuple):
    """The conclusion of a diagnosis: a fault with its causes, `healthy`, or `cannot-tell` with the reason.

    There is one cause per fault that no other finding explains; `rule` is that of the first one.

    >>> from nfsrpc import read
    >>> verdict = read("captures/one-sided/onesided-Qin-srv-eth0.pcap").verdict
    >>> verdict.state, verdict.rule, verdict.causes
    ('cannot-tell', None, ())
    >>> verdict = read("captures/server-without-statd/nfssrv-any.pcap").verdict
    >>> verdict.rule, verdict.hosts, [(cause.rule, cause.certainty, cause.finding) for cause in verdict.causes]
    ('REG001', ('10.1.84.31',), [('REG001', 'certain', 'REG001@10.1.84.31')])
    """

    rule: str | None  # of the first cause; None unless the state is fault
    state: State
    summary: str  # of one cause its summary; of several how many there are, on which hosts
    causes: tuple[Cause, ...] = ()  # the gravest first

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts to fix, each once, in the order of the causes."""
        return tuple(dict.fromkeys(cause.host for cause in self.causes if cause.host))

    def __str__(self) -> str:
        return clean(f"{self.state.replace('-', ' ').upper()} {self.rule or ''}".rstrip() + f": {self.summary}")

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        causes = [f"{cause.rule}, {cause.certainty}: {cause.summary}" for cause in self.causes]
        return verdict_html(self.state, self.rule if len(causes) == 1 else None, self.summary, causes)


class Settings(NamedTuple):
    """The settings of a diagnosis: selected rules and changed thresholds, empty where all are the defaults."""

    select: Sequence[str] = ()  # beginnings of identifiers or names
    ignore: Sequence[str] = ()
    thresholds: Mapping[str, Mapping[str, Any]] = {}  # rule -> threshold -> value
    file: str | None = None  # that says so, at least in part

    def __bool__(self) -> bool:
        return any(self)


DEFAULTS = Settings()


@dataclass(frozen=True)
class Diagnosis:
    """All answers of the rules, and the verdict that they come to.

    >>> from nfsrpc import read
    >>> diagnosis = read("captures/contended/nfssrv-any.pcap").diagnosis
    >>> diagnosis.verdict.state, [finding.rule for finding in diagnosis.findings]
    ('healthy', ['LCK011'])
    >>> "REG001" in [answer.rule for answer in diagnosis.clear]
    True
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()  # the causes in their order, then the others by severity
    cannot_tell: tuple[CannotTell, ...] = ()
    clear: tuple[Clear, ...] = ()  # of rules that lacked nothing
    broken: tuple[Broken, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()  # of each cause, most probable first, where the decisive vantage is missing
    log: tuple[LogLine, ...] = ()  # lines to expect in the hosts' kernel logs, in order
    settings: Settings = DEFAULTS
    off_the_wire: bool = False  # captures of loopbacks or without frames, which show no fault; locks pass between hosts

    @property
    def causes(self) -> tuple[Finding, ...]:
        """The findings that no other explains, in the order of `verdict.causes`.

        >>> from nfsrpc import read
        >>> [cause.id for cause in read("captures/statd-killed/nfssrv-any.pcap").diagnosis.causes]
        ['REG007@10.1.84.31']
        """
        by_id = {finding.id: finding for finding in self.findings}
        return tuple(by_id[cause.finding] for cause in self.verdict.causes if cause.finding in by_id)

    def _repr_html_(self) -> str:
        failed = [(rule.rule, rule.error) for rule in self.broken]
        return self.verdict._repr_html_() + findings_html(self.findings) + failures_html(failed)
