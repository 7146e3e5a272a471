"""Results of benchmarks: README.md quotes the newest ones, as they are."""

import json
from pathlib import Path

import pytest

from benchmarks import results

JOBS = {
    "nfsrpc analyze": {"wall": 0.5, "cpu": 0.4, "memory": 120_000_000},
    "tcpdump -w /dev/null": {"wall": 0.5, "cpu": 0.1, "memory": 10_000_000},
    "tshark -Y nlm": {"wall": 20.0, "cpu": 20.0, "memory": 800_000_000},
}
RESULT = {
    "date": "2026-11-29",
    "commit": "a47d75b",
    "machine": {"processors": "2 × x86", "tshark": "4.0.17"},
    "packets": 1_000_000,
    "captures": {
        "small": {
            "frames": 1_000_000,
            "jobs": JOBS,
            "part": {
                "nfsrpc analyze": {"cpu": 0.2},
                "dpkt, each segment": {"cpu": 0.14},
                "scapy, each segment": {"cpu": 1.5},
            },
        },
        "storm": {"frames": 1_000_000, "jobs": JOBS},
    },
}
TABLE = """\
| capture | `analyze` | tcpdump | nfstrace | tshark | dpkt | scapy | pyshark's way |
|---|---:|---:|---:|---:|---:|---:|---:|
| small | 2.5 M/s, 120 MB | 0.25 × | – | 50 × | 35 × | 380 × | – |
| storm | 2.5 M/s, 120 MB | 0.25 × | – | 50 × | – | – | – |

2026-11-29, 1,000,000 packets per capture, commit a47d75b; processors 2 × x86, tshark 4.0.17.
"""


def test_the_table_of_ratios() -> None:
    """What is measured on a hundredth counts a hundred times."""
    assert "".join(f"{line}\n" for line in results.table(RESULT)) == TABLE


def test_the_readme_quotes_the_newest_result() -> None:
    text = results.README.read_text(encoding="utf-8")
    assert results.QUOTED.search(text)
    assert results.with_ratios(text, results.newest()) == text


def test_a_result_is_appended_and_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "FILE", tmp_path / "results" / "bench.jsonl")
    monkeypatch.setattr(results, "README", tmp_path / "README.md")
    results.README.write_text("before\n<!-- speed: of benchmarks -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    results.append({**RESULT, "date": "2026-11-28"})
    results.append(RESULT)
    lines = results.FILE.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["date"] for line in lines] == ["2026-11-28", "2026-11-29"]
    assert (
        results.README.read_text(encoding="utf-8")
        == f"before\n<!-- speed: of benchmarks -->\n{TABLE}<!-- end -->\nafter\n"
    )


def test_versions_are_found() -> None:
    found = results.machine()
    assert {"processors", "kernel", "load", "Python"} <= found.keys()
    assert "unknown" not in found.values()
