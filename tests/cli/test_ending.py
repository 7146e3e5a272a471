"""How the process ends: nothing that goes wrong ends with 0 or 1, or with more than a line."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from nfsrpc import cli
from nfsrpc.cli import application, ending
from nfsrpc.cli.ending import EXIT_CODES, exit_code_of
from nfsrpc.diagnosis import catalogue
from nfsrpc.findings.finding import Answer
from tests.cli.command import ENVIRONMENT, run, shell


@pytest.fixture
def contended(samples: Path) -> Path:
    return samples / "contended" / "nfssrv-any.pcap"


@pytest.fixture
def statd(samples: Path) -> Path:
    return samples / "server-without-statd" / "nfssrv-any.pcap"


def bash(command: str, *args: str | Path) -> subprocess.CompletedProcess[bytes]:
    """A command of bash, where `nfsrpc` is this one and $1, $2, ... are the arguments."""
    script = f'nfsrpc() {{ "{sys.executable}" -m nfsrpc "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", script, "bash", *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("kilobytes", "is_named"), [(112_639, True), (112_640, False)])
def test_too_little_memory_to_begin_with_is_one_line(statd: Path, kilobytes: int, is_named: bool) -> None:
    """With less, OpenBLAS would end the process with 1, the exit code of a fault."""
    ended = bash(f"ulimit -v {kilobytes}; nfsrpc analyze $1", statd)
    line = b"nfsrpc: out of memory: 109 MB are allowed, at least 110 are needed (ulimit -v)\n"
    assert (ended.stderr == line) == is_named
    assert ended.returncode == 2 or not is_named


# The standard streams


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("nfsrpc analyze $1 >&-", 2, "nfsrpc: standard output: cannot be written: Bad file descriptor\n"),
        ("nfsrpc table calls $1 >&-", 2, "nfsrpc: standard output: cannot be written: Bad file descriptor\n"),
        (
            "nfsrpc table calls $1 >/dev/full",
            2,
            "nfsrpc: standard output: cannot be written: No space left on device\n",
        ),
        ("nfsrpc --version >/dev/full", 2, "nfsrpc: input or output: No space left on device\n"),
        ("nfsrpc --help >/dev/full", 2, "nfsrpc: input or output: No space left on device\n"),
        ("nfsrpc analyze - <&-", 2, "nfsrpc: standard input: is closed\n"),
        ("nfsrpc analyze missing.pcap 2>&-", 2, ""),
        ("nfsrpc analyze missing.pcap 2>/dev/full", 2, ""),
        ("nfsrpc analyse 2>/dev/full", 2, ""),
        ("nfsrpc analyze $1 <&- 2>&- | grep -c HEALTHY; exit ${PIPESTATUS[0]}", 0, ""),
        ("nfsrpc --help | true; exit $((PIPESTATUS[0] & ~2))", 0, ""),
    ],
)
def test_streams_that_are_closed_or_full(contended: Path, command: str, code: int, says: str) -> None:
    result = bash(command, contended)
    assert (result.returncode, result.stderr.decode()) == (code, says)


def test_a_file_does_not_take_the_place_of_a_closed_stream(contended: Path, tmp_path: Path) -> None:
    """Else what is printed would be written into it."""
    before = contended.read_bytes()
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(before)
    assert bash("nfsrpc analyze $1 <&- >&- 2>&-", copy).returncode == 2
    assert copy.read_bytes() == before


def test_what_cannot_be_flushed_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        print("FAULT")
        assert exit_code_of(lambda: 1) == 2
    assert capsys.readouterr().err == "nfsrpc: standard output: cannot be written: No space left on device\n"


# Exceptions


class Panic(BaseException):
    """As pyo3 has for panics of Rust."""


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raising(error: BaseException) -> Callable[..., int]:
    def command(*_args: object) -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyError("status"), 70, "KeyError: 'status' (nfsrpc/cli/ending.py:"),
        (RecursionError("too deep"), 70, "RecursionError: too deep (nfsrpc/cli/ending.py:"),
        (EOFError(), 70, "EOFError: (nfsrpc/cli/ending.py:"),
        (Panic("core"), 70, "Panic: core (nfsrpc/cli/ending.py:"),
        (SystemExit(0), 70, "SystemExit: 0 (nfsrpc/cli/ending.py:"),
        (Unspeakable(), 70, "this is a bug of nfsrpc"),
        (MemoryError(), 2, "out of memory"),
        (OSError(28, "No space left on device"), 2, "input or output: No space left on device"),
        (OSError(5, "Input/output error", "trace.pcap"), 2, "trace.pcap: Input/output error"),
    ],
)
def test_an_exception_is_one_line_and_no_verdict(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(raising(error)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"nfsrpc: {says}")
    assert err.count("\n") == 1


def test_an_interruption_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


def test_what_a_capture_says_stays_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("a\nb \x1b[2J" + "x" * 10_000)
    exit_code_of(raising(error))
    line = capsys.readouterr().err
    assert line.startswith("nfsrpc: ValueError: a b \\x1b[2Jxxx")
    assert line.count("\n") == 1
    assert len(line) < 700
    exit_code_of(raising(error), debug=True)
    assert "\x1b" not in capsys.readouterr().err


def test_debug_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of(raising(KeyError("status")), debug=True)
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):\n")
    assert f'File "{__file__}"' in err
    assert err.splitlines()[-1].startswith("nfsrpc: KeyError: 'status'")


@pytest.mark.parametrize(
    ("arguments", "options", "others"),
    [
        (["--debug", "analyze", "x"], ["--debug"], ["analyze", "x"]),
        (["analyze", "x", "--debug"], ["--debug"], ["analyze", "x"]),
        (["analyze", "x"], [], ["analyze", "x"]),
        (["analyze", "--", "--debug"], [], ["analyze", "--", "--debug"]),
        (["analyze", "--color", "never", "x", "-q"], ["--color", "never", "-q"], ["analyze", "x"]),
        (["analyze", "--color=never", "x"], ["--color=never"], ["analyze", "x"]),
        (["analyze", "x", "--color"], ["--color"], ["analyze", "x"]),
        (["analyze", "--color", "--", "x"], ["--color"], ["analyze", "--", "x"]),
    ],
)
def test_options_of_nfsrpc_itself_may_stand_anywhere(
    arguments: list[str], options: list[str], others: list[str]
) -> None:
    assert cli.divided(arguments) == (options, others)


def test_colours_are_as_asked_for(statd: Path) -> None:
    badge = b"\x1b[1;38;5;231;48;5;160m FAULT \x1b[0m"
    assert shell("analyze", statd, "--color", "always", NO_COLOR="1").stdout.startswith(badge)
    assert shell("--color=never", "analyze", statd, FORCE_COLOR="1").stdout.startswith(b" FAULT ")
    assert shell("analyze", statd, FORCE_COLOR="1").stdout.startswith(badge)
    wrong = shell("analyze", statd, "--color", "sometimes")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr.startswith(b"nfsrpc: Invalid value for '--color': 'sometimes' is not one of ")


def test_quiet_is_one_line(statd: Path) -> None:
    result = shell("analyze", "-q", statd)
    assert (result.returncode, result.stderr) == (1, b"")
    assert result.stdout == (
        b"FAULT REG001 10.1.84.31: The server 10.1.84.31 has no rpc.statd registered; "
        b"10.1.84.41 (cl1) waited up to 61.6 s.\n"
    )


@pytest.mark.parametrize(
    ("file", "plain", "scripted"),
    [
        ("server-without-statd/nfssrv-any.pcap", 1, 1),
        ("contended/nfssrv-any.pcap", 0, 0),
        ("one-sided/snap96-srv-any.pcap", 0, 3),
    ],
)
def test_exit_codes_for_scripts(samples: Path, file: str, plain: int, scripted: int) -> None:
    data = (samples / file).read_bytes()
    for command, source in (("analyze", str(samples / file)), ("live", "-")):
        assert shell(command, source, stdin=data).returncode == plain
        assert shell(command, "--exit-code", source, stdin=data).returncode == scripted


def test_a_source_that_fails_is_bad_whatever_is_unknown(samples: Path) -> None:
    assert shell("live", "--exit-code", "-", stdin=b"").returncode == shell("live", "-", stdin=b"").returncode == 2


@pytest.mark.parametrize("command", ["analyze", "live"])
def test_help_has_the_same_words_on_exit_codes(command: str) -> None:
    assert " ".join(EXIT_CODES.split()) in " ".join(run(command, "--help").stdout.split())


@pytest.mark.parametrize(
    ("error", "code"),
    [(ZeroDivisionError(), 70), (EOFError(), 70), (MemoryError(), 2), (KeyboardInterrupt(), 130), (Panic(), 70)],
)
@pytest.mark.parametrize("arguments", [("analyze",), ("table", "calls"), ("show",), ("sql",), ("carve",)])
def test_no_command_catches_what_it_does_not_know(
    contended: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    error: BaseException,
    code: int,
) -> None:
    monkeypatch.setattr("nfsrpc.decode.merge", raising(error))
    further = {"show": ["1"], "sql": ["SELECT 1"], "carve": ["-o", str(tmp_path / "out")]}.get(arguments[0], [])
    assert exit_code_of(lambda: cli.run([*arguments, str(contended), *further])) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == (code != 130)
    assert list(tmp_path.iterdir()) == []


def test_the_place_of_a_bug_is_named(
    contended: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nfsrpc.report.contents.procedures_of", raising(ZeroDivisionError()))
    assert exit_code_of(lambda: cli.run(["analyze", str(contended)])) == 70
    assert "ZeroDivisionError: (nfsrpc/report/contents.py:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["analyse"], 2), ([], 2), (["analyze", "missing.pcap"], 2)]
)
def test_usage_keeps_its_codes(arguments: list[str], code: int) -> None:
    assert exit_code_of(lambda: cli.run(arguments)) == code


def test_a_fault_keeps_its_code(statd: Path) -> None:
    assert exit_code_of(lambda: cli.run(["analyze", str(statd)])) == 1


# The process


@pytest.fixture
def interrupts() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interruption_of_the_start_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nfsrpc", "analyze", "trace.pcap"])
    monkeypatch.setattr(cli, "gc", SimpleNamespace(disable=lambda: None, isenabled=lambda: True))
    for owner, name in ((cli, "open_closed_streams"), (application, "run"), (ending, "report_error")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, raising(KeyboardInterrupt()))
            if owner is ending:
                patch.setattr(application, "run", raising(KeyError()))
            with pytest.raises(SystemExit) as end:
                cli.main()
        assert end.value.code == 130
        assert capsys.readouterr() == ("", "")


def test_a_thread_that_is_left_does_not_abort_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []

    def leave(code: int) -> None:
        left.append(code)
        raise SystemExit

    monkeypatch.setattr(os, "_exit", leave)
    held = threading.Event()
    thread = threading.Thread(target=held.wait, daemon=True)
    thread.start()
    try:
        with pytest.raises(SystemExit):
            cli.leave(70)
    finally:
        held.set()
        thread.join()
    assert left == [70]


# Broken rules


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> list[Answer]:
        raise KeyError("status")

    made = catalogue.find("LCK001")._replace(check=check, parameters=())
    monkeypatch.setitem(catalogue.rules(), "LCK001", made)


SAYS = f"nfsrpc: rule LCK001 failed: KeyError: 'status'; {ending.REPORT_IT}\n"


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("format_", ["text", "json", "markdown", "html"])
def test_with_a_broken_rule_nothing_is_healthy(
    contended: Path, capsys: pytest.CaptureFixture[str], format_: str
) -> None:
    assert exit_code_of(lambda: cli.run(["analyze", str(contended), "--format", format_])) == 70
    out, err = capsys.readouterr()
    assert "Cannot tell whether all locks work: 1 rule failed, which is a bug of nfsrpc (LCK001)." in " ".join(
        out.split()
    )
    assert "KeyError: " in out
    assert "healthy" not in out.lower()
    assert err == SAYS


@pytest.mark.usefixtures("broken")
def test_with_a_broken_rule_the_report_of_a_fault_is_as_usual(statd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(lambda: cli.run(["analyze", str(statd)])) == 70
    out, err = capsys.readouterr()
    assert out.startswith(" FAULT   REG001")
    assert err == SAYS
    assert exit_code_of(lambda: cli.run(["analyze", str(statd)]), debug=True) == 70
    assert 'raise KeyError("status")' in capsys.readouterr().err


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("arguments", "further", "code"),
    [
        (["table", "findings"], [], 70),
        (["table", "calls"], [], 0),  # asks no rule
        (["sql"], ["SELECT rule FROM findings"], 70),
        (["carve"], ["-o", "OUT"], 70),
    ],
)
def test_with_a_broken_rule_every_command_that_asks_rules_says_so(
    statd: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    further: list[str],
    code: int,
) -> None:
    further = [str(tmp_path / "out.pcapng") if each == "OUT" else each for each in further]
    assert exit_code_of(lambda: cli.run([*arguments, str(statd), *further])) == code
    out, err = capsys.readouterr()
    assert out
    assert (SAYS in err) == (code == 70)


BROKEN_LIVE = """
import sys
from nfsrpc import cli
from nfsrpc.cli.ending import exit_code_of
from nfsrpc.diagnosis import catalogue
def check():
    raise KeyError("status")
made = catalogue.find("LCK001")._replace(check=check, parameters=())
catalogue.rules()["LCK001"] = made
sys.exit(exit_code_of(lambda: cli.run(["live", "-"])))
"""


@pytest.mark.parametrize("name", ["contended", "server-without-statd"])
def test_with_a_broken_rule_live_ends_so_too(samples: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN_LIVE],
        input=(samples / name / "nfssrv-any.pcap").read_bytes(),
        capture_output=True,
        env=ENVIRONMENT,
        timeout=60,
    )
    out = done.stdout.decode()
    assert done.returncode == 70
    assert ("HEALTHY" in out, "FAULT" in out) == (False, name != "contended")
    assert "LCK001 failed, which is a bug of nfsrpc" in out
    assert done.stderr.decode() == SAYS
