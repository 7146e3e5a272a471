"""Kernel logs in the forms of dmesg and journalctl."""

from pathlib import Path

import pytest

from nfsrpc.sources import SourceError
from nfsrpc.sources.dmesg import Line, log_of, read_log

TEXT = "lockd: server 10.1.84.31 not responding, still trying"
AT = 1_795_325_560_000_000_000  # 2026-11-22 05:32:40 UTC


@pytest.mark.parametrize(
    ("line", "clock", "time", "host"),
    [
        (f"[   93.129579] {TEXT}", "boot", 93_129_579_000, None),
        (f"<4>[   93.129579] {TEXT}", "boot", 93_129_579_000, None),
        (f"kern  :warn  : [   93.129579] {TEXT}", "boot", 93_129_579_000, None),
        (f"[   93.129579] cl1 kernel: {TEXT}", "boot", 93_129_579_000, "cl1"),
        (f"[Sun Nov 22 05:32:40 2026] {TEXT}", "local", AT, None),
        (f"[Sun Nov  1 05:32:40 2026] {TEXT}", "local", AT - 21 * 86_400 * 10**9, None),
        (f"2026-11-22T05:32:40,071234+00:00 {TEXT}", "utc", AT + 71_234_000, None),
        (f"2026-11-22T06:32:40+0100 cl1 kernel: {TEXT}", "utc", AT, "cl1"),
        (f"2026-11-22 05:32:40 cl1 kernel: {TEXT}", "local", AT, "cl1"),
        (f"Nov 22 05:32:40 cl1 kernel: {TEXT}", "local", AT, "cl1"),
        (f"Nov 22 05:32:40 cl1 kernel: [   93.129579] {TEXT}", "local", AT, "cl1"),
    ],
)
def test_forms(line: str, clock: str, time: int, host: str | None) -> None:
    log = log_of("a.txt", f"-- Logs begin at Sun. --\n{line}\n", about=AT)
    assert (log.clock, log.booted) == (clock, None)
    assert log.lines == (Line(2, time, host, TEXT),)


def test_a_line_without_year_is_of_the_year_nearest_to_the_captures() -> None:
    january = AT + 45 * 86_400 * 10**9
    (line,) = log_of("a.txt", f"Dec 31 23:59:59 cl1 kernel: {TEXT}", about=january).lines
    assert abs(line.time - january) < 10 * 86_400 * 10**9


def test_only_lines_about_nfs_are_kept() -> None:
    text = "\n".join(
        [
            "[    0.000000] Linux version 6.1.0 (nfs@example)",
            "[    0.000000] Command line: nfsroot=/srv",
            "[    1.000000] RPC: Registered udp transport module.",
            "[    1.100000] e1000: eth0 NIC Link is Up",
            "[   17.000000] NFSD: starting 90-second grace period (net f0000000)",
            "[   43.000000] lockd: cannot monitor cl1",
            "[   44.000000] nfs: server 10.1.84.31 not responding, still trying",
        ]
    )
    assert [line.number for line in log_of("a.txt", text).lines] == [5, 6, 7]


def test_a_line_may_tell_when_the_host_booted() -> None:
    log = log_of("a.txt", f"[   93.129579] {TEXT}\n\n# clock: dmesg 0.0 = epoch 1795325466.941\n")
    assert log.booted == 1_795_325_466_941_000_000


def test_what_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a kernel log"):
        log_of("a.txt", "all: build\n\tmake\n")
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        read_log(str(tmp_path / "none.txt"))
    (tmp_path / "odd.txt").write_bytes(b"[   93.129579] lockd: server \xff OK\n[Xxx Foo 99 99:99:99 2026] lockd: x\n")
    assert [line.text for line in read_log(str(tmp_path / "odd.txt")).lines] == ["lockd: server \ufffd OK"]


@pytest.mark.parametrize("seconds", ["9" * 11 + ".0", "9" * 1_000_000 + ".0", "1." + "9" * 10])
def test_a_time_that_is_none_is_passed(seconds: str) -> None:
    lines = (f"[{seconds}] lockd: a", "[9999999999.999999999] lockd: b", f"# clock: dmesg 0.0 = epoch {seconds}")
    log = log_of("dmesg", "\n".join(lines))
    assert [line.text for line in log.lines] == ["lockd: b"]
    assert log.booted is None
