"""`nfsrpc table` on a terminal: the columns that matter, as many as fit, in a pager where the rows do not."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pandas as pd
import pytest
from rich.cells import cell_len

from nfsrpc.cli.shown_columns import FIRST, one_day, shown_columns
from nfsrpc.tables import TABLES
from tests.cli.command import ENVIRONMENT
from tests.scenario import Scenario

PAGER = "sed s/^/paged:/"


@pytest.fixture(scope="module")
def contended(samples: Path) -> Path:
    return samples / "contended" / "nfssrv-any.pcap"


def on_terminal(width: int, *args: str | Path, height: int = 50, pager: str = PAGER) -> tuple[list[str], str]:
    """The lines that appear on a terminal of this size, and what is on standard error."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = ENVIRONMENT | {"PAGER": pager, "TERM": "xterm"}
    for name in ("LINES", "COLUMNS"):  # which count before the terminal; readline sets them, in workers of pytest too
        environment.pop(name, None)
    command = [sys.executable, "-m", "nfsrpc", *map(str, args)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        read = b""
        try:
            while chunk := os.read(ours, 65536):
                read += chunk
        except OSError:  # the other end is closed
            pass
        assert process.stderr is not None
        said = process.stderr.read().decode()
    os.close(ours)
    assert process.returncode == 0
    return read.decode().replace("\r", "").splitlines(), said


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, "time client file owner state wait_s hold_s"),
        (140, "time client file owner state wait_s hold_s holder granted_by status_name server"),
    ],
)
def test_locks(contended: Path, width: int, columns: str) -> None:
    lines, said = on_terminal(width, "table", "locks", contended)
    assert lines[0].split() == columns.split()
    assert lines[2].startswith("05:37:48.209  10.1.84.42  /export/lockme  0@cl2  released  10.125   0.087")
    assert max(map(len, lines)) <= width
    count = len(columns.split())
    assert said == (
        f"nfsrpc: times of 2026-11-22 UTC; {count} of {len(TABLES['locks'].columns)} columns (--columns all)\n"
    )
    assert len(said) <= width


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", ["calls", "flows", "registrations", "nlm4", "captures"])
def test_no_line_is_longer_than_the_terminal(contended: Path, name: str, width: int) -> None:
    lines, _ = on_terminal(width, "table", name, contended, height=1000)
    assert len(lines) > 1
    assert max(map(len, lines)) <= width


def test_sentences_about_a_frame_are_broken_into_lines(contended: Path) -> None:
    lines, _ = on_terminal(80, "show", contended, "175")
    assert "  Lock session 0: exclusive lock of 0@cl1 at 10.1.84.41 on /export/lockme:" in lines
    assert "    asked in frame 156, granted in frame 175 after 82 ms, released in frame 228" in lines
    assert max(map(len, lines[1:])) <= 80
    whole, _ = on_terminal(200, "show", contended, "175")
    assert any(line.startswith("  Lock session 0: ") and line.endswith(" after 12.1 s") for line in whole)


def test_all_columns_when_asked_for(contended: Path) -> None:
    lines, said = on_terminal(80, "table", "hosts", contended, "--columns", "all")
    assert lines[0].split() == list(TABLES["hosts"].names)
    assert said == ""


def test_a_pager_shows_what_is_longer_than_the_screen(contended: Path) -> None:
    lines, _ = on_terminal(80, "table", "calls", contended, height=20)
    assert len(lines) > 20
    assert all(line.startswith("paged:") for line in lines)
    short, _ = on_terminal(80, "table", "locks", contended, height=20)
    assert not any(line.startswith("paged:") for line in short)


@pytest.mark.parametrize("pager", ["", "no-such-pager", '"'])
def test_without_a_pager_all_is_printed(contended: Path, pager: str) -> None:
    lines, _ = on_terminal(80, "table", "calls", contended, height=20, pager=pager)
    assert lines[0].startswith("call_frame")
    assert len(lines) > 20


@pytest.mark.parametrize("name", TABLES)
def test_what_is_shown_of_a_table_is_a_column_of_it(name: str) -> None:
    columns = FIRST[name].split()
    assert len(columns) == len(set(columns)) >= 5
    assert set(columns) <= set(TABLES[name].names)


def test_columns_without_values_take_no_room() -> None:
    frame = pd.DataFrame({"frame": [1], "time": [pd.Timestamp("2026-01-31", tz="UTC")], "kind": [None], "detail": [7]})
    assert shown_columns("oddities", frame) == ["frame", "time", "detail"]
    assert shown_columns("oddities", frame.iloc[:0]) == ["frame", "time", "kind", "detail"]


def test_of_several_captures_a_frame_has_its_capture_before_it() -> None:
    names = ["capture", "call_frame", "time", "client", "reply_frame"]
    of_one = pd.DataFrame({name: [1, 1] for name in names})
    assert shown_columns("calls", of_one) == ["call_frame", "time", "client", "reply_frame"]
    of_two = of_one.assign(capture=[1, 2])
    assert shown_columns("calls", of_two) == ["capture", "call_frame", "time", "client", "reply_frame"]
    assert shown_columns("nlm4", of_two)[:3] == ["capture", "call_frame", "time"]
    assert shown_columns("copies", of_two.rename(columns={"call_frame": "frame"})) == ["capture", "frame", "time"]
    assert shown_columns("locks", of_two) == ["time", "client"]


def test_fields_of_messages_stand_before_what_is_known_anyway() -> None:
    names = ["capture", "call_frame", "reply_frame", "time", "client", "server", "procedure", "rpc_status", "svid"]
    frame = pd.DataFrame({name: [1] for name in names})
    assert shown_columns("nlm4", frame) == [
        *("call_frame", "time", "client", "server", "procedure", "svid", "rpc_status", "reply_frame", "capture")
    ]


def test_a_day_is_said_once_only_if_it_is_one() -> None:
    times = pd.Series(pd.to_datetime(["2026-01-31T23:59:59", None, "2026-01-31T00:00:00"], utc=True))
    assert one_day(pd.DataFrame({"time": times, "xid": 1})) == "2026-01-31"
    assert one_day(pd.DataFrame({"time": times, "last": times + pd.Timedelta("1s")})) == ""
    assert one_day(pd.DataFrame({"xid": [1]})) == ""


@pytest.mark.parametrize("width", [80, 140])
def test_names_in_wide_characters_stay_in_their_columns(tmp_path: Path, width: int) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    for name in ("売上報告書二千二十六年十一月の営業部の報告", "データ", "data"):
        client.lookup(server, "/srv", name)
        client.lock(server, f"/srv/{name}").granted()
    (tmp_path / "wide.pcap").write_bytes(s.capture())
    lines, _ = on_terminal(width, "table", "locks", tmp_path / "wide.pcap")
    assert len(lines) == 4
    assert max(map(cell_len, lines)) <= width
    owner = lines[0].index("owner")
    assert {cell_len(line[: line.index("1@web-1")]) for line in lines[1:]} == {owner}
    assert "…千二十六年十一月の営業部の報告  1@web-1" in lines[1]
