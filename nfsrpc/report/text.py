"""The report for a terminal, read at 3 am: the verdict first, with its proof and its cure, then everything else.

    host to fix …    of a fleet: a table of hosts to fix, what its nodes cannot tell, and the one capture to make next
    FAULT, HEALTHY, CANNOT TELL   in one sentence: which host, what is wrong, who waited how long; of several faults
                     how many, and on which hosts
    Do first         where the capture cannot tell: the one command that captures what can
    Why … Explains   of each fault: affected clients, frames that prove it, commands that fix it, its effects
    Kernel           the lines of kernel logs that were given, and what explains them
    Also             findings that no fault explains
    Unknown          what cannot be known from the captures, and which capture would show it
    Settings         which rules were run, and with which thresholds, where that was changed
    Skipped          files that could not be read
    Passed           how many checks passed; with --verbose each with its evidence
    Capture          what was read, and what it lacks
    Traffic          one line per program

One fault fits one screen (`LINES`), several fit two: what has no room is named, and --verbose prints it. From `MANY`
faults on a table of them comes first, and each has its proof and remedy alone. Of many things the first are shown and
how many more there are (findings/bounds.py). Commands are never wrapped, so that they can be copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from nfsrpc.findings.bounds import PAGE, SCREEN, clipped, ends_of, first_of, omitted, shortened
from nfsrpc.findings.command import Command, harmless
from nfsrpc.findings.finding import CannotTell, Evidence, Finding, Hypothesis, LogLine, Need
from nfsrpc.printable import clean
from nfsrpc.report.captures import busiest, described, in_force, lacks, program_row, whose
from nfsrpc.report.contents import Fault, ProcedureTraffic, Report
from nfsrpc.report.fleet import HostToFix, Overview
from nfsrpc.report.host_names import OWNER_MEANS
from nfsrpc.report.needs import HEALTHY_SO_FAR, of_many_hosts, unknowns
from nfsrpc.report.proof import display_filters
from nfsrpc.report.terminal import PROSE, Paint, columns, cut, padded, painted, plain, width_of, wrap
from nfsrpc.rules import FAMILIES
from nfsrpc.wording import count, digits, named, span, time_of_day, times_of_day

MARGIN = 10  # labels stand in it
LINES = 40  # of a screen, which one fault fits
SCREENS = 2  # for several faults
MANY = 3  # faults that are listed in a table, and then shown without explanations
# Blocks that a screen does without where a fault leaves no room, in this order; never what a capture lacks. How many
# checks could not be judged stands behind those that passed.
EXPENDABLE = ("Traffic", "Unknown", "Capture", "Also")
JOINED = ("Passed", "Capture", "Traffic")  # with no empty line between them
WIDEST_PLACE = 24  # file and frame, in a column of their own
WORST = 12  # hosts to fix of a fleet, and UNKNOWN sentences on what its nodes cannot tell
UNKNOWN = 5
TERSE = 4  # frames of proof; then effects and competing causes are only named, too
INDENT = 10  # of the further lines of a proof: below what stands behind the time of day, in seconds
FRAMES = (SCREEN.frames, 6, TERSE, 3)  # of proof: fewer where a fault would not fit
FIRST = ("LCK", "CBK")  # families of checks that passed: evidence that locks work comes first
RANKS = {family: rank for rank, family in enumerate((*FIRST, *(one for one in FAMILIES if one not in FIRST)))}

# The columns of the hosts to fix of a fleet. Of a cause so much is shown at least, and where names of hosts are cut,
# too, the identifier of its rule.
HEADINGS = ("host to fix", "cause", "certainty", "clients", "max wait", "affected")
RIGHT = (False, False, False, True, True, False)
HOST, CAUSE = 0, 1
LEAST_CAUSE, IDENTIFIER = 20, 6

ZERO = re.compile(r"(?<= )0(?= )")
BADGES = {"fault": " FAULT ", "healthy": " HEALTHY ", "cannot-tell": " CANNOT TELL "}


def render(report: Report, width: int = 80, colour: bool = False, verbose: bool = False) -> str:
    paint = painted if colour else plain
    for frames in FRAMES:
        page = _Page(report, width, paint, frames, verbose)
        lead, lines = list(page.fleet(report.fleet)) if report.fleet else [], list(page.lines())
        if verbose or not report.faults or len(lines) <= room_for(report.faults):
            break
    lines = [*lead, *lines]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def room_for(faults: Sequence[Fault]) -> int:
    """The lines that a report of faults has."""
    return LINES * min(len(faults), SCREENS)


def one_line(report: Report) -> str:
    """The verdict in one line: FAULT REG001 10.1.84.31 (nfssrv): what is wrong."""
    verdict = report.diagnosis.verdict
    rules = "".join(f" {fault.finding.rule} {report.located(fault.finding)}" for fault in report.faults[:1])
    return clean(f"{BADGES[verdict.state].strip()}{rules}: {verdict.summary}") + "\n"


class _Page:
    def __init__(self, report: Report, width: int, paint: Paint, frames: int, verbose: bool) -> None:
        self.report = report
        self.frames_shown = frames
        self.verbose = verbose
        self.paint = paint
        self.width = width
        self.prose = min(width, PROSE)
        self.files = report.file_names()
        self.faults = report.faults
        self.printed: set[Command] = set()  # commands of captures
        self.is_brief = len(self.faults) >= MANY and not verbose

    def lines(self) -> Iterator[str]:
        """The lines of the report: verdict and faults, and as much of the rest as one screen has room for."""
        lines = list(self.leading())
        blocks = [(label, list(block)) for label, block in self.rest()]
        blocks = [(label, block) for label, block in blocks if block]
        left = ["why", "affected clients", "verify"] if self.is_brief else []
        if self.faults and not self.verbose:
            lacking = any(map(lacks, self.report.captures))
            for label in EXPENDABLE:
                if lacking and label == "Capture":
                    continue
                if len(lines) + sum(1 + len(block) for _, block in blocks) + 1 + bool(left) <= room_for(self.faults):
                    break
                left += [label for name, _ in blocks if name == label]
                blocks = [(name, block) for name, block in blocks if name != label]
        yield from lines
        joined = ""
        for label, block in blocks:
            yield from ("",) if joined not in JOINED or label not in JOINED else ()
            yield from block
            joined = label
        if left:
            yield from ("",) if joined not in JOINED else ()
            yield from self.block("More", self.text(f"{', '.join(label.lower() for label in left)}: --verbose"))

    def leading(self) -> Iterator[str]:
        """The lines at the top, which are never left out: the verdict, and each of its faults."""
        yield from self.verdict()
        yield from self.do_first()
        shown, more = first_of(self.faults, SCREEN.causes)
        if self.is_brief and not self.report.fleet:
            yield ""
            yield from self.block("Faults", self.table_of(shown))
        for number, fault in enumerate(shown, 1):
            yield ""
            yield from self.fault_heading(number, fault) if len(self.faults) > 1 else ()
            yield from self.in_brief(fault) if self.is_brief else self.proof_and_remedy(fault)
            yield from self.explained(fault.effects) if not self.is_brief else ()
        if more:
            yield ""
            yield from self.block("Further", self.listed([fault.finding for fault in self.faults[len(shown) :]]))

    def rest(self) -> Iterator[tuple[str, Iterable[str]]]:
        """The blocks below the verdict, each with its label."""
        report = self.report
        yield "Kernel", self.logs()
        yield "Also", self.block("Also", self.listed(report.others))
        yield "Unknown", self.unknown(report.diagnosis.cannot_tell)
        yield "Broken", self.broken()
        yield "Settings", self.block("Settings", self.text("; ".join(in_force(report.diagnosis.settings))))
        yield "Skipped", self.skipped()
        yield "Passed", self.passed()
        yield "Capture", self.captures()
        yield "Traffic", self.traffic(report.programs)

    def do_first(self) -> Iterator[str]:
        """The one capture to make where this one cannot tell."""
        if first := self.report.first_capture:
            self.printed.add(first.command)
            yield ""
            yield from self.block("Do first", [*self.text(f"Capture {first.where}:"), *self.commands([first.command])])

    # A fleet

    def fleet(self, overview: Overview) -> Iterator[str]:
        """The lines that a report on a fleet leads with, above the verdict."""
        yield from self.hosts_to_fix(overview.hosts_to_fix)
        for label, sentence in overview.notes:
            yield from self.block(label, self.text(sentence))
        unknown, more = first_of(overview.unknown, PAGE.unknown if self.verbose else UNKNOWN)
        lines = [line for each in unknown for line in self.hanging("", str(each), 2)]
        lines += [f"and {count(more, 'more reason')} (--format json)"] if more else []
        yield from self.block("Unknown", lines)
        if overview.one_more:
            command = overview.one_more.need.command
            yield from self.block("One more", [*self.text(str(overview.one_more)), *self.commands([command])])
            self.printed.add(command)
        yield ""

    def hosts_to_fix(self, rows: Sequence[HostToFix]) -> Iterator[str]:
        """One line per host and rule."""
        shown, more = first_of(rows, PAGE.causes if self.verbose else WORST)
        cells = [
            (self.report.located(row.finding), row.cause, row.certainty, row.number, row.wait, named(row.clients))
            for row in shown
        ]
        if cells:
            head, *lines = fitting([HEADINGS, *cells], self.width)
            yield from (self.paint("heading", head), *lines)
            yield from [f"and {count(more, 'more')} (--format json)"] if more else []
            yield ""

    # The verdict

    def verdict(self) -> Iterator[str]:
        verdict = self.report.diagnosis.verdict
        badge = self.paint(verdict.state, BADGES[verdict.state])
        yield badge + (clean(f"  {heading(self.faults[0].finding)}") if len(self.faults) == 1 else "")
        for line in wrap(clipped(verdict.summary, SCREEN.characters), self.prose):
            yield self.paint("heading", line)

    def fault_heading(self, number: int, fault: Fault) -> Iterator[str]:
        """The heading of one of several faults."""
        yield self.paint("heading", clean(f"Fault {number} of {len(self.faults)}: {heading(fault.finding)}"))
        yield from wrap(clipped(fault.summary, SCREEN.characters), self.prose)

    def table_of(self, faults: Sequence[Fault]) -> list[str]:
        """One line per fault: rule, certainty, host."""
        rows = [
            (f"{number}.", f"{found.rule} {found.name}", found.certainty, self.report.located(found))
            for number, found in enumerate((fault.finding for fault in faults), 1)
        ]
        return columns(rows, (False,) * 4)

    def in_brief(self, fault: Fault) -> Iterator[str]:
        """The first and the last frame, of captures of one clock, that prove a fault, and its remedy."""
        finding = fault.finding
        frames = self.report.of_one_clock(finding)
        proof = frames[:1] + frames[1:][-1:]
        yield from self.block("Proof" if finding.certainty == "certain" else "Signs", self.evidence(proof))
        yield from self.block("Fix", self.commands(finding.remedy, self.where(finding)))

    def proof_and_remedy(self, fault: Fault) -> Iterator[str]:
        finding, several = fault.finding, len(self.faults) > 1
        yield from self.block("Why", self.text(finding.explanation))
        if self.report.has_owners and fault is self.faults[0]:
            yield from self.block("Owners", self.text(OWNER_MEANS))
        yield from self.whom_and_when(finding)
        yield from self.block("Files", self.text(names(finding.files)))
        yield from self.block("Log", self.expected(fault.log(self.report.unseen) if several else self.report.unseen))
        certain = finding.certainty == "certain"
        frames = finding.evidence if self.verbose else self.report.of_one_clock(finding)
        proof = self.evidence(frames)
        if others := len(finding.evidence) - len(frames):
            proof.append(f"… {count(others, 'more frame')} of captures by other clocks (--verbose)")
        yield from self.block("Proof" if certain else "Signs", proof)
        yield from self.block("Filter", self.filters(finding.evidence))
        yield from self.hypotheses([one for one in self.report.diagnosis.hypotheses if one.finding == finding.id])
        yield from self.block("Be sure", self.needs([finding.needs] if finding.needs and not certain else []))
        yield from self.block("Fix", self.commands(finding.remedy, self.where(finding)))
        yield from self.block("Verify", self.commands(finding.verify))

    def whom_and_when(self, finding: Finding) -> Iterator[str]:
        clients = self.hosts(finding.clients)
        when = span(finding.first, finding.last) if finding.first is not None else ""
        if clients and width_of(clients) + len(when) < self.prose - MARGIN - 2:
            yield from self.block("Clients", self.text(f"{clients}, {when}" if when else clients))
        else:
            yield from self.block("Clients", self.text(clients))
            yield from self.block("When", self.text(when))

    def hypotheses(self, hypotheses: Sequence[Hypothesis]) -> Iterator[str]:
        lines: list[str] = []
        for number, cause in enumerate(hypotheses, 1):
            where = f" on {self.report.host(cause.host)}" if cause.host else ""
            lines += self.hanging(f"{number}. ", f"{cause.rule} {cause.name}{where}")
            if self.frames_shown <= TERSE:
                continue
            if cause.supports:
                lines += self.hanging("   + ", cause.supports)
            if cause.against:
                lines += self.hanging("   - ", cause.against)
        yield from self.block("Causes", lines)

    def expected(self, lines: Sequence[LogLine]) -> Iterator[str]:
        """The lines to expect in kernel logs, by host."""
        shown, more = first_of(lines, SCREEN.expected)
        hosts = list(dict.fromkeys(line.host for line in shown))
        by_host = sorted(shown, key=lambda line: hosts.index(line.host))
        for host, group in groupby(by_host, lambda line: line.host):
            yield clean(
                f"of the kernel of {self.report.host(host)}, {'not found' if self.report.logs else 'to expect'}:"
            )
            yield from (clean(f"{time_of_day(line.time)}  {line.text}") for line in group)
        if more:
            yield f"… and {more} more (--format markdown)"

    # Everything else

    def logs(self) -> Iterator[str]:
        """The kernel logs that were given."""
        for log in self.report.logs:
            lines = self.hanging("", f"{log.file}: {log.clock}", 2)
            for line in log.lines[-SCREEN.lines :]:
                lines += self.hanging(f"{time_of_day(line.time)}  ", f"{line.text} ({whose(line)})")
            if len(log.lines) > SCREEN.lines:
                lines.append(f"and {len(log.lines) - SCREEN.lines} before (--format json)")
            yield from self.block("Kernel", lines if log.lines else [*lines, "nothing about NFS, its locks or RPC"])

    def explained(self, findings: Sequence[Finding]) -> Iterator[str]:
        terse = self.frames_shown <= TERSE and len(findings) <= SCREEN.findings
        brief = self.text(f"{', '.join(finding.id for finding in findings)} (--verbose)") if findings else ()
        yield from self.block("Explains", brief if terse else self.listed(findings))

    def listed(self, findings: Sequence[Finding]) -> Iterator[str]:
        """The lines of findings without commands, one or two each: of each rule the first ones."""
        rules: set[str] = set()
        for finding, more in shortened(findings, SCREEN):
            rules.add(finding.rule)
            yield from self.brief(finding)
            if more:
                yield f"and {digits(more)} more of {finding.rule} (--format json)"
        others = omitted((finding for finding in findings if finding.rule not in rules), ())
        yield from self.hanging("and ", f"{', '.join(others)} (--format json)", 2) if others else ()

    def brief(self, finding: Finding) -> list[str]:
        """A finding in a line or two: severity, rule, title, frames."""
        likely = ", likely" if finding.certainty == "likely" else ""
        frames = self.frames(finding.evidence)
        head, *rest = self.hanging("", f"{finding.severity} {finding.rule}{likely}: {finding.title}{frames}", 2)
        return [self.paint(finding.severity, finding.severity) + head.removeprefix(finding.severity), *rest]

    def passed(self) -> Iterator[str]:
        """The checks that passed: how many, or each with its evidence."""
        clear = sorted(self.report.diagnosis.clear, key=lambda answer: (rank(answer.rule), answer.rule))
        if not self.verbose:
            number = len({answer.rule for answer in clear})
            unknown = len({answer.rule for answer in self.report.diagnosis.cannot_tell}) if self.faults else 0
            said = f"{count(number, 'check')}{f', {unknown} could not be judged' if unknown else ''}"
            yield from self.block("Passed", [f"{said} (--verbose lists them)"] if number or unknown else ())
            return
        lines = [line for answer in clear for line in self.hanging(f"{answer.rule}  ", answer.evidence)]
        yield from self.block("Passed", lines)

    def unknown(self, answers: Sequence[CannotTell]) -> Iterator[str]:
        """Rules that lack the same thing share an entry; beside a likely fault only reasons that a capture removes.

        Beside certain faults they are only counted, with the checks that passed: --verbose has the reasons.
        """
        lines: list[str] = []
        state = self.report.diagnosis.verdict.state
        if not self.verbose and self.faults and all(fault.finding.certainty == "certain" for fault in self.faults):
            return
        room = PAGE.unknown if self.verbose else SCREEN.unknown
        more, idle = 0, set[str]()
        found = unknowns(answers)
        for unknown, hosts in [(each, 0) for each in found] if self.verbose else of_many_hosts(found):
            if unknown.needs or self.verbose:
                reasons, left = first_of(unknown.reasons, room)
                room, more = room - len(reasons), more + left
                alike = f"; likewise of {count(hosts, 'more host')}" if hosts else ""
                for why, rules in reasons:
                    lines += self.hanging("", f"{', '.join(rules)}: {why}{alike}", 2)
                lines += self.vantages(unknown.needs) if reasons else []
            elif state != "fault":
                idle |= {rule for _, rules in unknown.reasons for rule in rules}
        if lines and state == "healthy":
            lines[:0] = self.text(HEALTHY_SO_FAR)
        lines += [f"and {count(more, 'more reason')} (--format json)"] if more else []
        lines += [f"{count(len(idle), 'check')} without traffic to judge (--verbose lists them)"] if idle else []
        yield from self.block("Unknown", lines)

    def vantages(self, needs: Sequence[Need]) -> list[str]:
        """The vantages that would show it, without their commands: more than one would only compete."""
        return self.hanging("  ", f"shown by: {names([need.vantage for need in needs])}") if needs else []

    def broken(self) -> Iterator[str]:
        lines: list[str] = []
        for rule in self.report.diagnosis.broken:
            lines += self.hanging("", f"{rule.rule} failed, which is a bug of nfsrpc: {rule.error}", 2)
        yield from self.block("Broken", lines)

    def skipped(self) -> Iterator[str]:
        lines = [line for error in self.report.skipped for line in self.hanging("", str(error), 2)]
        yield from self.block("Skipped", lines)

    def captures(self) -> Iterator[str]:
        lines: list[str] = []
        captures, more = first_of(self.report.captures, SCREEN.captures)
        for file, capture in zip(self.files, captures, strict=False):
            lines += self.hanging("", f"{file}: {described(capture)}", 2)
            for lack in lacks(capture):
                lines += self.hanging("  ", lack)
        lines += [f"and {count(more, 'more file')} (--format json)"] if more else []
        yield from self.block("Capture", lines)

    def traffic(self, procedures: Sequence[ProcedureTraffic]) -> Iterator[str]:
        if not procedures:
            return
        head = ("program", "calls", "unanswered", "resent", "errors", "slowest answer")
        programs, more = busiest(procedures, SCREEN.programs)
        rows = [head, *(program_row(name, group) for name, group in programs)]
        lines = columns(rows, (False, True, True, True, True, False))
        lines = [ZERO.sub(self.paint("faint", "0"), line) for line in lines]
        lines += [f"and {count(more, 'more program')} with fewer calls (nfsrpc table programs)"] if more else []
        yield from self.block("Traffic", lines)

    # Pieces

    def block(self, label: str, lines: Iterable[str]) -> Iterator[str]:
        """Lines to the right of a label; nothing at all when there are none."""
        for line in lines:
            yield self.paint("heading", label) + " " * (MARGIN - len(label)) + line
            label = ""

    def text(self, text: str) -> list[str]:
        return wrap(clipped(text, SCREEN.characters), self.prose - MARGIN) if text else []

    def hanging(self, first: str, text: str, indent: int | None = None) -> list[str]:
        """A paragraph whose further lines are indented, by the length of `first` unless `indent` is set."""
        indent = width_of(first) if indent is None else indent
        room = self.prose - MARGIN
        head, *rest = wrap(clipped(text, SCREEN.characters), room - indent, room - max(indent, width_of(first)))
        return [first + head, *(" " * indent + line for line in rest)]

    def evidence(self, evidence: Sequence[Evidence]) -> list[str]:
        """One line per frame: time of day, file and frame, what it shows; of many the first and the last."""
        first, left_out, last = ends_of(evidence, PAGE.frames if self.verbose else self.frames_shown)
        shown = [*first, *last]
        places = [clean(f"{self.files[proof.capture]}:{proof.frame}") for proof in shown]
        width = min(max(map(width_of, places), default=0), WIDEST_PLACE)
        lines: list[str] = []
        times = times_of_day([proof.time for proof in shown])
        for proof, place, time in zip(shown, places, times, strict=True):
            if last and proof is last[0]:
                lines.append(f"… {left_out} more frames (--verbose)")
            head = f"{time}  {padded(place, width)}  "
            lines += self.hanging(head, proof.note, INDENT)
        return lines

    def filters(self, evidence: Sequence[Evidence]) -> list[str]:
        """Wireshark's display filter for the frames, one per file; a line to be copied, never wrapped."""
        shown, _ = first_of(evidence, PAGE.frames)
        filters, _ = first_of(display_filters(shown), SCREEN.causes)
        if len(filters) <= 1:
            return [expression for _, expression in filters]
        lines: list[str] = []
        for capture, expression in filters:
            lines += [*self.remark(harmless(self.files[capture])), expression]
        return lines

    def hosts(self, addresses: Sequence[str]) -> str:
        shown, more = first_of(addresses, SCREEN.names)
        return names([*self.report.hosts(shown), *addresses[len(shown) :]]) if more else names(self.report.hosts(shown))

    def where(self, finding: Finding) -> str:
        """The host to run the remedy on, in words; empty where its first command names it."""
        on = finding.remedy[0].on if finding.remedy else ""
        return f"on {self.report.located(finding)}" if finding.host and not on else ""

    def frames(self, evidence: Sequence[Evidence]) -> str:
        """The frames of a finding in brackets; with their file when there are several files."""
        if not evidence:
            return ""
        shown = evidence[: SCREEN.names]
        several = len(self.report.captures) > 1
        frames = [
            (f"{self.files[capture]} " if several else "") + ", ".join(str(proof.frame) for proof in group)
            for capture, group in groupby(shown, lambda proof: proof.capture)
        ]
        more = f" and {len(evidence) - len(shown)} more" if len(evidence) > len(shown) else ""
        return f" (frame{'s' if len(evidence) > 1 else ''} {'; '.join(frames)}{more})"

    def commands(self, commands: Sequence[Command], where: str = "") -> list[str]:
        """Shell commands as they are, to be copied, each below what is remarked on it."""
        lines = self.remark(where) if commands else []
        shown, more = first_of(commands, SCREEN.commands)
        for command in shown:
            lines += self.remark(command.comment) if command.comment != where else []
            lines += [self.paint("command", clean(command.line))] if command.line else []
        return lines + (self.remark(f"and {count(more, 'more line')} (--format json)") if more else [])

    def remark(self, text: str) -> list[str]:
        """A remark on a command, wrapped, with every line a comment to the shell."""
        return [self.paint("faint", f"# {line}") for line in wrap(text, self.prose - MARGIN - 2)] if text else []

    def needs(self, needs: Sequence[Need]) -> list[str]:
        """The lines for the first of these captures, with the names of the others. A command above is not repeated."""
        if not needs:
            return []
        if needs[0].command in self.printed:
            return self.text(f"Capture the {needs[0].vantage}, with the command above.")
        self.printed.add(needs[0].command)
        others = f" (or the {names([need.vantage for need in needs[1:]])})" if len(needs) > 1 else ""
        return [*self.text(f"Capture the {needs[0].vantage}{others}:"), *self.commands([needs[0].command])]


def fitting(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The table of hosts to fix within a width: with clients by name where there is room, else with causes cut short.

    Then names of hosts are cut short, but no address.
    """
    rows = [[clean(cell) for cell in row] for row in rows]
    if too_wide(rows, width):
        rows = [row[:-1] for row in rows]
    addresses = max(len(host.partition(" ")[0]) for host, *_ in rows[1:])
    for column, least in ((CAUSE, LEAST_CAUSE), (HOST, addresses + 2), (CAUSE, IDENTIFIER)):
        room = max(max(width_of(row[column]) for row in rows) - too_wide(rows, width), least)
        rows = [[*row[:column], cut(row[column], room), *row[column + 1 :]] for row in rows]
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    return columns(rows, RIGHT[: len(rows[0])])


def too_wide(rows: Sequence[Sequence[str]], width: int) -> int:
    """By how many columns of a terminal rows in columns exceed a width."""
    return max(max(map(width_of, aligned(rows))) - width, 0)


def heading(finding: Finding) -> str:
    return f"{finding.rule} {finding.name}, {finding.certainty}"


def rank(rule: str) -> int:
    """The place of a rule's family: locks first, the capture itself last."""
    return RANKS.get(rule[:3], len(RANKS))


def names(all_names: Sequence[str]) -> str:
    shown, more = first_of(all_names, SCREEN.names)
    return f"{', '.join(shown)} and {more} more" if more else ", ".join(shown)
