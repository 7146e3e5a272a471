"""Completion: what each shell is offered, and that the scripts are those of the shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nfsrpc.diagnosis.catalogue import rules
from nfsrpc.protocols import PROTOCOLS
from nfsrpc.tables import TABLES
from tests.cli.command import ENVIRONMENT, shell


def offered(line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = ("nfsrpc " + line).split(" ")
    result = shell(COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1), _NFSRPC_COMPLETE="complete_bash")
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode().split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("an", ["analyze"]),
        ("table lo", ["locks"]),
        ("table nlm", ["nlm1", "nlm2", "nlm3", "nlm4"]),
        ("table locks --columns hol", ["hold_s", "holder"]),
        ("table locks --columns client,hol", ["client,hold_s", "client,holder"]),
        ("table locks --columns a", ["all", "answer"]),
        ("analyze --select REG00", [f"REG00{number}" for number in range(1, 9)]),
        ("live --ignore NET001,MNT", ["NET001,MNT001"]),
        ("analyze --set LCK002.", ["LCK002.late_s=", "LCK002.error_s=", "LCK002.reclaim_s="]),
        ("carve --finding MNT", ["MNT001"]),
        ("open x.pcap MNT", ["MNT001"]),
        ("explain MNT", ["MNT001"]),
        ("explain statd-not", ["statd-not-registered", "statd-not-registered-client"]),
        ("analyze --format ht", ["html"]),
    ],
)
def test_a_word_is_completed(line: str, words: list[str]) -> None:
    assert offered(line) == words


def test_every_table_protocol_and_rule_is_offered() -> None:
    assert set(offered("table ")) == {*TABLES, *(program.protocol for program in PROTOCOLS)}
    assert set(rules()) < set(offered("explain "))


def test_files_are_left_to_the_shell() -> None:
    assert offered("analyze cap") == []


def test_fish_and_zsh_get_meanings() -> None:
    line = {"_TYPER_COMPLETE_ARGS": "nfsrpc explain REG001", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    fish = shell(_NFSRPC_COMPLETE="complete_fish", **line)
    assert (fish.returncode, fish.stdout) == (0, b"REG001\tstatd-not-registered\n")
    zsh = shell(_NFSRPC_COMPLETE="complete_zsh", **line)
    assert zsh.stdout == b"""_arguments '*: :(("REG001":"statd-not-registered"))'\n"""


def program(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_is_one_of_its_shell(name: str, tmp_path: Path) -> None:
    """Installed into a home of its own; the shell that is detected is that which runs this."""
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    command = f"{sys.executable} -m nfsrpc --install-completion; true"  # not the last one, which replaces the shell
    environment = ENVIRONMENT | {"HOME": str(tmp_path)}
    done = program([name, "-c", command], environment)
    assert done.returncode == 0, done.stderr
    assert f"{name} completion installed in {tmp_path}" in done.stdout
    (script,) = [file for file in tmp_path.rglob("*nfsrpc*") if file.is_file()]
    checked = program([name, "-n", str(script)], environment)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "_NFSRPC_COMPLETE=complete_" + name in script.read_text(encoding="utf-8")


def test_bash_completes(tmp_path: Path) -> None:
    """A real bash, which calls the function that the script defines."""
    nfsrpc = tmp_path / "nfsrpc"
    nfsrpc.write_text(f'#!/bin/sh\nexec {sys.executable} -m nfsrpc "$@"\n')
    nfsrpc.chmod(0o755)
    lines = """
        eval "$(_NFSRPC_COMPLETE=source_bash nfsrpc)"
        COMP_WORDS=(nfsrpc table lo) COMP_CWORD=2
        _nfsrpc_completion nfsrpc lo table
        echo "${COMPREPLY[@]}"
    """
    environment = ENVIRONMENT | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = program(["bash", "-c", lines], environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "locks\n", "")
