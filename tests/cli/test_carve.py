"""`nfsrpc carve`: what is carved says the same; and what is asked wrongly."""

import gzip
import subprocess
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc.raw import reread
from tests.captures_dir import Capture, captures
from tests.cli.command import run, shell
from tests.repro import CAPTURES
from tests.scenario import Scenario


@pytest.fixture(scope="module")
def statd(samples: Path) -> Path:
    return samples / "server-without-statd" / "nfssrv-any.pcap"


def carved(*args: str | Path) -> str:
    result = run("carve", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def frames(path: Path) -> list[int]:
    """The numbers that the frames of a carved capture had, as their comments say."""
    found = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-e", "frame.comment"], capture_output=True, text=True, check=True
    )
    return [int(line.split()[1]) for line in found.stdout.splitlines()]


@pytest.mark.parametrize("capture", captures("samples", "kernel", "repro"))
def test_what_is_carved_says_the_same(capture: Capture, tmp_path: Path) -> None:
    before = nfsrpc.read(capture.path)
    out = tmp_path / "carved.pcapng"
    result = run("carve", capture.path, "-o", out)
    if before.verdict.state != "fault":
        assert result.exit_code == 2
        assert "no fault is found in" in result.stderr
        assert not out.exists()
        return
    assert (result.exit_code, result.stderr) == (0, "")
    after = nfsrpc.read(out)
    assert after.verdict == before.verdict
    lead, again = before.diagnosis.findings[0], after.diagnosis.findings[0]
    assert (again.rule, again.certainty, again.host, again.files) == (lead.rule, lead.certainty, lead.host, lead.files)
    count = after.captures[0]["frames"]
    assert count <= before.captures[0]["frames"]
    assert result.stdout == f"{out}: {count} of {before.captures[0]['frames']} frames. {before.verdict.summary}\n"


def test_the_least_is_enough(statd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert carved(statd, "-o", out).startswith(f"{out}: 32 of 401 frames. ")
    trace = nfsrpc.read(out)
    assert [row.file for row in trace.tables["locks"].rows()] == ["/export/lockme"]


@pytest.mark.tshark
def test_frames_are_told_by_the_numbers_that_they_had(statd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert carved(statd, "-o", out, "--frames", "102, 331-333") == f"{out}: 10 of 401 frames\n"
    assert frames(out) == [99, 100, 101, 102, 328, 329, 330, 331, 332, 333]


def test_one_finding(tmp_path: Path) -> None:
    capture, out = tmp_path / "trace.pcap", tmp_path / "out.pcapng"
    capture.write_bytes(CAPTURES["getport-zero"]())
    assert {finding.rule for finding in nfsrpc.read(capture).diagnosis.findings} == {"REG001", "REG003"}
    carved(capture, "-o", out, "--finding", "statd-not-registered")
    assert "REG001" in {finding.rule for finding in nfsrpc.read(out).diagnosis.findings}


def test_calls_by_condition(statd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert carved(statd, "-o", out, "--where", "procedure == 'UNLOCK'") == f"{out}: 11 of 401 frames\n"
    calls = nfsrpc.read(out).tables["calls"]
    assert calls.values("procedure") == ["UNLOCK"] * 4
    assert calls.values("state") == ["answered"] * 4


def test_compressed_captures_are_carved_alike(statd: Path, tmp_path: Path) -> None:
    packed, out = tmp_path / "trace.pcap.gz", tmp_path / "out.pcapng"
    packed.write_bytes(gzip.compress(statd.read_bytes()))
    assert carved(packed, "-o", out).startswith(f"{out}: 32 of 401 frames. ")


def test_fragments_of_a_datagram_come_together(tmp_path: Path) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.lock(server, "/srv/a", transport="udp").granted()
    entries = [{"fileid": number, "name": f"file-{number:04}"} for number in range(100)]
    listing = client.call(server, "nfs3", "READDIRPLUS", transport="udp", dir=b"1")
    listing.reply(status="OK", entries=entries, eof=True)
    client.lock(server, "/srv/b", transport="udp").granted()
    capture, out = tmp_path / "trace.pcap", tmp_path / "out.pcapng"
    capture.write_bytes(s.capture(mtu=1500))
    whole = nfsrpc.read(capture)
    assert whole.captures[0]["frames"] > 6
    carved(capture, "-o", out, "--where", "procedure == 'READDIRPLUS'")
    calls = nfsrpc.read(out).tables["calls"]
    assert calls.values("procedure") == ["READDIRPLUS"]
    assert calls.values("state") == ["answered"]
    assert nfsrpc.read(out).captures[0]["frames"] == whole.captures[0]["frames"] - 4


def test_a_ring_is_one_capture(tmp_path: Path) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for svid in range(4):
        client.lock(server, svid=svid).granted(after=0.01)
        s.wait(1)
    ring, out = tmp_path / "ring", tmp_path / "out.pcapng"
    ring.mkdir()
    (ring / "a.pcap0").write_bytes(s.capture(until=2))
    (ring / "a.pcap1").write_bytes(s.capture(since=2))
    carved(ring, "-o", out, "--where", "procedure == 'LOCK'")
    trace = nfsrpc.read(out)
    assert [row.svid for row in trace.tables["locks"].rows()] == [0, 1, 2, 3]
    assert len(reread(trace.tables.decoded, [(0, 1)]).frames) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--finding", "LCK001", "--frames", "1"), "--finding, --where and --frames exclude each other"),
        (("--finding", "LCK009"), "LCK009 is not found in {file}"),
        (("--finding", "statd-not-registred"), "no rule statd-not-registred; did you mean statd-not-registered?"),
        (
            ("--frames", "1,x"),
            "x: not a frame; a number, a range as in 5-9, or the number of a file before it as in 1:11",
        ),
        (("--frames", "400-402"), "{file} has the frames 1-401, not 400-402"),
        (("--frames", "0"), "{file} has the frames 1-401, not 0"),
        (("--frames", "3:1"), "no capture 3: there are 1, counted from 0"),
        (("--where", "nonsense > 1"), "--where 'nonsense > 1': name 'nonsense' is not defined"),
    ],
)
def test_what_is_asked_wrongly(statd: Path, tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    out = tmp_path / "out.pcapng"
    result = run("carve", statd, "-o", out, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nfsrpc: {reason.format(file=statd)}")
    assert not out.exists()


def test_what_is_carved_from_is_not_overwritten(statd: Path, tmp_path: Path) -> None:
    capture = tmp_path / "trace.pcapng"
    capture.write_bytes(statd.read_bytes())
    result = run("carve", capture, "-o", capture)
    assert (result.exit_code, capture.read_bytes()) == (2, statd.read_bytes())
    assert result.stderr == f"nfsrpc: {capture} is what is to be carved from: name another file\n"


@pytest.mark.parametrize("name", ["out.pcap", "out.PCAP", "out.pcapng.gz", "out.snoop"])
def test_a_name_that_promises_another_format_is_refused(statd: Path, tmp_path: Path, name: str) -> None:
    result = run("carve", statd, "-o", tmp_path / name)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert f"{name}: what is written is pcapng" in result.stderr


def test_a_condition_that_no_call_meets_writes_nothing(statd: Path, tmp_path: Path) -> None:
    result = run("carve", statd, "-o", tmp_path / "out.pcapng", "--where", "latency_s > 3600")
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert result.stderr.startswith("nfsrpc: --where 'latency_s > 3600': no call of ")


def test_what_cannot_be_written_or_read_again(statd: Path, tmp_path: Path) -> None:
    result = run("carve", statd, "-o", tmp_path / "absent" / "out.pcapng")
    assert result.exit_code == 2
    assert result.stderr.endswith("out.pcapng: cannot be written: No such file or directory\n")
    piped = shell("carve", "-", "-o", tmp_path / "out.pcapng", stdin=statd.read_bytes())
    assert piped.returncode == 2
    assert piped.stderr == b"nfsrpc: standard input cannot be read again: save the capture to a file first\n"


def test_captures_that_overlap_in_time(samples: Path, tmp_path: Path) -> None:
    result = run("carve", samples / "server-without-statd", "-o", tmp_path / "out.pcapng")
    assert result.exit_code == 2
    assert result.stderr.startswith("nfsrpc: carve one capture at a time, or the files of one ring: ")


def test_too_many_frames_are_refused(statd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nfsrpc.carving.carve.MAX_FRAMES", 10)
    result = run("carve", statd, "-o", tmp_path / "out.pcapng")
    assert result.exit_code == 2
    assert result.stderr == "nfsrpc: 32 frames matter, more than 10: choose with --where or --frames\n"
