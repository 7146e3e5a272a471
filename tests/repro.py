"""Small captures that a common tool gets wrong, made of conversations: `python -m tests.repro DIRECTORY` writes them.

What is true of each stands in test_repro.py. 10.0.0.9 is the server, 10.0.0.1 and 10.0.0.2 are clients. Bare
acknowledgements are left out (`lost`), so that the frames which matter are numbered without gaps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.scenario import Host, LockRequest, Scenario

LOCKD = 4045
CAPTURES: dict[str, Callable[[], bytes]] = {}


def capture(make: Callable[[], bytes]) -> Callable[[], bytes]:
    CAPTURES[make.__name__.replace("_", "-")] = make
    return make


class Stage:
    """The server and its two clients."""

    def __init__(self) -> None:
        self.s = Scenario()
        self.server = self.host("10.0.0.9", "nfs-1")
        self.client = self.host("10.0.0.1", "web-1")
        self.other = self.host("10.0.0.2", "web-2")

    def host(self, address: str, name: str) -> Host:
        return self.s.host(address, name=name, ports={100021: LOCKD})

    def lock(self, **options: Any) -> LockRequest:
        self.s.wait(1)
        return self.client.lock(self.server, "/srv/www/sess.lock", svid=7, **options)


@capture
def async_cookie_collision() -> bytes:
    """Two clients count their cookies from the same number."""
    stage = Stage()
    clients = (stage.client, stage.other)
    asked = [client.lock(stage.server, "/srv/a", transport="udp", asynchronous=True).reply() for client in clients]
    assert asked[0].args["cookie"] == asked[1].args["cookie"]
    for client, call, stat in zip(clients, asked, ("GRANTED", "BLOCKED"), strict=True):
        stage.s.wait(0.01)
        stage.server.call(client, "nlm4", "LOCK_RES", transport="udp", cookie=call.args["cookie"], stat=stat)
    return stage.s.capture()


@capture
def lock_unanswered_reconnect() -> bytes:
    """Sent again on the same connection, and on the next."""
    stage = Stage()
    lock = stage.lock(acked=False)
    lock.unanswered(resend=[10])
    stage.s.wait(20)
    lock.flow.reset(by_server=False)
    stage.client.reconnect(stage.server, LOCKD)
    lock.resend(after=30.2)
    return stage.s.capture(lost=[6, 12])


@capture
def getport_zero() -> bytes:
    stage = Stage()
    for _ in range(5):
        stage.client.getport(stage.server, "nlm4", port=0, transport="udp")
        stage.s.wait(3)
    wish: dict[str, Any] = {"r_prog": 100024, "r_vers": 1, "r_netid": "udp"}
    stage.client.call(stage.server, "rpcbind4", "GETADDR", transport="udp", **wish).reply(addr="")
    return stage.s.capture()


@capture
def grant_refused() -> bytes:
    stage = Stage()
    lock = stage.lock().blocked(after=0.01)
    stage.s.wait(8)
    grant: dict[str, Any] = {"cookie": stage.server.cookie(), "exclusive": True, "alock": lock.args["alock"]}
    grant["alock"] |= {"caller_name": stage.server.name}
    stage.server.call(stage.client, "nlm4", "GRANTED_MSG", transport="udp", **grant).reply()
    refusal: dict[str, Any] = {"cookie": grant["cookie"], "stat": "DENIED"}
    stage.client.call(stage.server, "nlm4", "GRANTED_RES", transport="udp", **refusal).reply()
    return stage.s.capture(lost=[6])


@capture
def fragments_out_of_order() -> bytes:
    stage = Stage()
    stage.lock(fragments=3).denied("DENIED_NOLOCKS", after=0.03)
    return stage.s.capture(swapped=[5])


@capture
def xid_reuse() -> bytes:
    """The same xid to the same portmapper for something else, and to two portmappers at once."""
    stage = Stage()
    second, third = stage.host("10.0.0.10", "nfs-2"), stage.host("10.0.0.11", "nfs-3")

    def ask(host: Host, procedure: str, from_port: int, xid: int, **args: int) -> Any:
        options: dict[str, Any] = {"transport": "udp", "from_port": from_port, "xid": xid, **args}
        return stage.client.call(host, "portmap2", procedure, **options)

    ask(stage.server, "GETPORT", 600, 0x100, prog=100021, vers=4, prot=6).reply(port=LOCKD)
    stage.s.wait(600)
    mapping = {"prog": 100024, "vers": 1, "prot": 17, "port": 662}
    ask(stage.server, "DUMP", 601, 0x100).reply(mappings=[mapping])
    stage.s.wait(100)
    first = ask(second, "GETPORT", 602, 0x200, prog=100024, vers=1, prot=17)
    ask(third, "GETPORT", 603, 0x200, prog=100021, vers=4, prot=17).reply(port=0)
    first.reply(port=662)
    return stage.s.capture()


@capture
def monitor_refused() -> bytes:
    """What passes over the server's loopback, and a notice over the wire."""
    stage = Stage()
    stage.server.getport(stage.server, "nsm1", netid="udp", transport="udp")
    stage.server.monitor(stage.client, transport="udp").reply(res_stat="STAT_FAIL", state=3)
    stage.s.wait(1)
    stage.client.notify(stage.server, 5).reply()
    fields: dict[str, Any] = {"mon_name": "web-1", "state": 5}
    stage.server.call(stage.server, "nlm3", "NSM_NOTIFY", transport="udp", **fields).reply()
    return stage.s.capture(at=stage.server, on="any", link="sll2")


@capture
def snaplen_96() -> bytes:
    """Taken up in mid-stream, 42 bytes of each message."""
    stage = Stage()
    stage.lock(block=False).granted(after=0.03)
    for stat in ("GRANTED", "DENIED", "DENIED_NOLOCKS", "BLOCKED"):
        stage.lock().answered(stat, after=0.03)
    return stage.s.capture(snaplen=96, since=1, lost=[3, 6, 9, 12])


@capture
def lost_segment() -> bytes:
    stage = Stage()
    for stat in ("GRANTED", "DENIED", "GRANTED", "BLOCKED", "GRANTED", "DENIED"):
        stage.lock().answered(stat, after=0.03)
    return stage.s.capture(lost=[6, 9, 10, 12, 15, 18, 21])


@capture
def handle_to_path() -> bytes:
    stage = Stage()
    stage.client.mount(stage.server, "/srv/www", transport="udp")
    stage.client.lookup(stage.server, "/srv/www", "sess.lock")
    stage.lock().blocked(after=0.03)
    return stage.s.capture(lost=[8])


@capture
def captured_twice() -> bytes:
    stage = Stage()
    for _ in range(3):
        stage.lock(transport="udp").granted(after=0.01)
    return stage.s.capture(twice=True)


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, make in CAPTURES.items():
        (directory / f"{name}.pcap").write_bytes(make())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
