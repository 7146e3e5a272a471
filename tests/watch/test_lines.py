"""What live says of a change, in a line and as an object; and its screen."""

import json
from dataclasses import replace
from typing import get_args

import pytest
from rich.console import Console

from nfsrpc.diagnosis.faults import fault
from nfsrpc.findings.finding import Finding, Verdict
from nfsrpc.report.json import finding_document
from nfsrpc.sources.privileges import Rights
from nfsrpc.watch.changes import Change, LockWait, What
from nfsrpc.watch.lines import TEXTS, begin, begin_jsonl, end_cut_short, jsonl, line, lines
from nfsrpc.watch.schedule import Health, Live, Look, Options
from nfsrpc.watch.screen import Pulse, Rate, screen
from tests.scenario import Scenario
from tests.watch.test_schedule import Script

TIME = 1_700_000_000_000_000_000
FOUND = Finding("REG001", "statd-not-registered", "error", "certain", "10.0.0.9", "no statd on 10.0.0.9", "…", count=3)
WAIT = LockWait("10.0.0.9", "10.0.0.1", "1@web-1", "/srv/\x1b[2Ja", TIME, 6.0, ("2@web-2",))
VERDICT = fault([FOUND], [])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("appeared", TIME, FOUND), "appeared  error REG001, certain: no statd on 10.0.0.9 (3 times)"),
        (Change("changed", TIME, replace(FOUND, count=1)), "changed   error REG001, certain: no statd on 10.0.0.9"),
        (
            Change("resolved", TIME, FOUND, why="it was started"),
            "resolved  REG001 statd-not-registered on 10.0.0.9: it was started",
        ),
        (
            Change("waiting", TIME, wait=WAIT),
            "waiting   10.0.0.1 waits 6.0 s for a lock on /srv/\\x1b[2Ja of 10.0.0.9 (1@web-1), behind 2@web-2",
        ),
        (
            Change("over", TIME, wait=WAIT._replace(age_s=61.6)),
            "over      10.0.0.1 waited 61.6 s for a lock on /srv/\\x1b[2Ja of 10.0.0.9 (1@web-1)",
        ),
        (Change("verdict", TIME, verdict=VERDICT), "FAULT     No statd on 10.0.0.9."),
    ],
)
def test_a_line_a_change(change: Change, text: str) -> None:
    assert line(change) == f"2023-11-14 22:13:20 UTC  {text}\n"


def test_of_many_changes_of_one_kind_the_first_are_told_and_how_many_more_there_are() -> None:
    changes = [Change("appeared", TIME, replace(FOUND, host=str(number))) for number in range(1_239)]
    other = Change("appeared", TIME, replace(FOUND, rule="MON001"))
    waits = [Change("waiting", TIME, wait=WAIT) for _ in range(7)]
    told = list(lines([*changes, other, *waits]))
    assert told[:5] == [line(change) for change in changes[:5]]
    assert told[5] == "2023-11-14 22:13:20 UTC  appeared  and 1 234 more of REG001\n"
    assert told[6] == line(other)
    assert told[7:] == [*map(line, waits[:5]), "2023-11-14 22:13:20 UTC  waiting   and 2 more\n"]
    assert list(lines(changes[:5])) == told[:5]


def test_an_object_a_change() -> None:
    told = json.loads(jsonl(Change("resolved", TIME, FOUND, why="it was started")))
    assert told == {
        "schema": 2,
        "time": "2023-11-14T22:13:20.000000000Z",
        "change": "resolved",
        "finding": json.loads(json.dumps(finding_document(FOUND))),
        "why": "it was started",
    }
    told = json.loads(jsonl(Change("waiting", TIME, wait=WAIT)))
    assert told["wait"] == {
        "server": "10.0.0.9",
        "client": "10.0.0.1",
        "owner": "1@web-1",
        "file": "/srv/\x1b[2Ja",
        "since": "2023-11-14T22:13:20.000000000Z",
        "age_s": 6.0,
        "behind": ["2@web-2"],
    }
    told = json.loads(jsonl(Change("verdict", TIME, verdict=VERDICT)))
    assert told["verdict"] == {
        "rule": "REG001",
        "state": "fault",
        "summary": "No statd on 10.0.0.9.",
        "causes": [
            {
                "rule": "REG001",
                "host": "10.0.0.9",
                "certainty": "certain",
                "summary": "No statd on 10.0.0.9.",
                "finding": "REG001@10.0.0.9",
            }
        ],
        "hosts": ["10.0.0.9"],
    }


def look() -> Look:
    """A server without statd, asked twice, while a lock waits."""
    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    client.getport(server, "nlm4")
    client.getattr(server, "/srv")
    client.lock(server, "/srv/a")
    for _ in range(5):
        server.getport(server, "nsm1", port=0)
        s.wait(3)
    client.getattr(server, "/srv")
    *_, last = Live(Script(s.capture(at=server, on="any", link="sll2")), Options(0.01)).looks()
    return last


def painted(look: Look | None, pulse: Pulse, width: int = 120, height: int = 50) -> list[str]:
    console = Console(width=width, height=height)
    with console.capture() as capture:
        console.print(screen(look, pulse, height))
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def test_the_screen_shows_what_is_wrong_who_waits_and_what_is_registered() -> None:
    seen = look()
    pulse = Pulse("tcpdump on any", Health(1234, 99_000, 7, 12.0), Rate(50.4, 9_900.0), 2.0)
    lines = painted(seen, pulse)
    assert lines[0].startswith(" FAULT   ")
    [waiting] = [line.split() for line in lines if "1@web-1" in line]
    assert waiting[:5] == ["17.0", "s", "10.0.0.1", "1@web-1", seen.waits[0].file]
    assert [line.split()[:3] for line in lines if "REG001" in line] == [["error", "REG001", "certain"]]
    [registered] = [line.split(maxsplit=1) for line in lines if "not registered" in line and line.startswith("  10.")]
    assert registered[0] == "10.0.0.9"
    assert registered[1].split("  ") == ["not asked", "not asked", "tcp/32803", "not registered"]
    [nlm] = [line.split() for line in lines if "nlm v4" in line]
    assert nlm[2:5] == ["1", "1", "0"]
    assert lines[-2].strip() == ("tcpdump on any: 1 234 frames, 50/s, 9.9 kB/s, 7 dropped, silent for 12.0 s")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 15), (40, 12), (140, 40)])
def test_many_that_wait_fit_a_small_screen(width: int, height: int) -> None:
    """What is long is shortened, not the ages; the verdict is above, the health of the capture below."""
    long = WAIT._replace(owner=f"1@{'worker-' * 9}", file="/srv" + "/deep" * 20, behind=(f"2@{'other-' * 9}",))
    seen = replace(look(), waits=[long._replace(age_s=50.0 + number) for number in range(200)])
    pulse = Pulse("tcpdump on any", Health(1234, 99_000, 7, 0.0), Rate(50.4, 9_900.0), 0.0)
    lines = painted(seen, pulse, width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith(" FAULT ")
    assert "tcpdump on any: 1 234 frames" in "".join(lines[-3:])
    assert [age in "\n".join(lines) for age in ("50.0 s", "51.0 s")] == [True] * 2


def test_the_screen_before_the_first_packet() -> None:
    pulse = Pulse("standard input", Health(0, 0, None, 0.0), Rate(0.0, 0.0), 0.0)
    assert painted(None, pulse)[-1] == "standard input: 0 frames, 0/s, 0 B/s, drops unknown"


def test_control_characters_do_not_reach_the_terminal() -> None:
    seen = replace(look(), waits=[WAIT])
    pulse = Pulse("x", Health(0, 0, None, 0.0), Rate(0.0, 0.0), 0.0)
    assert any("/srv/\\x1b[2Ja" in line for line in painted(seen, pulse))


def test_every_kind_of_change_has_a_line() -> None:
    assert set(get_args(What)) == set(TEXTS)


def test_the_first_line_says_who_parses_what() -> None:
    rights = Rights("nobody", 65534, 65534, 1 << 2, True)
    text = begin("tcpdump on eth0\x1b[2J", rights)
    assert text == "no packet yet  begin     tcpdump on eth0\\x1b[2J, parsed as nobody, with CAP_DAC_READ_SEARCH only\n"
    assert json.loads(begin_jsonl("tcpdump on eth0", rights)) == {
        "schema": 2,
        "change": "begin",
        "source": "tcpdump on eth0",
        "rights": {
            "user": "nobody",
            "uid": 65534,
            "gid": 65534,
            "capabilities": "0000000000000004",
            "no_new_privs": True,
        },
    }


def test_the_last_object_where_there_was_no_time_for_the_document() -> None:
    told = json.loads(end_cut_short(Verdict(None, "cannot-tell", "It cannot be told.")))
    assert told["change"] == "end"
    assert told["verdict"] == {
        "rule": None,
        "state": "cannot-tell",
        "summary": "It cannot be told.",
        "causes": [],
        "hosts": [],
    }
    assert told["why"] == "the look was cut short: it took too long"
