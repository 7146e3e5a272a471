"""Paths of file handles: learnt from every procedure that names one, true at their time, honest where partial."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nfsrpc.columns import Coded
from nfsrpc.decode import decode
from nfsrpc.sessions import WANTED, Sessions
from nfsrpc.sessions.naming import LESSONS, concerning, events, news
from nfsrpc.sessions.paths import HandlePaths, NameHistory, short_handle
from tests.scenario import Exchange, Scenario, handle
from tests.sessions.conftest import Read

Row = tuple[Any, ...]


def test_many_files_with_and_many_without_a_path_keep_their_texts() -> None:
    """The codes of each have a byte, those of both together do not."""
    rows = range(200)
    known = Coded.of(f"/srv/{row}" if row < 100 else None for row in rows)
    short = Coded.of(f"FH:{row}" for row in rows if row >= 100)
    short = Coded(np.r_[np.full(100, -1, dtype=np.int8), short.codes], short.labels)
    paths: Any = SimpleNamespace(of=lambda *_: known, decoded=SimpleNamespace(text=lambda *_: short))
    nothing = np.zeros(200, dtype=np.uint32)
    files = HandlePaths.files(paths, nothing, nothing, nothing)
    assert files.tolist() == [f"/srv/{row}" if row < 100 else f"FH:{row}" for row in rows]


class Files:
    """A client that asks for names, and locks."""

    def __init__(self) -> None:
        self.s = Scenario()
        self.server = self.s.host("10.0.0.9", name="nfssrv")
        self.client = self.s.host("10.0.0.1", name="web-1")

    def ask(self, procedure: str, protocol: str = "nfs3", **args: Any) -> Exchange:
        self.s.wait(1)
        return self.client.call(self.server, protocol, procedure, **args)

    def mount(self, path: str) -> None:
        self.ask("MNT", "mount3", dirpath=path).reply(fhs_status="OK", fhandle=EXPORT)

    def name(self, directory: bytes, name: str, file: bytes, procedure: str = "LOOKUP") -> None:
        field = "object" if procedure == "LOOKUP" else "obj"
        self.ask(procedure, dir=directory, name=name).reply(status="OK", **{field: file})

    def rename(self, directory: bytes, name: str, to_directory: bytes, to_name: str, status: str = "OK") -> None:
        ends: dict[str, Any] = {"from": {"dir": directory, "name": name}, "to": {"dir": to_directory, "name": to_name}}
        self.ask("RENAME", **ends).reply(status=status)

    def lock(self, file: bytes) -> None:
        self.s.wait(1)
        lock: dict[str, Any] = {"caller_name": "web-1", "fh": file, "oh": b"1", "svid": 1, "l_offset": 0, "l_len": 0}
        self.client.call(self.server, "nlm4", "LOCK", alock=lock).reply(stat="GRANTED")

    def capture(self) -> bytes:
        return self.s.capture()


@pytest.fixture
def files() -> Files:
    return Files()


def test_names_of_the_same_moment_do_not_depend_on_the_number_of_jobs() -> None:
    s = Scenario()
    server, clients = s.host("10.0.0.9"), [s.host(f"10.0.0.{number}") for number in range(1, 9)]
    asked = [
        client.call(server, "nfs3", "LOOKUP", dir=DIR, name=f"file {number}") for number, client in enumerate(clients)
    ]
    for number, call in enumerate(asked):
        call.reply(status="OK", object=handle(f"file {number}"))
    data = at_once(s.capture())
    found = [Sessions(decode([data], WANTED, jobs=jobs))["paths"] for jobs in (1, 2, 3)]
    assert len(set(found[0]["time"].tolist())) == 1
    assert [paths.values("name") for paths in found] == [[f"file {number}" for number in range(8)]] * 3


def at_once(capture: bytes) -> bytes:
    """The frames of a pcap file, all of them at the time of the first."""
    moment, at, frames = capture[24:32], 24, [capture[:24]]
    while at < len(capture):
        end = at + 16 + int.from_bytes(capture[at + 8 : at + 12], "little")
        frames.append(moment + capture[at + 8 : end])
        at = end
    return b"".join(frames)


EXPORT, DIR, OTHER, FILE, NEXT = (handle(name) for name in ("/srv", "dir", "other", "file", "next"))


def locked(tables: Read, files: Files) -> list[str]:
    found: list[str] = tables(files.capture())["locks"]["file"].tolist()
    return found


def learnt(tables: Read, files: Files, *columns: str) -> list[Row]:
    paths = tables(files.capture())["paths"]
    return list(zip(*map(paths.values, columns), strict=True))


def test_from_the_mount_down(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "www", DIR)
    files.name(DIR, "sess.lock", FILE)
    files.lock(FILE)
    assert locked(tables, files) == ["/srv/www/sess.lock"]


def test_a_row_of_paths(files: Files, tables: Read) -> None:
    files.mount("/srv/")
    files.name(EXPORT, "www", DIR)
    mounted, looked_up = tables(files.capture())["paths"].rows()
    assert (mounted.path, mounted.name, mounted.directory, mounted.procedure) == ("/srv", "/srv/", None, "MNT")
    assert (looked_up.path, looked_up.name, looked_up.procedure) == ("/srv/www", "www", "LOOKUP")
    assert (looked_up.fh, looked_up.handle) == (DIR.hex(), short_handle(DIR))
    assert (looked_up.directory, looked_up.server, looked_up.capture) == (EXPORT.hex(), "10.0.0.9", 0)
    assert (looked_up.until, looked_up.until_frame, looked_up.until_procedure) == (None, None, None)
    calls = tables(files.capture())["calls"]
    told = calls.row(looked_up.exchange)
    assert (looked_up.frame, looked_up.time) == (told.reply_frame, told.reply_time)


def test_the_root_of_all_may_be_mounted(files: Files, tables: Read) -> None:
    files.mount("/")
    files.name(EXPORT, "file", FILE)
    assert learnt(tables, files, "path") == [("/",), ("/file",)]


def test_what_was_mounted_before_the_capture_is_partial(files: Files, tables: Read) -> None:
    files.name(EXPORT, "www", DIR)
    files.name(DIR, "sess.lock", FILE)
    files.lock(FILE)
    files.lock(NEXT)
    assert locked(tables, files) == [".../www/sess.lock", short_handle(NEXT)]


@pytest.mark.parametrize("procedure", ["CREATE", "MKDIR", "SYMLINK", "MKNOD"])
def test_from_what_is_made(files: Files, tables: Read, procedure: str) -> None:
    files.mount("/srv")
    files.name(EXPORT, "new", FILE, procedure)
    files.ask(procedure, dir=EXPORT, name="without a handle").reply(status="OK")
    assert learnt(tables, files, "path", "procedure") == [("/srv", "MNT"), ("/srv/new", procedure)]


def test_from_lists_of_directories(files: Files, tables: Read) -> None:
    files.mount("/srv")
    for directory, names in ((EXPORT, {".": EXPORT, "..": OTHER, "www": DIR, "hidden": None}), (DIR, {"a": FILE})):
        entries = [{"fileid": 1, "name": name, "name_handle": found} for name, found in names.items()]
        files.ask("READDIRPLUS", dir=directory, maxcount=4096).reply(status="OK", entries=entries, eof=True)
    files.lock(FILE)
    assert locked(tables, files) == ["/srv/www/a"]
    assert learnt(tables, files, "path", "procedure") == [
        ("/srv", "MNT"),
        ("/srv/www", "READDIRPLUS"),
        ("/srv/www/a", "READDIRPLUS"),
    ]


def test_in_version_2(files: Files, tables: Read) -> None:
    export, made, moved = (bytes([byte] * 32) for byte in (1, 2, 3))
    files.ask("MNT", "mount1", dirpath="/old").reply(fhs_status="OK", fhs_fhandle=export)
    files.ask("CREATE", "nfs2", dir=export, name="a").reply(status="OK", file=made)
    files.ask("LOOKUP", "nfs2", dir=export, name="b").reply(status="OK", file=moved)
    ends: dict[str, Any] = {"from": {"dir": export, "name": "b"}, "to": {"dir": export, "name": "c"}}
    files.ask("RENAME", "nfs2", **ends).reply(status="OK")
    files.ask("REMOVE", "nfs2", dir=export, name="a").reply(status="OK")
    assert learnt(tables, files, "path", "until_procedure") == [
        ("/old", None),
        ("/old/a", "REMOVE"),
        ("/old/b", "RENAME"),
        ("/old/c", None),
    ]


def test_a_rename_counts_from_its_time(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "old", FILE)
    files.lock(FILE)
    files.rename(EXPORT, "old", EXPORT, "failed", "ACCES")
    files.rename(EXPORT, "old", EXPORT, "new")
    files.lock(FILE)
    assert locked(tables, files) == ["/srv/old", "/srv/new"]


def test_what_is_in_a_renamed_directory_moves_with_it(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "a", DIR)
    files.name(EXPORT, "b", OTHER)
    files.name(DIR, "file", FILE)
    files.lock(FILE)
    files.rename(EXPORT, "a", OTHER, "c")
    files.lock(FILE)
    assert locked(tables, files) == ["/srv/a/file", "/srv/b/c/file"]


def test_a_rename_takes_the_name_from_another_file(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "file", FILE)
    files.name(EXPORT, "file.new", NEXT)
    files.rename(EXPORT, "file.new", EXPORT, "file")
    assert learnt(tables, files, "path", "until_procedure") == [
        ("/srv", None),
        ("/srv/file", "RENAME"),
        ("/srv/file.new", "RENAME"),
        ("/srv/file", None),
    ]
    replaced, moved = learnt(tables, files, "until", "until_frame")[1:3]
    assert replaced == moved == learnt(tables, files, "time", "frame")[3]


def test_a_removed_file_keeps_its_path_and_its_name_goes_to_the_next(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "file", FILE)
    files.ask("REMOVE", dir=EXPORT, name="file").reply(status="OK")
    files.lock(FILE)
    files.name(EXPORT, "file", NEXT, "CREATE")
    files.lock(NEXT)
    files.ask("RMDIR", dir=EXPORT, name="file").reply(status="NOTDIR")
    assert locked(tables, files) == ["/srv/file", "/srv/file"]
    assert learnt(tables, files, "fh", "until_procedure")[1:] == [(FILE.hex(), "REMOVE"), (NEXT.hex(), None)]


def test_a_link_is_a_name_only_for_what_has_none(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "file", FILE)
    for file, name in ((FILE, "link"), (NEXT, "other")):
        files.ask("LINK", file=file, dir=EXPORT, name=name).reply(status="OK")
        files.lock(file)
    assert locked(tables, files) == ["/srv/file", "/srv/other"]


def test_a_name_that_changed_unseen_counts_from_its_next_lookup(files: Files, tables: Read) -> None:
    files.mount("/srv")
    for name in ("a", "b", "a"):
        files.name(EXPORT, name, FILE)
        files.name(EXPORT, name, FILE)
        files.lock(FILE)
    assert locked(tables, files) == ["/srv/a", "/srv/b", "/srv/a"]
    assert learnt(tables, files, "path", "until_procedure") == [
        ("/srv", None),
        ("/srv/a", "LOOKUP"),
        ("/srv/b", "LOOKUP"),
        ("/srv/a", None),
    ]


def test_a_name_seen_again_after_a_rename_that_was_undone_unseen(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "a", FILE)
    files.rename(EXPORT, "a", EXPORT, "b")
    files.name(EXPORT, "a", FILE)
    files.lock(FILE)
    assert locked(tables, files) == ["/srv/a"]


def test_the_old_name_of_a_file_that_has_another_is_removed(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "a", FILE)
    files.name(EXPORT, "b", FILE)
    files.ask("REMOVE", dir=EXPORT, name="a").reply(status="OK")
    assert learnt(tables, files, "path", "until_procedure")[1:] == [("/srv/a", "LOOKUP"), ("/srv/b", None)]


def test_a_name_that_was_taken_away_and_given_back(files: Files, tables: Read) -> None:
    files.mount("/srv")
    for _ in range(2):
        files.name(EXPORT, "a", FILE)
        files.ask("REMOVE", dir=EXPORT, name="a").reply(status="OK")
    assert learnt(tables, files, "path", "until_procedure")[1:] == [("/srv/a", "REMOVE")] * 2


def test_a_path_is_that_of_its_time(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "a", DIR)
    files.name(DIR, "file", FILE)
    files.rename(EXPORT, "a", EXPORT, "b")
    files.rename(EXPORT, "b", EXPORT, "c")
    files.lock(FILE)
    assert locked(tables, files) == ["/srv/c/file"]
    read = tables(files.capture())
    times = read["paths"].values("time")
    server = int(read["calls"]["server"].codes[0])
    assert [read.paths.at(server, time)(FILE) for time in times[2:]] == ["/srv/a/file", "/srv/b/file", "/srv/c/file"]
    assert read.paths.at(server, times[0])(NEXT) is None
    assert read.paths.at(server + 1, times[0])(FILE) is None


def test_a_file_without_a_name_is_told_by_its_handle(files: Files, tables: Read) -> None:
    files.lock(NEXT)
    assert locked(tables, files) == [short_handle(NEXT)]


def test_the_first_name_counts_for_the_time_before_it(files: Files, tables: Read) -> None:
    files.lock(FILE)
    files.name(EXPORT, "file", FILE)
    files.mount("/srv")
    assert locked(tables, files) == ["/srv/file"]


def test_failed_replies_and_names_that_are_none_teach_nothing(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.ask("LOOKUP", dir=EXPORT, name="absent").reply(status="NOENT")
    for name in (".", "..", ""):
        files.name(EXPORT, name, FILE)
    files.ask("MNT", "mount3", dirpath="/no").reply(fhs_status="ACCES")
    assert learnt(tables, files, "path") == [("/srv",)]


def test_servers_have_files_of_their_own(files: Files, tables: Read) -> None:
    other = files.s.host("10.0.0.8", name="nfsbak")
    files.mount("/srv")
    files.client.call(other, "mount3", "MNT", dirpath="/bak").reply(fhs_status="OK", fhandle=EXPORT)
    files.name(EXPORT, "file", FILE)
    assert learnt(tables, files, "server", "path") == [
        ("10.0.0.9", "/srv"),
        ("10.0.0.8", "/bak"),
        ("10.0.0.9", "/srv/file"),
    ]


def test_names_that_are_no_text_are_escaped(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "x\x1b\udcff", FILE)
    assert learnt(tables, files, "path")[1] == ("/srv/x\\x1b\\xff",)


def test_directories_in_a_circle_end(files: Files, tables: Read) -> None:
    files.name(DIR, "down", OTHER)
    files.name(OTHER, "up", DIR)
    files.lock(OTHER)
    (path,) = locked(tables, files)
    assert path.startswith(".../")
    assert path.endswith("/up/down")


def test_only_what_matters_is_walked_through(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "www", DIR)
    for number in range(50):
        files.name(DIR, f"{number}", handle(f"{number}"))
        files.name(DIR, "file", FILE)
    files.rename(OTHER, "a", OTHER, "b")
    read = tables(files.capture())
    every = events(read.decoded, read["calls"])
    told = news(every)
    number = read.decoded.strings.index(FILE)
    needed = concerning(told, np.array([number]), len(read.decoded.strings))
    assert (len(every), len(told), len(needed)) == (103, 54, 3)
    assert len(NameHistory(needed).first) == 3


def test_two_vantages_teach_once(files: Files, tables: Read) -> None:
    files.mount("/srv")
    files.name(EXPORT, "file", FILE)
    both: Sessions = tables(server=files.s.capture(at=files.server), client=files.s.capture(at=files.client))
    assert both["paths"].values("path") == ["/srv", "/srv/file"]


def test_what_is_wanted_is_what_is_taught() -> None:
    assert WANTED["nfs3.READDIRPLUS"] == ("entries.name", "dir", "entries.name_handle")
    assert set(LESSONS) <= set(WANTED)


def test_of_too_many_names_the_first_count(files: Files, tables: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nfsrpc.sessions.paths.MAX_EVENTS", 3)
    files.mount("/srv")
    files.name(EXPORT, "www", DIR)
    files.name(EXPORT, "file", FILE)
    files.name(DIR, "next", NEXT)
    for file in (FILE, NEXT):
        files.lock(file)
    assert learnt(tables, files, "path") == [("/srv",), ("/srv/www",), ("/srv/file",)]
    assert locked(tables, files) == ["/srv/file", short_handle(NEXT)]


@pytest.mark.parametrize(("last", "known"), [(254, True), (255, False)])
def test_of_a_path_that_nobody_can_open_the_end_is_known(files: Files, tables: Read, last: int, known: bool) -> None:
    """PATH_MAX counts the zero byte at the end of a path."""
    files.mount("/")
    handles = [EXPORT, *(handle(f"d{number}") for number in range(16))]
    for (above, below), length in zip(pairwise(handles), [*[255] * 15, last], strict=True):
        files.name(above, "n" * length, below)
    files.lock(handles[-1])
    (path,) = locked(tables, files)
    assert path.startswith("/n" if known else ".../n")
