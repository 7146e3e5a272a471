"""Writes what a package of a system has beside the program: manual pages and completions, as its share/ directory.

Manual pages are made of each command's --help by help2man (apt install help2man); without it there are none.

    python docs/man.py DIRECTORY
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from nfsrpc.cli.application import COMMANDS, function_of

PROGRAM = Path(sys.executable).with_name("nfsrpc")
# Where each shell looks below share/.
COMPLETIONS = {
    "bash": "bash-completion/completions/nfsrpc",
    "zsh": "zsh/site-functions/_nfsrpc",
    "fish": "fish/vendor_completions.d/nfsrpc.fish",
}
WHAT = "finds in packet captures why NFSv3 locks hang"


def manual_page(command: str) -> str:
    """The page of a command; without one, that of the program."""
    name = f"nfsrpc-{command}" if command else "nfsrpc"
    summary = (function_of(command).__doc__ or "").partition("\n")[0].rstrip(".") if command else WHAT
    call = f"{PROGRAM} {command}".strip()
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    options = ["--no-info", f"--name={summary}", f"--version-string={version}", "--manual=nfsrpc"]
    # Terminals are as wide as they are: one line per paragraph, which man breaks.
    environment = os.environ | {"COLUMNS": "80", "LC_ALL": "C.UTF-8"}
    page = subprocess.run(
        ["help2man", *options, call], env=environment, capture_output=True, text=True, check=True
    ).stdout
    page = re.sub(r"^\.TH \S+", f".TH {name.upper()}", page, count=1, flags=re.MULTILINE)
    page = re.sub(r"^nfsrpc \\- ", f"{name} \\\\- ", page, count=1, flags=re.MULTILINE)
    others = [f"nfsrpc-{other}" for other in COMMANDS] if not command else ["nfsrpc"]
    see = ", ".join(f"\\fB{other.replace('-', chr(92) + '-')}\\fR(1)" for other in others)
    return f'{page.rstrip()}\n.SH "SEE ALSO"\n{see}\n'


def completion(shell: str) -> str:
    environment = os.environ | {"_NFSRPC_COMPLETE": f"source_{shell}"}
    return subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True).stdout


def main() -> None:
    share = Path(sys.argv[1])
    files = {share / place: completion(shell) for shell, place in COMPLETIONS.items()}
    if shutil.which("help2man"):
        for command in ("", *COMMANDS):
            files[share / "man" / "man1" / f"{f'nfsrpc-{command}' if command else 'nfsrpc'}.1"] = manual_page(command)
    else:
        print("No manual pages: help2man is missing (apt install help2man)", file=sys.stderr)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
