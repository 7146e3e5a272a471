"""Mutants of the core: a sample drawn by a seed of those that cargo-mutants lists, and which of it no test notices.

Each mutant is made in a copy of the core and runs against the tests of its own module; what these miss runs against the
others but SLOW ones. One that does not build is none, and another is drawn. binding.rs is left out: cargo alone does
not build it, its tests are those in Python. The exit code is 1 if MOST or more of the sample survive.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

Mutant = dict[str, Any]  # as cargo-mutants lists them
Outcome = Literal["caught", "survived", "timed out", "not built"]

CORE = Path(__file__).parents[1] / "core"
MOST = 0.15  # of a sample survive
TIMEOUT_S = 240  # tests take ten seconds where nothing else runs; a mutant that takes longer hangs
MEMORY = 4 << 30  # tests take 300 MB; a mutant that takes more grows without end
LEFT_OUT = "src/binding.rs"
SLOW = ("memory", "robust")
# A little optimisation makes the tests faster by more than it makes building slower.
PROFILE = {"CARGO_PROFILE_TEST_OPT_LEVEL": "1", "CARGO_PROFILE_DEV_OPT_LEVEL": "1", "CARGO_PROFILE_TEST_DEBUG": "0"}

# The tests of a module, in core/tests; those beside its code run always.
OWN = {
    "src/addresses.rs": ["exchange", "forget"],
    "src/answering.rs": ["exchange"],
    "src/backend": ["exchange", "jobs"],
    "src/batch.rs": ["exchange"],
    "src/bodies.rs": ["forget", "xdr"],
    "src/capture/": ["capture"],
    "src/checksum.rs": ["damage"],
    "src/conversation.rs": ["exchange", "stream"],
    "src/damage.rs": ["damage"],
    "src/decoder.rs": ["exchange", "forget", "select", "tally"],
    "src/exchange.rs": ["damage", "exchange"],
    "src/flow": ["damage", "exchange", "flow", "select", "stream"],
    "src/gss.rs": ["xdr"],
    "src/infiniband.rs": ["infiniband"],
    "src/ip.rs": ["ip"],
    "src/link.rs": ["infiniband", "link"],
    "src/lock_sessions.rs": ["lock_sessions"],
    "src/matcher.rs": ["damage", "exchange", "forget", "select", "tally"],
    "src/numbering.rs": ["jobs"],
    "src/oddity.rs": ["exchange"],
    "src/order.rs": ["capture", "damage", "stream"],
    "src/packets.rs": ["damage", "exchange", "flow", "ip", "select"],
    "src/pool.rs": ["exchange"],
    "src/rpc.rs": ["damage", "exchange", "stream"],
    "src/ring.rs": ["ring"],
    "src/select.rs": ["select"],
    "src/shard.rs": ["jobs"],
    "src/side.rs": ["exchange", "flow", "stream"],
    "src/strings.rs": ["forget", "xdr"],
    "src/tally.rs": ["tally"],
    "src/tcp.rs": ["damage", "stream"],
    "src/tunnel.rs": ["infiniband", "ip", "link"],
    "src/xdr.rs": ["tally", "xdr"],
}


def own_tests(file: str) -> list[str]:
    return ["--lib", *(f"--test={test}" for start, tests in OWN.items() if file.startswith(start) for test in tests)]


def other_tests(file: str) -> list[str]:
    every = {f"--test={path.stem}" for path in (CORE / "tests").glob("*.rs") if path.stem not in SLOW}
    return sorted(every - set(own_tests(file)))


def listed(cargo_mutants: str) -> list[Mutant]:
    command = [cargo_mutants, "mutants", "--list", "--json", "--exclude", LEFT_OUT]
    found: list[Mutant] = json.loads(subprocess.run(command, cwd=CORE, check=True, capture_output=True).stdout)
    return found


def offset(text: str, place: dict[str, int]) -> int:
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: place["line"] - 1])) + place["column"] - 1


def mutated(text: str, mutant: Mutant) -> str:
    begin, end = offset(text, mutant["span"]["start"]), offset(text, mutant["span"]["end"])
    return f"{text[:begin]}{mutant['replacement']}{text[end:]}"


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def passes(copy: Path, tests: list[str]) -> bool | None:
    """Whether these tests pass; None if they do not build."""
    command = ["cargo", "test", "--quiet", "--locked", *tests]
    if subprocess.run([*command, "--no-run"], cwd=copy, capture_output=True).returncode:
        return None
    out = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=copy, stdout=out, stderr=out, start_new_session=True, preexec_fn=limited)
    try:
        return process.wait(TIMEOUT_S) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def outcome(copy: Path, mutant: Mutant) -> Outcome:
    file = copy / mutant["file"]
    text = file.read_text(encoding="utf-8")
    file.write_text(mutated(text, mutant), encoding="utf-8")
    try:
        passed = passes(copy, own_tests(mutant["file"]))
        if passed is None:
            return "not built"
        return "survived" if passed and passes(copy, other_tests(mutant["file"])) else "caught"
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        file.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cargo_mutants", help="the program cargo-mutants")
    parser.add_argument("--number", type=int, default=100, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--copy", type=Path, default=CORE / "target" / "mutants", help="where the core is mutated")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.copy / "core", ignore_errors=True)
    copy = shutil.copytree(CORE, arguments.copy / "core", ignore=shutil.ignore_patterns("target", "fuzz"))
    os.environ.update(PROFILE, CARGO_TARGET_DIR=str(arguments.copy / "target"))
    mutants = listed(arguments.cargo_mutants)
    print(f"{arguments.number} of {len(mutants)} mutants, seed {arguments.seed}", flush=True)
    survived = count = 0
    for mutant in random.Random(arguments.seed).sample(mutants, len(mutants)):
        if count == arguments.number:
            break
        what = outcome(copy, mutant)
        count += what != "not built"
        survived += what == "survived"
        print(f"{what}: {mutant['name']}", flush=True)
    print(f"{survived} of {count} survived")
    sys.exit(survived >= MOST * count)


if __name__ == "__main__":
    main()
