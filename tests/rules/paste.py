"""What a shell runs of text that is pasted into it: bash with nothing in its PATH, and recorders in place of commands.

A command that is not one of those is recorded too, with a question mark before its name. Everything goes through one
bash, in a directory of its own, in which no file may appear.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# Every command that some rule advises.
COMMANDS = frozenset(
    (
        *("cat", "conntrack", "dmesg", "exportfs", "findmnt", "flock", "fuser", "getent", "grep", "hostname"),
        *("hostnamectl", "ip"),
        *("iptables", "journalctl", "last", "ls", "lslocks", "mount", "nc", "nfsstat", "nft", "nstat", "pgrep"),
        *("pidof", "ping", "rpcinfo", "showmount", "sm-notify", "ss", "sysctl", "systemctl", "tc", "tcpdump"),
        *("timeout", "umount", "uname", "uptime"),
    )
)
# Of the descriptors, pipes between commands take the standard ones.
SCRIPT = r"""
record() { local IFS=$'\x1f'; printf '%s\0' "$*" >&3; }
command_not_found_handle() { record "?$1" "${@:2}"; }
for name in @COMMANDS@; do eval "$name() { record $name \"\$@\"; }"; done
while IFS= read -r -d '' text <&4; do eval "$text"; done
record the end
"""
# What bash writes to stderr beside complaints about its input.
TIMES = ("real\t", "user\t", "sys\t")
NO_SERVER = "/proc/fs/nfsd/unlock_filesystem: "  # of a host without nfsd


class Pasted(NamedTuple):
    commands: list[list[str]]  # what was run, with its arguments
    complaints: list[str]  # of bash
    files: list[Path]  # that have appeared


def paste(texts: Iterable[str], directory: Path) -> Pasted:
    """Each text as if it were pasted, one after the other."""
    record, room, nothing = (directory / name for name in ("record", "room", "nothing"))
    room.mkdir()
    nothing.mkdir()
    (directory / "texts").write_bytes(b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts))
    script = SCRIPT.replace("@COMMANDS@", " ".join(sorted(COMMANDS)))
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", f'exec 3>"$1" 4<"$2"; {script}', "bash", record, directory / "texts"],
        cwd=room,
        env={"LC_ALL": "C.UTF-8", "PATH": str(nothing)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    *commands, end = [line.split("\x1f") for line in record.read_text("utf-8", "surrogateescape").split("\0")[:-1]]
    assert end == ["the", "end"]
    said = done.stderr.decode("utf-8", "replace").splitlines()
    complaints = [line for line in said if line and not line.startswith(TIMES) and NO_SERVER not in line]
    return Pasted(commands, complaints, list(room.iterdir()))
