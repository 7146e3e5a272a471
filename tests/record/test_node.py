"""The facts of a node: lines of its kernel, its mounts, what its rpcbind has."""

from __future__ import annotations

import os
from pathlib import Path

from nfsrpc.record import node
from nfsrpc.record.node import KernelLog, UnreadableFact
from nfsrpc.sources.dmesg import log_of

LOCKD = "4,1234,93129579,-;lockd: server nfssrv not responding, still trying\n"
OTHERS = "6,1,5,-;Linux version 6.1.0 nfs\n SUBSYSTEM=x\n6,2,6,-;usb 1-1: new device\nrubbish\n"


def kmsg(tmp_path: Path, *records: str) -> tuple[KernelLog, int]:
    """A pipe in the place of /dev/kmsg: one record per read, as each is written at its own time."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    log = KernelLog(str(path))
    writer = os.open(path, os.O_WRONLY)
    for record in records:
        os.write(writer, record.encode())
    return log, writer


def test_lines_about_nfs_with_their_times(tmp_path: Path) -> None:
    log, writer = kmsg(tmp_path, LOCKD)
    [line] = log.new()
    assert (line.boot_us, line.time, line.server) == (93129579, log.booted + 93129579000, "nfssrv")
    assert log.new() == []
    for record in OTHERS.splitlines():
        os.write(writer, record.encode())
        assert log.new() == []
    os.write(writer, b"4,9,94000000,-;lockd: server nfssrv OK\n")
    assert [(line.text, line.server) for line in log.new()] == [("lockd: server nfssrv OK", None)]
    os.close(writer)
    log.close()


def test_the_text_is_a_kernel_log(tmp_path: Path) -> None:
    log, writer = kmsg(tmp_path, LOCKD.replace("nfssrv", "nfs\x1b[2Jsrv"))
    assert log.text() == ""
    log.new()
    read = log_of("kernel.log", log.text())
    assert [line.text for line in read.lines] == ["lockd: server nfs\\x1b[2Jsrv not responding, still trying"]
    assert read.clock == "boot"
    assert abs((read.booted or 0) - log.booted) < 10_000
    os.close(writer)
    log.close()


def test_a_log_that_may_not_be_read_is_missing(tmp_path: Path) -> None:
    log = KernelLog(str(tmp_path / "none"))
    assert (log.missing, log.new(), log.text()) == ("No such file or directory", [], "")
    log.close()


def test_facts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    nfs = "nfssrv:/export /mnt nfs rw,vers=3,addr=10.1.84.31 0 0\n"
    mounts.write_text(
        f"proc /proc proc rw 0 0\n{nfs}s:/x /y nfs4 rw,addr=fd91:6::11 0 0\nnfsd /proc/fs/nfsd nfsd rw 0 0\n"
    )
    rpcinfo = tmp_path / "rpcinfo"
    rpcinfo.write_text("#!/bin/sh\necho \"$1 100000 $(printf '\\033')\"\n")
    rpcinfo.chmod(0o755)
    facts = node.facts(str(tmp_path / "none"), str(mounts), str(rpcinfo))
    assert facts["locks.txt"] == UnreadableFact("No such file or directory")
    assert str(facts["mounts.txt"]).startswith(nfs)
    assert "proc rw" not in facts["mounts.txt"]
    assert facts["rpcinfo.txt"] == "-p 100000 \\x1b\n"
    assert node.names_in(str(mounts)) == {"nfssrv": "10.1.84.31", "s": "fd91:6::11"}


def test_an_rpcbind_that_fails_or_is_missing(tmp_path: Path) -> None:
    rpcinfo = tmp_path / "rpcinfo"
    rpcinfo.write_text('#!/bin/sh\necho "can\'t contact portmapper" >&2; exit 1\n')
    rpcinfo.chmod(0o755)
    assert node.registered(str(rpcinfo)) == UnreadableFact("can't contact portmapper")
    assert node.registered("no-such-command") == UnreadableFact("no-such-command is not installed")


def test_a_real_node_can_be_asked() -> None:
    facts = node.facts()
    assert set(facts) == {"locks.txt", "mounts.txt", "rpcinfo.txt"}
    assert isinstance(facts["mounts.txt"], str)
