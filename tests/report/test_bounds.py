"""Reports have a bound: of many things the first are shown and how many more there are, in every format."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
from jsonschema import Draft202012Validator

from nfsrpc.diagnosis.kernel_log_match import ExplainedLine, Reading
from nfsrpc.findings.bounds import PAGE, SCREEN, shortened
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import CannotTell, Diagnosis, Evidence, Finding, LogLine
from nfsrpc.findings.shown import finding_html
from nfsrpc.report import html, markdown, notebook, text
from nfsrpc.report import json as document
from nfsrpc.report.contents import ProcedureTraffic, Report
from tests.report.samples import CAPTURE, CERTAIN, LATE, SECOND, START, STATD, verdict

SCHEMA = json.loads(Path(document.__file__).with_name("analyze.schema.json").read_text(encoding="utf-8"))
RENDERERS: dict[str, Callable[[Report], str]] = {
    "text": text.render,
    "markdown": markdown.render,
    "html": html.render,
    "json": document.render,
    "notebook": lambda report: notebook.text(report, dict.fromkeys(notebook.OVERVIEW, ())),
}
RULES = ("REG003", "MON001", "LCK004", "NET001", "LCK009", "CBK001", "NFS001", "MNT001", "RPC002", "NET007")


def closed(number: int, rule: str = "REG003", evidence: int = 1) -> Finding:
    return replace(
        LATE,
        rule=rule,
        host=f"10.0.{number // 250}.{number % 250}",
        title=f"port {number} is closed",
        evidence=tuple(Evidence(0, 1 + frame, f"refused {frame}") for frame in range(evidence)),
        remedy=(remark("Restart number {number}.", number=number),),
    )


def diagnosed(*findings: Finding, **others: object) -> Report:
    told = verdict((STATD, "10.1.84.31 runs no rpc.statd."))
    return CERTAIN._replace(diagnosis=replace(Diagnosis(told, (STATD, *findings)), **others))


def each_a_cause(n: int) -> Report:
    """As many causes, each of another host."""
    causes = [closed(number, RULES[number % len(RULES)]) for number in range(n)]
    told = verdict(*((cause, f"{cause.host} refuses.") for cause in causes), summary=f"{n} faults.")
    return CERTAIN._replace(diagnosis=Diagnosis(told, tuple(causes)))


def large(n: int) -> Report:
    """As many of everything that a capture can have many of."""
    name = f"{'x' * 200}/{'y' * 200}"
    lead = replace(
        STATD,
        certainty="likely",
        clients=tuple(f"10.1.{number // 250}.{number % 250}" for number in range(n)),
        files=tuple(f"/srv/{name}/{number}" for number in range(n)),
        evidence=tuple(Evidence(number % n, 1 + number, f"refused {name}") for number in range(n)),
        explanation=f"Of {name * n}",
        remedy=tuple(remark("Restart number {number}.", number=number) for number in range(n)),
        explains=("LCK009",),
    )
    report = diagnosed(
        *(closed(number, RULES[number % len(RULES)]) for number in range(n)),
        cannot_tell=tuple(CannotTell("LCK001", f"{number} was not captured") for number in range(n)),
        log=tuple(LogLine(START + number, f"c{number}", "s", f"lockd: {number}", ("REG003",)) for number in range(n)),
    )
    diagnosis = replace(report.diagnosis, findings=(lead, *report.diagnosis.findings[1:]))
    lines = tuple(ExplainedLine(START + number * SECOND, f"lockd: line {number}", (), True) for number in range(n))
    return report._replace(
        diagnosis=diagnosis,
        captures=tuple(CAPTURE._replace(file=f"{number}.pcap") for number in range(n)),
        programs=tuple(
            ProcedureTraffic(f"p{number}", 1, "X", number, 0, 0, 0, 0, None, None, None, None) for number in range(n)
        ),
        logs=(Reading("dmesg.txt", "utc", lines, ()),),
    )


def listed(report: Report, label: str) -> list[str]:
    """The block of the text report with that label, in lines."""
    lines = text.render(report, verbose=True).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(label))
    rest = (line for line in lines[start + 1 :])
    return [lines[start].removeprefix(label).strip(), *iterate_until_blank(rest)]


def iterate_until_blank(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line:
            return
        yield line.strip()


@pytest.mark.parametrize(("number", "more"), [(5, ""), (6, "and 1 more of REG003 (--format json)")])
def test_five_findings_of_a_rule_are_shown_and_how_many_more_there_are(number: int, more: str) -> None:
    lines = listed(diagnosed(*map(closed, range(number))), "Also")
    assert sum("is closed" in line for line in lines) == 5
    assert [line for line in lines if "more of" in line] == ([more] if more else [])


def test_thousands_are_told_by_their_number_behind_the_last_one_shown() -> None:
    lines = listed(diagnosed(*map(closed, range(3219)), replace(LATE, rule="LCK001", title="another")), "Also")
    last = next(number for number, line in enumerate(lines) if "port 4 is closed" in line)
    assert lines[last + 1] == "and 3 214 more of REG003 (--format json)"
    assert lines[last + 2].endswith("another (frames 102, 336)")


def test_rules_for_which_there_is_no_room_are_named() -> None:
    findings = [closed(number, rule) for rule in RULES for number in range(6)]
    assert sum("is closed" in line for line in listed(diagnosed(*findings), "Also")) == SCREEN.others == 8 * 5
    assert listed(diagnosed(*findings), "Also")[-1] == "and 6 of RPC002, 6 of NET007 (--format json)"


def test_the_order_stays() -> None:
    mixed = [closed(number, RULES[number % 2]) for number in range(20)]
    shown = [(finding.title, more) for finding, more in shortened(mixed, SCREEN)]
    assert shown == [(f"port {number} is closed", 5 if number >= 8 else 0) for number in range(10)]


@pytest.mark.parametrize(("number", "shown", "more"), [(4, 4, 0), (5, 4, 1)])
def test_four_causes_have_proof_and_remedy_and_the_others_a_line(number: int, shown: int, more: int) -> None:
    lines = text.render(each_a_cause(number)).splitlines()
    assert sum(line.startswith("Fault ") for line in lines) == shown
    assert sum(line.startswith("Further ") for line in lines) == more
    assert sum("is closed" in line for line in lines) == more
    assert sum("Restart number" in line for line in lines) == shown


@pytest.mark.parametrize("n", [2_000, 8_000])
@pytest.mark.parametrize(("name", "lines"), [("text", 100), ("markdown", 1_500), ("html", 340), ("notebook", 70)])
def test_reports_of_many_causes_have_a_bound(name: str, lines: int, n: int) -> None:
    assert len(RENDERERS[name](each_a_cause(n)).splitlines()) <= lines


def test_json_has_every_cause_up_to_its_limit() -> None:
    told = document.document(each_a_cause(10_001))["verdict"]
    assert (len(told["causes"]), told["omitted_causes"]) == (10_000, 1)
    assert (len(told["hosts"]), told["omitted_hosts"]) == (10_000, 1)
    assert "omitted_causes" not in document.document(each_a_cause(10_000))["verdict"]


@pytest.mark.parametrize(
    ("name", "lines", "characters"),
    [("text", 250, 30_000), ("markdown", 2_500, 400_000), ("html", 500, 1_200_000), ("notebook", 70, 10_000)],
)
@pytest.mark.parametrize("n", [2_000, 8_000])
def test_reports_have_a_bound(name: str, lines: int, characters: int, n: int) -> None:
    written = RENDERERS[name](large(n))
    assert written.count("\n") < lines
    assert len(written) < characters


@pytest.mark.parametrize("width", [80, 140])
def test_a_large_report_is_as_wide_as_any(width: int) -> None:
    names = [line for line in text.render(large(500), width).splitlines() if len(line) > width]
    assert all("x" * 200 in line for line in names)


@pytest.mark.parametrize("name", RENDERERS)
def test_writing_costs_no_more_than_what_is_written(name: str) -> None:
    """Four times as much to leave out, or to write, takes at most five times as long."""

    def seconds(report: Report) -> float:
        begun = process_time()
        RENDERERS[name](report)
        return process_time() - begun

    gc.disable()  # as in `analyze`
    try:
        small, big = (min(seconds(report) for _ in range(4)) for report in (large(1_000), large(4_000)))
    finally:
        gc.enable()
    assert big <= 5 * small + 0.05


def test_json_has_every_finding_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    report = diagnosed(*map(closed, range(10)), cannot_tell=tuple(CannotTell("LCK001", str(n)) for n in range(11)))
    whole = document.document(report._replace(programs=large(11).programs))
    assert (len(whole["findings"]), len(whole["cannot_tell"]), len(whole["programs"])) == (11, 11, 11)
    assert not [key for key in whole if key.startswith("omitted")]
    monkeypatch.setattr(document, "MAX_LISTED", 10)
    cut = document.document(report._replace(programs=large(11).programs))
    assert (len(cut["findings"]), len(cut["cannot_tell"]), len(cut["programs"])) == (10, 10, 10)
    assert (cut["omitted"], cut["omitted_cannot_tell"], cut["omitted_programs"]) == (1, 1, 1)
    assert cut["findings"] == whole["findings"][:10]
    assert list(Draft202012Validator(SCHEMA).iter_errors(cut)) == []


def test_json_has_every_client_and_frame_until_all_findings_together_have_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(document, "MAX_ITEMS", 40)
    clients = tuple(f"10.0.0.{number}" for number in range(15))
    many = replace(closed(1, evidence=15), clients=clients, files=clients)
    first, second = (document.document(diagnosed(many, many))["findings"][number] for number in (1, 2))
    # The leading finding has a client, a file and three frames.
    assert [len(first[name]) for name in ("clients", "files", "evidence")] == [15, 15, 6]
    assert first["omitted_evidence"] == 9
    assert "omitted_clients" not in first
    assert [len(second[name]) for name in ("clients", "files", "evidence")] == [6, 6, 6]
    assert [second[f"omitted_{name}"] for name in ("clients", "files", "evidence")] == [9, 9, 9]
    assert list(Draft202012Validator(SCHEMA).iter_errors(document.document(diagnosed(many, many)))) == []


def test_the_schema_names_the_limits() -> None:
    assert SCHEMA["properties"]["omitted"]["description"].endswith(f"more than {document.MAX_LISTED}.")
    described = SCHEMA["$defs"]["finding"]["properties"]["omitted_clients"]["description"]
    assert f"{document.MAX_LISTED} of a finding, or {document.MAX_ITEMS} " in described


def test_lines_of_a_given_log_are_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_LISTED", 10)
    (log,) = document.document(large(12))["dmesg"]
    assert [line["text"] for line in log["lines"]] == [f"lockd: line {number}" for number in range(2, 12)]
    assert log["omitted_lines"] == 2


def test_findings_of_a_notebook_are_few_too() -> None:
    diagnosis = diagnosed(*map(closed, range(100))).diagnosis
    assert diagnosis._repr_html_().count("is closed") == SCREEN.findings
    assert "and 95 of REG003" in diagnosis._repr_html_()
    finding = large(1_000).diagnosis.findings[0]
    assert "10.1.0.99 and 900 more" in finding_html(finding)
    assert len(finding_html(finding)) < 60_000
    assert len(str(finding)) < 30_000
    assert str(finding).splitlines()[-2:] == ["# Restart number 99.", "# and 900 more"]
    written = document.finding_document(finding)
    assert (len(written["remedy"]), written["omitted_remedy"]) == (PAGE.commands, 900)


def test_a_page_shows_more_than_a_screen() -> None:
    findings = [closed(number) for number in range(PAGE.findings + 3)]
    written = markdown.render(diagnosed(*findings))
    assert written.count("is closed") == PAGE.findings
    assert "And 3 of REG003 (--format json)." in written.replace("\\", "")
