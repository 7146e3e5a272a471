"""Rights are given up for good: asked of the kernel, in processes of their own, as root and as another user."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nfsrpc.sources.privileges import NOBODY_ID, Rights, unprivileged_user, user_name

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give up its rights")
READING = 1 << 2
DROP = """
import json, os, threading
from pathlib import Path
from nfsrpc.sources import privileges
{before}
privileges.drop({user}, lambda: {hidden})
rights = privileges.in_force()
status = privileges.status(Path("/proc/self/status"))
def inherited():
    global thread
    thread = privileges.status(Path(f"/proc/self/task/{{threading.get_native_id()}}/status"))
worker = threading.Thread(target=inherited); worker.start(); worker.join()
regained = []
for attempt in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: os.chown("/", 0, 0)):
    try:
        attempt()
        regained.append(True)
    except PermissionError:
        regained.append(False)
{after}
print(json.dumps([rights, str(rights), status, thread, regained]))
"""
NOBODY = "privileges.User('nobody', 65534, 65534, (65534,))"


def dropped(user: str = NOBODY, hidden: str = "False", before: str = "", after: str = "") -> list[Any]:
    script = DROP.format(user=user, hidden=hidden, before=before, after=after)
    # Bytecode is not written by somebody else.
    told = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    answer: list[Any] = json.loads(told.stdout)
    return answer


@as_root
def test_nothing_of_root_is_left() -> None:
    rights, text, status, thread, regained = dropped()
    assert Rights(*rights) == Rights(user_name(NOBODY_ID), NOBODY_ID, NOBODY_ID, 0, True)
    assert text == f"as {user_name(NOBODY_ID)}, without capabilities"
    for whose in (status, thread):
        assert whose["Uid"].split() == ["65534"] * 4
        assert whose["Gid"].split() == ["65534"] * 4
        assert whose["Groups"].split() == ["65534"]
        assert [int(whose[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
        assert whose["NoNewPrivs"] == "1"
    assert regained == [False, False, False]


@as_root
def test_reading_may_be_kept_and_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "ring0"
    secret.write_text("packets")
    secret.chmod(0o600)
    after = f"assert open({str(secret)!r}).read() == 'packets'"
    rights, text, status, thread, regained = dropped(hidden="True", after=after)
    assert Rights(*rights) == Rights(user_name(NOBODY_ID), NOBODY_ID, NOBODY_ID, READING, True)
    assert text == f"as {user_name(NOBODY_ID)}, with CAP_DAC_READ_SEARCH only"
    for whose in (status, thread):
        assert [int(whose[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [
            *(0, READING, READING),
            *(0, 0),
        ]
    assert regained == [False, False, False]


@as_root
def test_whether_reading_is_needed_is_asked_without_it(tmp_path: Path) -> None:
    secret = tmp_path / "ring0"
    secret.touch(0o600)
    rights, *_ = dropped(hidden=f"os.access({str(secret)!r}, os.R_OK, effective_ids=True)")
    assert rights[3] == 0


@as_root
def test_what_the_system_refuses_is_not_claimed() -> None:
    """Root in a container without CAP_SETUID stays root, but keeps no capability."""
    before = "privileges.capset(0, 0)"
    rights, text, *_ = dropped(before=before)
    assert rights[1:4] == [0, 0, 0]
    assert text == "as root, without capabilities"


def test_another_user_stays_who_it_is_and_can_gain_nothing() -> None:
    other = "os.setresgid(1234, 1234, 1234); os.setresuid(1234, 1234, 1234)" if os.geteuid() == 0 else ""
    rights, text, status, thread, _ = dropped(before=other)
    uid = 1234 if other else os.getuid()
    assert rights[1] == uid
    assert rights[3:] == [0, True]
    assert text.endswith(", without capabilities")
    assert thread["NoNewPrivs"] == status["NoNewPrivs"] == "1"


NOBODYS = {NOBODY_ID, *(user.pw_uid for user in pwd.getpwall() if user.pw_name == "nobody")}


@pytest.mark.parametrize(
    ("environment", "uid", "gid"),
    [
        ({}, None, None),
        ({"SUDO_UID": "4321", "SUDO_GID": "8765"}, 4321, 8765),
        ({"SUDO_UID": "0", "SUDO_GID": "0"}, None, None),
        ({"SUDO_UID": "1"}, None, None),
        ({"SUDO_UID": "one", "SUDO_GID": "1"}, None, None),
        ({"SUDO_UID": "4294967294", "SUDO_GID": "1"}, 4294967294, 1),
        ({"SUDO_UID": "4294967295", "SUDO_GID": "1"}, None, None),
        ({"SUDO_UID": "-1", "SUDO_GID": "1"}, None, None),
    ],
)
def test_who_it_becomes(environment: dict[str, str], uid: int | None, gid: int | None) -> None:
    """Nobody, where there is no number."""
    user = unprivileged_user(environment)
    assert user.uid == uid if uid else user.uid in NOBODYS
    assert user.gid in user.groups
    assert gid in (None, user.gid)


def test_an_invoking_user_has_the_groups_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 44, 46] if name == "4321" else [])
    assert unprivileged_user({"SUDO_UID": "4321", "SUDO_GID": "100"}).groups == (100, 44, 46)
