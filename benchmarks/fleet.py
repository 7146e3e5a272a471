"""A fleet as captures: nodes that lock on servers of which some are ill, each with a folder, and the truth.

    python -m benchmarks.fleet FOLDER --nodes 200 --servers 8 --ill 3 --rounds 4

Every node captures its own network card, so that a server's illness shows only by what its clients wait for. The
clocks of nodes are off by up to an hour. `truth.json` says which server is ill of what, and which nodes use it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.scenario import Host, Scenario

HOUR = 3600.0
BEGIN = 1_795_000_000.0
LOCKD = 32803
USED = 3  # servers of a node, at most
PCAP_HEADER, RECORD_HEADER = 24, 16


Truth = dict[str, dict[str, Any]]


class Ill(NamedTuple):
    """A server's illness, the rule that names it, and how a client meets it."""

    name: str
    rule: str
    meet: Callable[[Scenario, Host, Host, str], None]


def without_statd(story: Scenario, client: Host, server: Host, path: str) -> None:
    """lockd looks for its statd 20 times, 3 s apart, and grants then."""
    lock = client.lock(server, path)
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    lock.unlock().granted()


def filtered(story: Scenario, client: Host, server: Host, path: str) -> None:
    """A firewall drops what is sent to lockd's port."""
    client.getport(server, "nlm4")
    client.syn(server, LOCKD, resend=[1, 3, 7, 15, 31])
    for _ in range(3):
        story.wait(1.0)
        client.getattr(server, path)


def unregistered(story: Scenario, client: Host, server: Host, path: str) -> None:
    """lockd is not registered, and the client asks for it every 3 s."""
    for _ in range(12):
        client.getport(server, "nlm4", port=0)
        story.wait(3.0)
        client.getattr(server, path)


ILLNESSES = (
    Ill("statd is not registered", "REG001", without_statd),
    Ill("lockd's port is filtered", "NET001", filtered),
    Ill("lockd is not registered", "REG003", unregistered),
)


def healthy(story: Scenario, client: Host, server: Host, path: str) -> None:
    lock = client.lock(server, path)
    lock.granted(after=0.002)
    story.wait(0.5)
    lock.unlock().granted(after=0.001)


def node(name: str, address: str, servers: dict[str, Ill | None], rounds: int, random: Random) -> bytes:
    """The capture of one node: in each round its NFS and locks, in the first one the illnesses of its servers."""
    story = Scenario(BEGIN + random.uniform(-HOUR, HOUR))
    client = story.host(address, name=name)
    story.xids, client.next_cookie = count(random.randrange(1 << 31)), count(random.randrange(1 << 31))
    client.next_port = count(random.randrange(600, 1000), -1)
    hosts = {server: story.host(server, name=f"srv-{server.rpartition('.')[2]}") for server in servers}
    for server, host in hosts.items():
        client.mount(host, f"/export/{server}")
    for number in range(rounds):
        for server, ill in servers.items():
            host, path = hosts[server], f"/export/{server}/{name}-{number}"
            for _ in range(5):
                client.getattr(host, path)
            if ill is None:
                healthy(story, client, host, path)
            elif not number:
                ill.meet(story, client, host, path)
            story.wait(1.0)
    return story.capture(at=client)


def ring(capture: bytes, files: int) -> list[bytes]:
    """A capture as a ring of so many files, cut between records."""
    ends, position = [], PCAP_HEADER
    while position < len(capture):
        position += RECORD_HEADER + int.from_bytes(capture[position + 8 : position + 12], "little")
        ends.append(position)
    cuts = [PCAP_HEADER, *(ends[len(ends) * part // files - 1] for part in range(1, files + 1))]
    return [capture[:PCAP_HEADER] + capture[one:two] for one, two in pairwise(cuts)]


def write(
    folder: Path, nodes: int = 200, servers: int = 8, ill: int = 3, rounds: int = 2, files: int = 2, seed: int = 1
) -> Truth:
    """Writes a fleet, and returns its truth: of each ill server its rule, and the clients that use it."""
    random = Random(seed)
    addresses = [f"10.9.0.{number}" for number in range(1, servers + 1)]
    illness = {address: ILLNESSES[number % len(ILLNESSES)] for number, address in enumerate(addresses[:ill])}
    truth: Truth = {
        address: {"rule": each.rule, "illness": each.name, "clients": []} for address, each in illness.items()
    }
    for number in range(nodes):
        name, address = f"node-{number:04}", f"10.8.{number // 250}.{number % 250 + 1}"
        used = [addresses[number % servers], *random.sample(addresses, min(USED, servers) - 1)]
        for server in dict.fromkeys(used):
            if server in truth:
                truth[server]["clients"].append(address)
        capture = node(name, address, {server: illness.get(server) for server in used}, rounds, random)
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for part, piece in enumerate(ring(capture, files)):
            (place / f"ring.pcap{part}").write_bytes(piece)
    (folder / "truth.json").write_text(json.dumps(truth, indent=2))
    return truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, default in (("nodes", 200), ("servers", 8), ("ill", 3), ("rounds", 2), ("files", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = vars(parser.parse_args())
    truth = write(options.pop("folder"), **options)
    print(f"{len(truth)} ill servers: {', '.join(truth)}")


if __name__ == "__main__":
    main()
