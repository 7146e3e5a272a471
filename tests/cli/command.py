"""Runs `nfsrpc` as a shell does, or within this process, where a test needs only its answer."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from nfsrpc.cli.application import application

ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(application(), [str(arg) for arg in args], prog_name="nfsrpc")


def shell(*args: str | Path, stdin: bytes | None = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "nfsrpc", *map(str, args)],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT | environment,
        timeout=60,
        check=False,
    )
