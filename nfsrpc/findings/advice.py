"""Commands that several rules advise: to start services, to look at them, to capture what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from nfsrpc.findings.command import IN_CAPTURE, Command, Filter, command, either_host, remark
from nfsrpc.findings.finding import Need
from nfsrpc.wording import named

# rpc-statd.service has no [Install] section: it cannot be enabled, others start it.
# Where its port mapper has answered: rpcbind runs, and statd, which may run without a registration, comes first. Its
# restart drops no locks; rpcbind has to run after the next boot, too.
START_STATD = (
    command("systemctl unmask rpc-statd; systemctl restart rpc-statd"),
    command("systemctl enable rpcbind"),
    remark("At boot nfs-server starts rpc-statd; on a client mount.nfs does, at each NFSv3 mount."),
)
# Not rpcbind with it: restarted without -w it loses all other registrations.
RESTART_STATD = (command("systemctl restart rpc-statd"),)
START_PORTMAPPER = (command("systemctl enable --now rpcbind.socket rpcbind"),)
RESTART_PORTMAPPER = (
    command("systemctl kill -s CONT rpcbind", note="if it was stopped by a signal; this keeps its registrations"),
    command("systemctl restart rpcbind", note="else; rpcbind without -w loses all registrations: see rpcinfo -p"),
)
RESTART_SERVER = (command("systemctl restart nfs-server"),)
# lockd registers when the first nfsd starts; to start what runs already does nothing. The restart drops all locks, so
# it is not among the lines that are pasted together.
REGISTER_SERVER = (
    command("systemctl start nfs-server", note="if it does not run"),
    remark("Else, last resort: systemctl restart nfs-server && sm-notify -f"),
    remark("It drops the locks of all clients; sm-notify lets them reclaim, but not with Linux 6.12."),
)
# The capture does not show which server it is. Linux cannot break the lock of one client, only all that lockd holds on
# one file system.
BREAK_LOCK = (
    command("cat /proc/locks; lslocks", on="the server", note="a Linux kernel server: which process or lockd holds it"),
    command(
        "echo /path/of/the/export > /proc/fs/nfsd/unlock_filesystem",
        on="the server",
        note="a Linux kernel server: drops the locks of all clients on that file system",
    ),
    remark("NFS-Ganesha: these do not reach its locks; systemctl restart nfs-ganesha drops those of all clients."),
)
LOCK_IS_GONE = command("cat /proc/locks", on="the server", note="a Linux kernel server: the lock is gone")

FILTERED = 6  # more clients than this are not named in a capture filter
ALL_BUT_SSH = Filter("not port 22")


def registered(host: str, prog: int, netid: str | None = None) -> Command:
    """The command that queries a host's portmapper for a program, for one transport where one is named."""
    if netid in ("tcp", "udp"):
        return command(
            "rpcinfo -p {host} | grep {prog} | grep {netid} || nfsrpc probe {host}",
            host=bare(host),
            prog=prog,
            netid=netid,
        )
    return command("rpcinfo -p {host} | grep {prog} || nfsrpc probe {host}", host=bare(host), prog=prog)


def lock_services(host: str) -> Command:
    """The command that queries a host's portmapper for lockd and statd."""
    return command("rpcinfo -p {host} | grep -e nlockmgr -e status", host=bare(host))


def answers(host: str, prog: int, on: str = "", netid: str | None = None) -> Command:
    """The command that calls a program's NULL procedure, over UDP where that is the transport in question."""
    if netid == "udp":
        return command("rpcinfo -u {host} {prog}", on="{caller}", host=bare(host), prog=prog, caller=on)
    return command("rpcinfo -t {host} {prog}", on="{caller}", host=bare(host), prog=prog, caller=on)


def connects(host: str, port: int | None, client: str) -> Command:
    """The command that connects to a TCP port: of bash alone, since minimal systems have no nc."""
    return command(
        "timeout 5 bash -c '</dev/tcp/{host}/{port}' && echo accepted",
        on="{client}",
        note="a load balancer in between accepts even if the service is down",
        host=bare(host),
        port=port,
        client=client,
    )


def who_holds(server: str, holders: Iterable[str]) -> Command:
    """The command that shows which process has a lock: on the hosts that hold it, or else on the server."""
    hosts = sorted({bare(holder) for holder in holders})
    if hosts:
        return command("lslocks; fuser -v FILE", on="{holders}", note="which process holds it", holders=named(hosts))
    return command(
        "cat /proc/locks; lslocks",
        on="the server {server}",
        note="who holds it, on a Linux kernel server",
        server=bare(server),
    )


def restart_statd(host: str) -> Command:
    """The command that restarts statd, which reads its list of monitored peers again; locks are kept."""
    return command("systemctl restart rpc-statd", on="{host}", note="drops no locks", host=bare(host))


def try_lock(server: str) -> Command:
    return command(
        "time flock -x /path/on/{server}/testfile true",
        on="a client",
        note="takes milliseconds when all is well",
        server=bare(server),
    )


def bare(host: str | None) -> str:
    """A host's address without the file that distinguishes loopbacks; nothing for a host that is not known."""
    return (host or "").partition(IN_CAPTURE)[0]


def loopback_of(host: str, clients: Iterable[str] = ()) -> Need:
    """The vantage on a host's loopback: its kernel's calls to portmapper and statd, and statd's DNS queries."""
    peers = [bare(client) for client in sorted(set(clients))]
    hosts = either_host(["127.0.0.1", "::1", *peers], "port 53") if len(peers) <= FILTERED else None
    return Need(f"loopback of {host}", capture_at(host, hosts or ALL_BUT_SSH))


def wire_of(host: str, peers: Iterable[str] = ()) -> Need:
    """The vantage on a host's wire: all that it exchanges with these peers."""
    known = [bare(peer) for peer in sorted(set(peers))]
    hosts = either_host(known) if 0 < len(known) <= FILTERED else None
    return Need(f"wire of {host}", capture_at(host, hosts or ALL_BUT_SSH))


def capture_at(host: str, frames: Filter) -> Command:
    """The command that captures these frames at a host, whole, into a file of its name."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", bare(host)).strip("-.") or "capture"
    return command("tcpdump -i any -s 0 -B 8192 -w {file} {frames}", file=PurePath(f"{name}.pcap"), frames=frames)
