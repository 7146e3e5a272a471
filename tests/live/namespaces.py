"""Two hosts that exist while a test runs: network namespaces joined by a veth pair, with real daemons of their own.

Each has its own /run in a mount namespace, where rpcbind keeps its socket. No packet leaves them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SETUP = "mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && exec sleep 120"
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
PARTS = {
    "tcpdump": "tcpdump",
    "rpcbind": "rpcbind",
    "rpc.statd": "nfs-common",
    "ip": "iproute2",
    "unshare": "util-linux",
}


def missing() -> str | None:
    """Why this machine cannot have such hosts."""
    packages = [package for command, package in PARTS.items() if shutil.which(command, path=SBIN) is None]
    if packages:
        return f"not installed: {' '.join(packages)}"
    if os.geteuid():
        return "needs root, to make network namespaces"
    made = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && ip link set lo up"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no namespaces here: {made.stderr.strip()}" if made.returncode else None


class Host:
    """A namespace, by the process that keeps it."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        self.address = address
        self._stack = stack
        self.process = self._running(["unshare", "--net", "--mount", "sh", "-c", SETUP], stdout=subprocess.PIPE)
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def _running(self, command: list[str], **options: Any) -> subprocess.Popen[str]:
        child = subprocess.Popen(command, text=True, env=os.environ | {"PATH": SBIN}, cwd=ROOT, **options)
        self._stack.callback(ended, child)
        return child

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", "-t", str(self.process.pid), "-n", "-m", *command]

    def run(self, *command: str) -> str:
        return subprocess.run(
            self.inside(*command),
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env=os.environ | {"PATH": SBIN},
        ).stdout

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        return self._running(self.inside(*command), **options)

    def python(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return self.start(sys.executable, *arguments, stdout=subprocess.PIPE, **options)

    def start_rpcbind(self) -> None:
        self.start("rpcbind", "-f", "-w")
        until(lambda: "100000" in self.run("rpcinfo", "-p", "127.0.0.1"))

    def start_statd(self, state: Path) -> None:
        for name in ("sm", "sm.bak"):
            (state / name).mkdir()
        self.start("rpc.statd", "-F", "--no-notify", "-P", str(state), stderr=subprocess.DEVNULL)


def ended(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


@contextmanager
def hosts(server: str = "10.77.0.1", client: str = "10.77.0.2") -> Iterator[tuple[Host, Host]]:
    """A server and a client, joined."""
    with ExitStack() as stack:
        pair = Host(server, stack), Host(client, stack)
        pair[0].run(
            "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(pair[1].process.pid)
        )
        for host in pair:
            host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
            host.run("ip", "link", "set", "eth0", "up")
        yield pair


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for a daemon to be ready."""
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except subprocess.CalledProcessError:
            pass
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
