"""Audit of what nfsrpc is built from: known vulnerabilities, licences and sources of the locked packages and crates.

Each check prints one line: ok, found, or skipped with the reason. Only a finding makes the exit code 1. A check is
skipped where its database or registry cannot be reached; therefore what has to be fetched is fetched first, by a
command of its own, whose failure is no finding. pip-audit fetches while it checks: its messages make the difference.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Command = list[str | Path]

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".venv-tools"
LOCKS = ("requirements-dev.txt", "requirements-tools.txt")
MANIFESTS = ("core/Cargo.toml", "core/fuzz/Cargo.toml")

# What pip prints when a file is not the one that was locked; any other failure to install is one to fetch.
HASHES_DIFFER = "DO NOT MATCH THE HASHES"
# What pip-audit, or a traceback of it, prints when the database does not answer.
UNREACHABLE = ("ConnectionError", "Timeout", "HTTPError", "may be blocking this service")


@dataclass(frozen=True)
class Outcome:
    state: Literal["ok", "found", "skipped"]
    text: str
    details: str = ""  # what the tool printed about a finding


def run(command: Command) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")


def reason(process: subprocess.CompletedProcess[str]) -> str:
    """The last line that a failed command printed; make's own says only that it failed."""
    lines = [line.strip() for line in process.stderr.splitlines() if line.strip() and not line.startswith("make")]
    return lines[-1] if lines else f"exit code {process.returncode}"


def installed(process: subprocess.CompletedProcess[str]) -> Outcome:
    """Whether the tools of the audit are those of their lock file."""
    if process.returncode == 0:
        return Outcome("ok", "tools of the audit: installed by hash")
    if HASHES_DIFFER in process.stderr:
        return Outcome("found", "tools of the audit: a file is not the one that was locked", process.stderr)
    return Outcome("skipped", f"everything: the tools cannot be installed: {reason(process)}")


def python_advisories(process: subprocess.CompletedProcess[str]) -> Outcome:
    """What pip-audit's JSON says about the locked Python packages."""
    what = "advisories about Python packages"
    try:
        packages = json.loads(process.stdout)["dependencies"]
    except ValueError:
        if any(mark in process.stderr for mark in UNREACHABLE):
            return Outcome("skipped", f"{what}: {reason(process)}")
        return Outcome("found", f"{what}: pip-audit failed", process.stderr)
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    if vulnerable:
        rows = (
            f"{package['name']} {package['version']}: {fault['id']}, fixed in {', '.join(fault['fix_versions']) or '-'}"
            for package in vulnerable
            for fault in package["vulns"]
        )
        return Outcome("found", f"{what}: {len(vulnerable)} vulnerable", "\n".join(rows))
    if len(unknown) == len(packages):
        return Outcome("skipped", f"{what}: the database that was reached has none of {len(packages)} packages")
    rest = f"; not in the database: {', '.join(unknown)}" if unknown else ""
    return Outcome("ok", f"{what}: {len(packages) - len(unknown)} checked{rest}")


def crates(what: str, fetch: Callable[[str], list[Command]], check: Callable[[str], Command]) -> Outcome:
    """The outcome of one check of cargo-deny on each Cargo.lock, after what it needs has been fetched."""
    for manifest in MANIFESTS:
        for command in fetch(manifest):
            fetched = run(command)
            if fetched.returncode:
                return Outcome("skipped", f"{what}: {reason(fetched)}")
        checked = run(check(manifest))
        if checked.returncode:
            return Outcome("found", f"{what}: {manifest}", checked.stderr)
    return Outcome("ok", f"{what}: {', '.join(MANIFESTS)}")


def sources(manifest: str) -> Command:
    return ["cargo", "fetch", "--quiet", "--locked", "--manifest-path", manifest]


def deny(manifest: str, *arguments: str) -> Command:
    return [TOOLS / "bin" / "cargo-deny", "--manifest-path", manifest, "--locked", *arguments]


def outcomes() -> Iterator[Outcome]:
    tools = installed(run(["make", "--no-print-directory", TOOLS.relative_to(ROOT) / "made"]))
    yield tools
    if tools.state != "ok":
        return
    locks = [argument for lock in LOCKS for argument in ("--requirement", lock)]
    options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
    yield python_advisories(run([TOOLS / "bin" / "pip-audit", *locks, *options]))
    yield crates(
        "licences and sources of crates",
        fetch=lambda manifest: [sources(manifest)],
        check=lambda manifest: deny(manifest, "--offline", "check", "licenses", "bans", "sources"),
    )
    yield crates(
        "advisories about crates",
        fetch=lambda manifest: [sources(manifest), deny(manifest, "fetch", "db")],
        check=lambda manifest: deny(manifest, "--offline", "check", "advisories"),
    )


def main() -> int:
    found = False
    for outcome in outcomes():
        print(f"audit: {outcome.state}: {outcome.text}", flush=True)
        if outcome.state == "found":
            found = True
            print(outcome.details, flush=True)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
