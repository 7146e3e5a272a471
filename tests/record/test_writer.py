"""The process that writes folders: results, errors, what hangs and what dies.

Each case runs in an interpreter of its own, since it forks, for which there may be no thread.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, time
from nfsrpc.record.folder import Job
from nfsrpc.record.writer import Writer

def work(job):
    if job.directory == "raise":
        raise OSError(28, "No space left on device")
    if job.directory == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.directory == "hang":
        time.sleep(30)
    return {"pid": os.getpid() != parent, "name": job.directory, "large": "x" * 200_000}

parent = os.getpid()
writer = Writer(work, limit_s=1.0)
time.sleep(0.2)  # until it ignores what is for the recorder
os.kill(writer._process, signal.SIGTERM)
os.kill(writer._process, signal.SIGINT)
for name in ARGUMENTS:
    writer.start(Job(name, {}, 0, 0, 0, [], "k" * 200_000, False))
    assert writer.is_busy
    result = writer.result(20)
    print(result.get("error") or (result["pid"], result["name"], len(result["large"])))
    assert not writer.is_busy
assert writer.result() is None
writer.close()
"""


def told(*arguments: str) -> list[str]:
    script = SCRIPT.replace("ARGUMENTS", repr(arguments))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raise", "OSError: [Errno 28] No space left on device"),
        ("die", "ended with code -9"),
        ("hang", "took longer than 1 s"),
    ],
)
def test_what_goes_wrong_is_told_and_the_next_one_is_written(name: str, said: str) -> None:
    assert told(name, "next") == [said, "(True, 'next', 200000)"]


def test_it_holds_nothing_open_of_the_recorder() -> None:
    script = """
import os
from nfsrpc.record.folder import Job
from nfsrpc.record.writer import Writer
read, write = os.pipe()
def work(job):
    names = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return {"open": [os.readlink(name) for name in names if os.path.exists(name)]}
writer = Writer(work)
writer.start(Job("", {}, 0, 0, 0, [], "", False))
found = writer.result(20)["open"]
print(len(found) > 3, os.readlink(f"/proc/self/fd/{read}") in found)
writer.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True False\n", "")
