"""The JSON report: against the published schema, and value by value."""

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nfsrpc.report.json import document, render
from tests.report.samples import CANNOT_TELL, CERTAIN, FLEET, HEALTHY, LEFT_OUT, LIKELY, LOGGED, SAMPLES, SEVERAL

SCHEMA = json.loads(files("nfsrpc.report").joinpath("analyze.schema.json").read_text(encoding="utf-8"))


def errors(value: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(value)]


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every description of an object in the schema."""
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    found = [schema] if isinstance(schema, dict) and "properties" in schema and "type" in schema else []
    return found + [deeper for child in children for deeper in objects(child)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_requires_every_key_it_knows_but_those_of_what_is_given_or_left_out() -> None:
    closed = [description for description in objects(SCHEMA) if description["additionalProperties"] is False]
    assert len(closed) == 20
    for description in closed:
        optional = {name for name in description["properties"] if not name.startswith("omitted")}
        assert optional - set(description["required"]) == ({"dmesg", "fleet"} if description is SCHEMA else set())


@pytest.mark.parametrize("name", SAMPLES)
def test_documents_are_as_the_schema_says(name: str) -> None:
    assert errors(json.loads(render(SAMPLES[name]))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict", "state"), "fine"),
        (("verdict", "rule"), None),
        (("findings", 0, "host"), 5),
        (("findings", 0, "evidence", 0, "frame"), 0),
        (("findings", 0, "first"), "yesterday"),
        (("findings", 0, "more"), 1),
        (("captures", 0, "frames"), -1),
        (("schema",), 1),
        (("verdict", "causes"), []),
        (("verdict", "causes", 0, "finding"), "REG001 of 10.1.84.31"),
        (("verdict", "causes", 0, "clients"), ["10.1.84.41"]),
        (("findings", 0, "explains"), ["LCK002 of 10.1.84.31"]),
    ],
)
def test_the_schema_refuses_what_is_wrong(path: tuple[str | int, ...], value: Any) -> None:
    report = json.loads(render(CERTAIN))
    place = report
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert errors(report)


def test_a_finding_value_by_value() -> None:
    report = document(CERTAIN)
    assert report["verdict"] == {
        "rule": "REG001",
        "state": "fault",
        "summary": "10.1.84.31 runs no rpc.statd: its lockd stalls, and 1 lock request of 10.1.84.41 waited 61.6 s.",
        "causes": [
            {
                "rule": "REG001",
                "host": "10.1.84.31",
                "certainty": "certain",
                "summary": report["verdict"]["summary"],
                "finding": "REG001@10.1.84.31",
            }
        ],
        "hosts": ["10.1.84.31"],
    }
    finding = report["findings"][0]
    assert (finding["first"], finding["last"]) == ("2025-11-01T12:26:40.000000000Z", "2025-11-01T12:27:41.564000000Z")
    assert finding["evidence"][1] == {
        "capture": 0,
        "frame": 109,
        "note": "lockd asks its own portmapper for status (100024): port 0",
        "time": "2025-11-01T12:26:40.001000000Z",
    }
    assert finding["display_filters"] == [{"capture": 0, "filter": "frame.number in {102,109,336}"}]
    assert finding["clients"] == ["10.1.84.41"]
    assert finding["explains"] == ["LCK002@10.1.84.31"]
    assert finding["remedy"][0] == "systemctl enable --now rpcbind rpc-statd"
    assert [finding["id"] for finding in report["findings"]] == ["REG001@10.1.84.31", "LCK002@10.1.84.31"]


def test_several_causes_refer_to_their_findings() -> None:
    report = document(SEVERAL)
    verdict = report["verdict"]
    assert (verdict["rule"], verdict["hosts"]) == ("REG001", ["10.1.84.31", "10.1.84.32", "127.0.0.1"])
    assert verdict["summary"].startswith("3 faults: ")
    assert [cause["finding"] for cause in verdict["causes"]] == [found["id"] for found in report["findings"][:3]]
    assert verdict["causes"][1]["summary"] == SEVERAL.diagnosis.verdict.causes[1].summary
    assert [found["explains"] for found in report["findings"][:2]] == [["LCK002@10.1.84.31"], ["LCK002@10.1.84.32"]]
    loopback = report["findings"][2]
    assert (loopback["host"], loopback["host_capture"]) == ("127.0.0.1", "node1-lo.pcap")
    assert loopback["remedy"] == ["rpcinfo -p 127.0.0.1"]
    assert report["findings"][0]["host_capture"] is None


def test_lines_of_a_kernel_log_are_about_the_server_that_they_name() -> None:
    """The client waits for both servers; what it writes about one is no matter of the other."""
    explanations = {found["id"]: found["explanation"] for found in document(SEVERAL)["findings"]}
    assert "server 10.1.84.31 not responding" in explanations["LCK002@10.1.84.31"]
    assert "kernel log" not in explanations["LCK002@10.1.84.32"]


def test_captures_and_programs_value_by_value() -> None:
    report = document(HEALTHY)
    capture = report["captures"][0]
    assert capture["file"] == "nfssrv-any.pcap"
    assert capture["linktypes"] == ["LINUX_SLL2"]
    assert capture["vantage"] == "server any"
    assert capture["quality"]["drops"] is None
    assert report["programs"][4] == {
        "program": "nlm",
        "version": 4,
        "procedure": "UNLOCK",
        "calls": 1,
        "replies": 0,
        "unanswered": 1,
        "retransmits": 0,
        "errors": 0,
        "latency": {"p50": None, "p95": None, "p99": None, "max": None},
    }


def test_what_is_missing_and_rules_that_failed_cannot_tell() -> None:
    assert document(CANNOT_TELL)["cannot_tell"] == [
        {
            "rule": "LCK001",
            "why": "no lock was asked for",
            "needs": {
                "vantage": "loopback of 10.1.84.31",
                "command": "tcpdump -i any -s 0 -B 8192 -w 10.1.84.31.pcap "
                "'host 127.0.0.1 or host ::1 or host 10.1.84.41'",
            },
        },
        {"rule": "LCK004", "why": "the rule failed: KeyError: 'status'", "needs": None},
    ]


def test_settings_in_force_and_what_was_skipped() -> None:
    written = json.loads(render(LEFT_OUT))
    assert errors(written) == []
    assert written["settings"] == {
        "file": "/srv/nfsrpc.toml",
        "select": [],
        "ignore": ["NFS001"],
        "thresholds": {"LCK002": {"late_s": 90.0}},
    }
    assert written["skipped"] == [
        {"file": "ring.pcap1", "reason": "is empty", "remedy": "tcpdump -U writes packets as they come"},
        {"file": "caf\\udce9.pcap", "reason": "no such file", "remedy": None},
    ]
    assert [capture["damage"] for capture in written["captures"]] == ["its gzip stream is cut off"]
    assert document(HEALTHY)["settings"] == {"file": None, "select": [], "ignore": [], "thresholds": {}}
    assert document(HEALTHY)["skipped"] == []


def test_no_rule_leads_unless_there_is_a_fault() -> None:
    assert document(HEALTHY)["verdict"]["rule"] is None
    assert document(LIKELY)["verdict"]["rule"] == "REG001"


def test_lines_of_kernel_logs_stand_in_the_explanation() -> None:
    explanation = document(CERTAIN)["findings"][0]["explanation"]
    assert explanation.endswith(
        'To expect in the kernel log of 10.1.84.41: "lockd: server 10.1.84.31 not responding, still trying" about '
        '2025-11-01 12:27:40 UTC, "lockd: server 10.1.84.31 OK" about 2025-11-01 12:27:41 UTC.'
    )
    assert "dmesg" not in document(CERTAIN)


def test_kernel_logs_that_were_given_are_one_more_key() -> None:
    written = json.loads(render(LOGGED))
    assert errors(written) == []
    assert written["dmesg"] == [
        {
            "file": "cl1.txt",
            "clock": "it has the time of the boot",
            "lines": [
                {
                    "time": "2025-11-01T12:27:40.500000000Z",
                    "text": "lockd: server 10.1.84.31 not responding, still trying",
                    "explained_by": ["REG001@10.1.84.31", "LCK002@10.1.84.31"],
                    "captured": True,
                },
                {
                    "time": "2025-11-01T12:28:00.000000000Z",
                    "text": "lockd: cannot monitor \x1b[2J",
                    "explained_by": [],
                    "captured": True,
                },
            ],
        }
    ]


def test_a_fleet_value_by_value() -> None:
    """Rows refer to the findings that have the frames, and nodes are named as they are."""
    report = document(FLEET)
    fleet = report["fleet"]
    assert fleet["hosts_to_fix"][0] == {
        "host": "10.1.84.31",
        "host_capture": None,
        "rule": "REG001",
        "name": "statd-not-registered",
        "severity": "error",
        "certainty": "certain",
        "clients": ["10.1.84.41", "10.1.84.42"],
        "at_least": False,
        "longest_wait": 61.564,
        "findings": ["REG001@10.1.84.31"],
    }
    assert [row["host_capture"] for row in fleet["hosts_to_fix"]] == [None, None, "node1-lo.pcap"]
    assert {finding for row in fleet["hosts_to_fix"] for finding in row["findings"]} <= {
        found["id"] for found in report["findings"]
    }
    assert fleet["nodes"][2] == {
        "name": "<b>x</b>\n\x1b[2J",
        "files": 3,
        "state": "cannot-tell",
        "summary": "Cannot tell whether locks work: no lock requests.",
    }
    assert fleet["unknown"][1] == {
        "why": "the wire of 10.1.84.32 was not captured",
        "rules": ["NET001"],
        "nodes": ["nfssrv", "web|1"],
    }
    assert fleet["one_more"] == {
        "vantage": "wire of 10.1.84.32",
        "command": "tcpdump -i any -s 0 -B 8192 -w 10.1.84.32.pcap 'not port 22'",
        "questions": 1,
        "rules": ["NET001"],
    }
    assert (fleet["unaligned"], fleet["cached"], len(fleet["uncached"])) == (5, 2, 1)
    assert "fleet" not in document(CERTAIN)


def test_a_fleet_has_bounds() -> None:
    assert FLEET.fleet
    overview = FLEET.fleet._replace(nodes=FLEET.fleet.nodes * 2501, one_more=None)
    report = document(FLEET._replace(fleet=overview))
    assert (len(report["fleet"]["nodes"]), report["fleet"]["omitted_nodes"]) == (10_000, 4)
    assert report["fleet"]["one_more"] is None
    assert errors(report) == []
