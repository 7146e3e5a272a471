"""`nfsrpc carve --anonymize`: a capture for others, the key and the map for its owner, and when nothing is written."""

import stat
from collections import Counter
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc.carving import leaks
from nfsrpc.carving.anonymize import frames_of
from tests.captures_dir import Capture, captures
from tests.cli.command import run
from tests.scenario import Scenario

ORIGINALS = (b"cl1", b"nfssrv", b"lockme", b"export", bytes((10, 1, 84)), bytes.fromhex("525400840031"))


@pytest.fixture(scope="module")
def statd(samples: Path) -> Path:
    return samples / "server-without-statd" / "nfssrv-any.pcap"


def anonymized(*args: str | Path) -> str:
    result = run("carve", *args, "--anonymize")
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_verdict_is_about_pseudonyms(statd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert all(original in statd.read_bytes() for original in ORIGINALS)
    report = anonymized(statd, "-o", out)
    assert not any(original in out.read_bytes() for original in ORIGINALS)
    before, after = nfsrpc.read(statd).verdict, nfsrpc.read(out).verdict
    assert report == f"{out}: 31 of 401 frames, anonymized. {after.summary}\n"
    assert (after.rule, after.state) == (before.rule, before.state) == ("REG001", "fault")
    assert "61.6 s" in after.summary
    assert before.hosts[0] not in report


@pytest.mark.acceptance
@pytest.mark.parametrize("capture", captures("samples"))
def test_every_sample(capture: Capture, tmp_path: Path) -> None:
    """By default for the fault; a healthy capture, and one of which nothing can be told, as a whole."""
    out = tmp_path / "out.pcapng"
    before = nfsrpc.read(capture.path).verdict
    anonymized(capture.path, "-o", out, *([] if before.state == "fault" else ["--frames", "all"]))
    after = nfsrpc.read(out).verdict
    assert (after.rule, after.state) == (before.rule, before.state)
    assert [(cause.rule, cause.certainty) for cause in after.causes] == [
        (cause.rule, cause.certainty) for cause in before.causes
    ]
    assert not set(after.hosts) & set(before.hosts)


def test_without_a_key_pseudonyms_are_new_every_time(statd: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        anonymized(statd, "-o", tmp_path / name)
    assert nfsrpc.read(tmp_path / "one").verdict.hosts != nfsrpc.read(tmp_path / "other").verdict.hosts


def test_a_key_keeps_them(samples: Path, statd: Path, tmp_path: Path) -> None:
    """The server is the same in a capture of its client."""
    key = tmp_path / "key"
    for name, capture in (("one", statd), ("other", samples / "server-without-statd" / "cl1-eth0.pcap")):
        anonymized(capture, "-o", tmp_path / name, "--key", key)
    assert nfsrpc.read(tmp_path / "one").verdict.hosts == nfsrpc.read(tmp_path / "other").verdict.hosts
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key.read_text())) == 32


def test_the_map_is_for_the_owner(statd: Path, tmp_path: Path) -> None:
    out, originals = tmp_path / "out.pcapng", tmp_path / "map"
    originals.touch(0o644)
    anonymized(statd, "-o", out, "--map", originals)
    assert stat.S_IMODE(originals.stat().st_mode) == 0o600
    rows = [line.split("\t") for line in originals.read_text().splitlines()]
    known = {(kind, original): replaced for kind, original, replaced in rows}
    assert nfsrpc.read(out).verdict.hosts == (known["address", "10.1.84.31"],)
    assert known["address", "127.0.0.1"] == "127.0.0.1"
    path = nfsrpc.read(out).tables["locks"]["file"].tolist()[0]
    assert path == f"/{known['name', 'export']}/{known['name', 'lockme']}"
    assert known["text", "/export"] == f"/{known['name', 'export']}"
    assert known["MAC", "525400840031"].encode() not in ORIGINALS
    assert Counter(kind for kind, _ in known)["handle"] >= 2


def test_names_of_an_attacker_in_the_map(tmp_path: Path) -> None:
    s = Scenario()
    server, client = s.host("10.1.84.31"), s.host("10.1.84.41")
    client.mount(server, "/export/\x1b[2J\nname\tforged\tx")
    capture, out, originals = tmp_path / "trace.pcap", tmp_path / "out", tmp_path / "map"
    capture.write_bytes(s.capture())
    anonymized(capture, "-o", out, "--map", originals, "--frames", "all")
    assert all(line.count("\t") == 2 for line in originals.read_text().splitlines())
    assert "\x1b" not in originals.read_text()


def test_what_is_left_out_is_named(statd: Path, tmp_path: Path) -> None:
    result = run("carve", statd, "-o", tmp_path / "out", "--anonymize", "--frames", "all")
    assert result.stderr.splitlines() == [
        "nfsrpc: left out: 4 frames of ICMP that are no errors",
        "nfsrpc: left out: 4 frames without IP",
    ]
    assert result.stdout.startswith(f"{tmp_path / 'out'}: 393 of 401 frames, anonymized. ")


@pytest.mark.parametrize("wrong", ["", "00", "zz" * 32, "00" * 33])
def test_a_file_that_is_no_key(statd: Path, tmp_path: Path, wrong: str) -> None:
    key, out = tmp_path / "key", tmp_path / "out"
    key.write_text(wrong)
    key.chmod(0o600)
    result = run("carve", statd, "-o", out, "--anonymize", "--key", key)
    assert result.exit_code == 2
    assert result.stderr == f"nfsrpc: {key}: no key of nfsrpc carve (64 hexadecimal digits): name a new file\n"
    assert not out.exists()
    assert key.read_text() == wrong


def test_a_key_that_others_may_read(statd: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("00" * 32)
    key.chmod(0o640)
    result = run("carve", statd, "-o", tmp_path / "out", "--anonymize", "--key", key)
    assert (result.exit_code, result.stderr) == (
        2,
        f"nfsrpc: {key}: others may read this key: chmod 600, or name a new file\n",
    )
    key.chmod(0o600)
    anonymized(statd, "-o", tmp_path / "out", "--key", key)


def test_files_of_the_owner_that_cannot_be_written(statd: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "out", tmp_path / "absent" / "file"
    for option, what in (("--key", "used as a key"), ("--map", "written")):
        result = run("carve", statd, "-o", out, "--anonymize", option, file)
        assert result.exit_code == 2
        assert result.stderr.endswith(f"nfsrpc: {file}: cannot be {what}: No such file or directory\n")
        assert not out.exists()


def test_options_without_anonymize(statd: Path, tmp_path: Path) -> None:
    for option in ("--key", "--map"):
        result = run("carve", statd, "-o", tmp_path / "out", option, tmp_path / "file")
        assert (result.exit_code, result.stderr) == (2, "nfsrpc: --key and --map are of --anonymize\n")
        assert not list(tmp_path.iterdir())


def test_one_name_for_two_files(statd: Path, tmp_path: Path) -> None:
    result = run("carve", statd, "-o", tmp_path / "a", "--anonymize", "--map", tmp_path / "." / "a")
    assert (result.exit_code, result.stderr) == (2, "nfsrpc: --output, --key and --map name one file\n")


def test_the_map_may_not_replace_the_capture(statd: Path, tmp_path: Path) -> None:
    capture = tmp_path / "trace.pcap"
    capture.write_bytes(statd.read_bytes())
    result = run("carve", capture, "-o", tmp_path / "out", "--anonymize", "--map", capture)
    assert (result.exit_code, result.stderr) == (
        2,
        f"nfsrpc: {capture} holds captures, and would be lost: name another file\n",
    )
    assert capture.read_bytes() == statd.read_bytes()


def test_more_than_is_held_at_once(statd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(len(frame.bytes) for frame in frames_of(nfsrpc.read(statd)))
    for limit in (size, size - 1):
        monkeypatch.setattr("nfsrpc.carving.anonymize.MAX_BYTES", limit)
        result = run("carve", statd, "-o", tmp_path / "out", "--anonymize", "--frames", "all")
        assert (result.exit_code == 0) == (limit == size), result.stderr
    assert result.stderr == "nfsrpc: more than 0 MiB to anonymize: choose fewer frames with --where or --frames\n"


def test_nothing_is_written_when_the_proof_fails(statd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, originals = tmp_path / "out", tmp_path / "map"
    out.write_text("an older one")
    monkeypatch.setattr(leaks, "find", lambda *_: "the name cl1 is left at byte 7 of the result")
    result = run("carve", statd, "-o", out, "--anonymize", "--map", originals)
    assert result.exit_code == 2
    assert result.stderr == "nfsrpc: not written: the name cl1 is left at byte 7 of the result\n"
    assert out.read_text() == "an older one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_left_out_may_change_the_verdict(tmp_path: Path) -> None:
    """The lock that is waited for is on a connection with credentials that are left out."""
    s = Scenario()
    server, client = s.host("10.1.84.31"), s.host("10.1.84.41")
    for _ in range(3):
        client.getattr(server, "/srv/file")
    lock = client.lock(server, "/srv/lock")
    s.wait(70)
    lock.granted()
    data = s.capture()
    # AUTH_SYS of the lock's connection becomes RPCSEC_GSS: the flavor behind program 100021, version 4, LOCK.
    called = b"\0\1\x86\xb5\0\0\0\4\0\0\0\2\0\0\0\1"
    assert called in data
    capture, out = tmp_path / "trace.pcap", tmp_path / "out"
    capture.write_bytes(data.replace(called, called[:-1] + b"\6"))
    result = run("carve", capture, "-o", out, "--anonymize", "--frames", "all")
    assert result.exit_code == 0, result.stderr
    assert "of RPCSEC_GSS" in result.stderr
    assert "LOCK" not in nfsrpc.read(out).calls["procedure"].tolist()
