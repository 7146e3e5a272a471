"""The Markdown report: what it says, and that nothing in a capture becomes markup."""

import re

import pytest

from nfsrpc.findings.command import Command
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.report.markdown import escaped, fenced, render
from tests.report.samples import (
    CANNOT_TELL,
    CERTAIN,
    HEALTHY,
    LEFT_OUT,
    LIKELY,
    LOGGED,
    SAMPLES,
    SEVERAL,
    SILENT,
    STATD,
)


def section(text: str, title: str) -> list[str]:
    """The lines under a heading, without empty ones."""
    _, _, rest = text.partition(f"### {title}\n")
    return [line for line in rest.split("\n#")[0].splitlines() if line]


def test_verdict_proof_and_cure() -> None:
    text = render(CERTAIN)
    assert text.startswith("## Fault: REG001 statd-not-registered (certain)\n\n**10.1.84.31 runs no rpc.statd: ")
    assert "- Host to fix: 10.1.84.31\n- Clients: 10.1.84.41\n" in text
    assert section(text, "Proof")[3] == (
        "| 12:26:40.001 | nfssrv-any.pcap:109 | lockd asks its own portmapper for status (100024): port 0 |"
    )
    assert section(text, "Proof")[-1] == ("Wireshark display filter, nfssrv-any.pcap: `frame.number in {102,109,336}`")
    assert section(text, "Fix, on 10.1.84.31")[:2] == ["```sh", "systemctl enable --now rpcbind rpc-statd"]
    assert section(text, "Verify") == [
        "```sh",
        "rpcinfo -t 10.1.84.31 100024",
        "time flock -x /mnt/testfile true   # on a client that holds no lock yet",
        "```",
    ]
    assert section(text, "Explains")[2].startswith(
        "| error | LCK002 lock-request-answered-late | 10.1.84.31 | 1 lock request"
    )


def test_each_of_several_faults_has_its_proof_and_remedy() -> None:
    text = render(SEVERAL)
    assert text.startswith("## Fault: 3 faults\n\n**3 faults: rpc.statd is not registered on 10.1.84.31; ")
    first, second, third = (part.split("\n### Also found")[0] for part in re.split(r"### Fault \d of 3: ", text)[1:])
    assert first.startswith("REG001 statd-not-registered (certain)\n\n10.1.84.31 runs no rpc.statd; ")
    assert "systemctl enable --now rpcbind rpc-statd" in first
    assert second.startswith("NET001 service-port-filtered (likely)\n\nLockd of 10.1.84.32 cannot be reached; ")
    assert "| 12:26:45 | nfssrv-any.pcap:31 | SYN to port 32803" in second
    assert ("answered after 61.6 s" in first, "was not sent for 31 s" in second) == (True, True)
    assert "#### Fix, on 127.0.0.1 (node1-lo.pcap)\n\n```sh\nrpcinfo -p 127.0.0.1\n```" in third


def test_settings_in_force_and_what_was_skipped() -> None:
    text = render(LEFT_OUT)
    assert section(text, "Settings in force") == [
        "- of /srv/nfsrpc.toml",
        "- without the rules NFS001",
        "- LCK002.late\\_s = 90",
    ]
    assert section(text, "Skipped") == [
        "- ring.pcap1: is empty (tcpdump -U writes packets as they come)",
        "- caf\\\\udce9.pcap: no such file",
    ]
    assert "Settings in force" not in render(HEALTHY)
    assert "Skipped" not in render(HEALTHY)


def test_what_is_likely_names_the_other_causes_and_how_to_be_sure() -> None:
    text = render(LIKELY)
    assert section(text, "To be sure")[2].startswith("tcpdump -i any")
    assert [line.split(" | ")[0] for line in section(text, "Causes that fit, most probable first")[2:]] == [
        "| REG001 statd-not-registered",
        "| MON002 monitor-slow",
    ]


def test_healthy_and_cannot_tell() -> None:
    assert render(HEALTHY).startswith("## Healthy\n\n**5 lock requests of 1 client, all answered within 12 ms.**\n")
    assert section(render(HEALTHY), "Passed")[2] == "| LCK001 | 5 lock requests, all answered |"
    text = render(CANNOT_TELL)
    assert text.startswith("## Cannot tell\n")
    assert "Capture the loopback of 10.1.84.31, while a lock hangs:\n\n```sh\ntcpdump" in text
    assert text.count("tcpdump") == 1
    assert section(text, "Unknown")[0] == "- LCK001: no lock was asked for; shown by: loopback of 10.1.84.31"
    assert "  - the file ends within a record: analysed up to there\n" in text


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_have_as_many_cells_as_their_head(name: str) -> None:
    rows = [line for line in render(SAMPLES[name]).splitlines() if line.startswith("|")]
    cells = [row.replace("\\|", "").count("|") for row in rows]
    heads = [index - 1 for index, row in enumerate(rows) if row.startswith("|---")]
    for head, end in zip(heads, [*heads[1:], len(rows)], strict=False):
        assert len(set(cells[head:end])) == 1


def test_names_of_a_capture_are_no_markup() -> None:
    evil = "<script>|`x`[a](b)*_\n# head"
    finding = Finding(**{**vars(STATD), "clients": (evil,), "explanation": evil})
    text = render(CERTAIN._replace(diagnosis=Diagnosis(CERTAIN.diagnosis.verdict, (finding,))))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\n# head" not in text
    assert escaped("a|b") == "a\\|b"


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert fenced([Command("echo ```")]) == ["````sh", "echo ```", "````"]


def test_kernel_logs() -> None:
    assert section(render(CERTAIN), "To expect in kernel logs")[2:] == [
        "| 2025-11-01 12:27:40 UTC | 10.1.84.41 | lockd: server 10.1.84.31 not responding, still trying |",
        "| 2025-11-01 12:27:41 UTC | 10.1.84.41 | lockd: server 10.1.84.31 OK |",
    ]
    assert section(render(LOGGED), "Kernel log cl1.txt") == [
        "Clock: it has the time of the boot.",
        "| time | line | explanation |",
        "|---|---|---|",
        f"| 2025-11-01 12:27:40 UTC | {SILENT.text} | explained by REG001@10.1.84.31, LCK002@10.1.84.31 |",
        "| 2025-11-01 12:28:00 UTC | lockd: cannot monitor \\\\x1b\\[2J | not explained |",
    ]
