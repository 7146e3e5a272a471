"""The procedures whose replies have names of files (RFC 1813 §3.3, RFC 1094 §2.2, MOUNT), and the fields of these."""

from __future__ import annotations

from typing import NamedTuple

NAMES, LINKS, MOVES, REMOVES = range(4)
ENTRIES = "entries."


class Lesson(NamedTuple):
    """The kind of event that a procedure's success is, and the columns of its messages that hold the names."""

    kind: int
    name: str
    directory: str = ""  # without it, the handle is that of a root
    handle: str = ""
    to_directory: str = ""
    to_name: str = ""


LOOKUP3 = Lesson(NAMES, "name", "dir", "res_object")
CREATE3 = Lesson(NAMES, "name", "dir", "res_obj")
LOOKUP2 = Lesson(NAMES, "name", "dir", "res_file")
RENAME = Lesson(MOVES, "from_name", "from_dir", "", "to_dir", "to_name")
REMOVE = Lesson(REMOVES, "name", "dir")

LESSONS: dict[str, Lesson] = {
    "mount1.MNT": Lesson(NAMES, "dirpath", handle="res_fhs_fhandle"),
    "mount2.MNT": Lesson(NAMES, "dirpath", handle="res_fhs_fhandle"),
    "mount3.MNT": Lesson(NAMES, "dirpath", handle="res_fhandle"),
    **dict.fromkeys(("nfs2.LOOKUP", "nfs2.CREATE", "nfs2.MKDIR"), LOOKUP2),
    "nfs2.LINK": Lesson(LINKS, "name", "dir", "from"),
    "nfs2.RENAME": RENAME,
    **dict.fromkeys(("nfs2.REMOVE", "nfs2.RMDIR"), REMOVE),
    "nfs3.LOOKUP": LOOKUP3,
    **dict.fromkeys(("nfs3.CREATE", "nfs3.MKDIR", "nfs3.SYMLINK", "nfs3.MKNOD"), CREATE3),
    "nfs3.READDIRPLUS": Lesson(NAMES, "entries.name", "dir", "entries.name_handle"),
    "nfs3.LINK": Lesson(LINKS, "name", "dir", "file"),
    "nfs3.RENAME": RENAME,
    **dict.fromkeys(("nfs3.REMOVE", "nfs3.RMDIR"), REMOVE),
}
