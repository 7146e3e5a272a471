"""Commands that several rules advise: to start services, to look at them, to capture what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from nfsrpc.findings.command import IN_CAPTURE, Command, Filter, command, either_host
from nfsrpc.findings.finding import Need

START_STATD = (command("systemctl enable --now rpcbind rpc-statd"),)
# Not rpcbind with it: restarted without -w it forgets all other services.
RESTART_STATD = (command("systemctl restart rpc-statd"),)
START_PORTMAPPER = (command("systemctl enable --now rpcbind.socket rpcbind"),)
RESTART_SERVER = (command("systemctl restart nfs-server"),)
# Linux cannot break the lock of one client, only all that lockd holds on one file system.
BREAK_LOCK = (
    command("cat /proc/locks; lslocks", on="the server", note="which process or lockd holds the inode"),
    command(
        "echo /path/of/the/export > /proc/fs/nfsd/unlock_filesystem",
        on="the server",
        note="drops its locks of that file system",
    ),
)

FILTERED = 6  # more clients than this are not named in a capture filter
ALL_BUT_SSH = Filter("not port 22")


def registered(host: str, prog: int) -> Command:
    """Asks a host's portmapper for a program."""
    return command("rpcinfo -p {host} | grep {prog}", host=bare(host), prog=prog)


def lock_services(host: str) -> Command:
    """Asks a host's portmapper for lockd and statd."""
    return command("rpcinfo -p {host} | grep -e nlockmgr -e status", host=bare(host))


def answers(host: str, prog: int, on: str = "") -> Command:
    """Calls a program's NULL procedure."""
    return command("rpcinfo -t {host} {prog}", on="{caller}", host=bare(host), prog=prog, caller=on)


def try_lock(server: str) -> Command:
    return command(
        "time flock -x /path/on/{server}/testfile true",
        on="a client",
        note="takes milliseconds when all is well",
        server=bare(server),
    )


def bare(host: str | None) -> str:
    """A host's address without the file that tells loopbacks apart; nothing for a host that is not known."""
    return (host or "").partition(IN_CAPTURE)[0]


def loopback_of(host: str, clients: Iterable[str] = ()) -> Need:
    """What only the host itself can see: how its kernel asks its own portmapper and statd, and statd its resolver."""
    peers = [bare(client) for client in sorted(set(clients))]
    hosts = either_host(["127.0.0.1", "::1", *peers], "port 53") if len(peers) <= FILTERED else None
    return Need(f"loopback of {host}", capture_at(host, hosts or ALL_BUT_SSH))


def wire_of(host: str, peers: Iterable[str] = ()) -> Need:
    """All that a host sends to its peers, and they to it."""
    known = [bare(peer) for peer in sorted(set(peers))]
    hosts = either_host(known) if 0 < len(known) <= FILTERED else None
    return Need(f"wire of {host}, both directions", capture_at(host, hosts or ALL_BUT_SSH))


def capture_at(host: str, frames: Filter) -> Command:
    """Captures these frames at a host, whole, into a file of its name."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", bare(host)).strip("-.") or "capture"
    return command("tcpdump -i any -s 0 -B 8192 -w {file} {frames}", file=PurePath(f"{name}.pcap"), frames=frames)
