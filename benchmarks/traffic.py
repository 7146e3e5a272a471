"""The captures that the benchmarks read, made from a seed: the same bytes each time.

`small`: packets of small messages. Eight clients, each with two NFS connections and one to lockd; GETATTR, LOOKUP,
ACCESS, READ and WRITE of 1 KiB, a tenth of the exchanges LOCK and UNLOCK (each client locks and writes files of its
own), an acknowledgement without data after every fourth exchange, a few portmap calls over UDP. Made by column: first a
table of all frames, then the frames of each kind of message as one matrix.

`held`: the same, but a fifth of the exchanges are LOCKs of which none is unlocked.
`pairs`: the same, but four fifths of the exchanges are LOCK and UNLOCK.

`storm`: a thousand clients whose LOCKs a server without statd holds back; each is acknowledged by TCP, never answered,
and sent four more times.

`bulk`: READ and WRITE in records of 64 KiB to 1 MiB, and now and then LOCK and UNLOCK. The connections of six clients
carry segments of the MTU (1448 bytes of data), those of two, a quarter of the bytes, segments of 64 KiB, as
a capture on a host with segmentation offload shows them. Made by burst: each client is a generator of bursts of
segments, and they take turns.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks import messages
from benchmarks.frames import ACK, FILE_HEADER, PUSH, SYN, TCP_RECORD, UDP_RECORD, Bytes, Ends, Numbers, tcp, udp
from benchmarks.messages import Template, digits

SEED = 100003
START_US = 1_767_225_600_000_000  # 2026-01-01
CLIENTS = 8
SERVER, FIRST_CLIENT = 0x0A000001, 0x0A000101
NFS_PORT, LOCKD_PORT, PORTMAP_PORT = 2049, 32803, 111

# --- small, held, pairs

EXCHANGES = 0.45  # per frame, which makes a few frames too many: the capture ends where it is full
FILES = 2000
KINDS = {
    "GETATTR": messages.GETATTR,
    "LOOKUP": messages.LOOKUP,
    "ACCESS": messages.ACCESS,
    "READ": messages.read(1024),
    "WRITE": messages.write(1024),
    "LOCK": messages.LOCK,
    "UNLOCK": messages.UNLOCK,
    "GETPORT": messages.GETPORT,
}


class Mix(NamedTuple):
    """What a capture of small messages holds."""

    shares: tuple[float, ...]  # of the kinds in the exchanges, in their order
    clients: int = CLIENTS
    frame_us: int = 60  # one frame in so many microseconds
    start_us: int = START_US
    seed: int = SEED


SMALL = Mix((0.22, 0.16, 0.20, 0.16, 0.16, 0.05, 0.05, 0.0005))
HELD = Mix((0.20, 0.14, 0.18, 0.14, 0.14, 0.20, 0, 0.0005))
PAIRS = Mix((0.05, 0.04, 0.05, 0.03, 0.03, 0.40, 0.40, 0.0005))
WRITE, LOCK, UNLOCK, GETPORT = (list(KINDS).index(name) for name in ("WRITE", "LOCK", "UNLOCK", "GETPORT"))


class Part(NamedTuple):
    """What a frame carries and which way it goes."""

    template: Template
    from_server: bool
    flags: int = PUSH | ACK


# The call and the reply of kind k are parts 2k and 2k + 1.
PARTS = [Part(template, side == 1) for pair in KINDS.values() for side, template in enumerate(pair)]
OPEN, OPENED, ACKNOWLEDGED, HELD_BACK = range(len(PARTS), len(PARTS) + 4)
PARTS += [Part(Template([]), False, SYN), Part(Template([]), True, SYN | ACK)]
PARTS += [Part(Template([]), False, ACK), Part(Template([]), True, ACK)]

# A client's connections: two to nfsd, one to lockd, and the socket that it asks the portmapper with.
SERVER_PORTS = np.array([NFS_PORT, NFS_PORT, LOCKD_PORT, PORTMAP_PORT])
CLIENT_PORTS = np.array([712, 713, 801, 865])
LOCKD = 2  # the place of its connection among those of a client

EXCHANGE = np.dtype([(name, "i8") for name in ("kind", "flow", "time", "reply_time", "file", "owner", "xid")])
FRAME = np.dtype([(name, "i8") for name in ("part", "flow", "time", "exchange")])
Rows = NDArray[np.void]


def mixed(mix: Mix, path: Path, size: int) -> None:
    """A capture of `size` frames."""
    rng = default_rng(mix.seed)
    exchanges = mixed_exchanges(mix, size, rng)
    write(path, exchanges, mixed_frames(exchanges, mix.clients, size), rng, mix.start_us)


def write(path: Path, exchanges: Rows, frames: Rows, rng: Generator, start_us: int = START_US) -> None:
    seq, ack = sequence_numbers(frames)
    udp_frame = frames["part"] // 2 == GETPORT
    sizes = np.array([len(part.template) for part in PARTS])[frames["part"]]
    ends = len(FILE_HEADER) + np.cumsum(sizes + np.where(udp_frame, UDP_RECORD, TCP_RECORD))
    capture = np.zeros(ends[-1], np.uint8)
    capture[: len(FILE_HEADER)] = np.frombuffer(FILE_HEADER, np.uint8)
    pool = rng.integers(0, 256, (64, 1024), np.uint8)
    for number, part in enumerate(PARTS):
        of_this_part = np.flatnonzero(frames["part"] == number)
        for rows in np.split(of_this_part, range(20_000, len(of_this_part), 20_000)):
            frame = frames[rows]
            hosts = between(frame["flow"])
            hosts = hosts.swapped() if part.from_server else hosts
            payload = part.template.fill(len(rows), **contents(exchanges[frame["exchange"]], frame["exchange"], pool))
            if number // 2 == GETPORT:
                packets = udp(hosts, start_us + frame["time"], payload)
            else:
                packets = tcp(hosts, start_us + frame["time"], seq[rows], ack[rows], payload, part.flags)
            size = packets.shape[1]
            capture[(ends[rows] - size)[:, None] + np.arange(size)] = packets
    with path.open("wb") as file:
        capture.tofile(file)


def mixed_exchanges(mix: Mix, size: int, rng: Generator) -> Rows:
    """In order of their calls. An UNLOCK is of the file and owner of its LOCK, some time after it."""
    counts = [int(share * EXCHANGES * size) for share in mix.shares]
    rows = np.zeros(sum(counts), EXCHANGE)
    rows["kind"] = kind = np.repeat(np.arange(len(KINDS)), counts)
    socket = np.select([(kind == LOCK) | (kind == UNLOCK), kind == GETPORT], [LOCKD, 3], rng.integers(0, 2, len(rows)))
    rows["flow"] = rng.integers(0, mix.clients, len(rows)) * len(SERVER_PORTS) + socket
    rows["time"] = rng.integers(1_000_000, 1_000_000 + mix.frame_us * size, len(rows))
    rows["file"] = rng.integers(0, FILES, len(rows))
    own = (kind == LOCK) | (kind == WRITE)
    rows["file"][own] = rows["file"][own] // mix.clients * mix.clients + rows["flow"][own] // len(SERVER_PORTS)
    rows["owner"] = np.arange(len(rows))
    if counts[UNLOCK]:
        held = rng.exponential(200_000, counts[LOCK]).astype(int).clip(5_000, 1_500_000)
        for name in ("flow", "file", "owner"):
            rows[name][kind == UNLOCK] = rows[name][kind == LOCK]
        rows["time"][kind == UNLOCK] = rows["time"][kind == LOCK] + held
    rows["reply_time"] = rows["time"] + 150 + rng.exponential(300, len(rows)).astype(int).clip(0, 4_000)
    rows = rows[np.argsort(rows["time"], kind="stable")]
    rows["xid"] = 0x5EED0000 + np.arange(len(rows))
    return rows


def frames_of(part: Any, flow: Numbers, time: Numbers, exchange: Any) -> Rows:
    rows = np.zeros(len(flow), FRAME)
    rows["part"], rows["flow"], rows["time"], rows["exchange"] = part, flow, time, exchange
    return rows


def opened(flows: Numbers) -> list[Rows]:
    """The handshakes of connections, one after the other."""
    return [frames_of(part, flows, flows * 1000 + part, 0) for part in (OPEN, OPENED, ACKNOWLEDGED)]


def mixed_frames(exchanges: Rows, clients: int, size: int) -> Rows:
    """In order of time, each connection opened before, cut where the capture is full."""
    flow = exchanges["flow"]
    number = np.arange(len(exchanges))
    acked = number[(number % 4 == 0) & (exchanges["kind"] != GETPORT)]
    opening = np.flatnonzero(np.arange(clients * len(SERVER_PORTS)) % len(SERVER_PORTS) != 3)
    every = np.concatenate(
        [
            *opened(opening),
            frames_of(exchanges["kind"] * 2, flow, exchanges["time"], number),
            frames_of(exchanges["kind"] * 2 + 1, flow, exchanges["reply_time"], number),
            frames_of(ACKNOWLEDGED, flow[acked], exchanges["reply_time"][acked] + 40, acked),
        ]
    )
    return every[np.argsort(every["time"], kind="stable")][:size]


def sequence_numbers(frames: Rows) -> tuple[Numbers, Numbers]:
    """What each frame's sender has sent before it, and what it has received."""
    from_server = np.array([part.from_server for part in PARTS])[frames["part"]]
    length = np.array([len(part.template) + (part.flags & SYN != 0) for part in PARTS])[frames["part"]]
    seq, ack = np.zeros(len(frames), np.int64), np.zeros(len(frames), np.int64)
    by_flow = np.argsort(frames["flow"], kind="stable")
    for rows in np.split(by_flow, np.flatnonzero(np.diff(frames["flow"][by_flow])) + 1):
        flow = int(frames["flow"][rows[0]])
        by_side = [np.cumsum(np.where(from_server[rows] == side, length[rows], 0)) for side in (False, True)]
        client, server = (0x1000_0000 * (side + 1) + flow + sent for side, sent in enumerate(by_side))
        sent, received = np.where(from_server[rows], (server, client), (client, server))
        seq[rows] = sent - length[rows]
        ack[rows] = np.where(frames["part"][rows] == OPEN, 0, received)
    return seq, ack


def between(flow: Any) -> Ends:
    client, socket = np.divmod(flow, len(SERVER_PORTS))
    return Ends(FIRST_CLIENT + client, CLIENT_PORTS[socket], SERVER, SERVER_PORTS[socket])


def contents(exchange: Rows, number: Numbers, pool: Bytes) -> dict[str, Any]:
    """What fills the holes of the messages of these exchanges."""
    return {
        "xid": exchange["xid"],
        "cookie": exchange["xid"],
        "machine": digits(exchange["flow"] // len(SERVER_PORTS), 4),
        "fh": handle(exchange["file"]),
        "directory": handle(exchange["file"] // 50 + FILES),
        "name": digits(exchange["file"], 6),
        "fileid": exchange["file"],
        "offset": number % 1000 * 1024,
        "data": pool[number % len(pool)],
        "owner": digits(exchange["owner"] % 500, 6),
        "svid": exchange["owner"] % 500,
        "l_offset": exchange["owner"] * 100,
        "port": np.full(len(number), LOCKD_PORT),
    }


def handle(file: Any) -> Bytes:
    """File handles as knfsd makes them: version, type, device, then inode and generation."""
    rows = np.zeros((len(np.atleast_1d(file)), 28), np.uint8)
    rows[:, :8] = (1, 0, 7, 1, 0, 0xFD, 0, 1)
    rows[:, 20:28] = np.atleast_1d(file).astype("<u8")[:, None].view(np.uint8)
    return rows


# --- storm

STORM_CLIENTS = 1000
SENDS = 5  # of each LOCK
TIMEOUT_US = 10_000_000  # of a kernel's lock request over TCP
PAUSE_US = 15_000_000  # between a LOCK that is given up and the next


def storm(path: Path, size: int) -> None:
    """A capture of about `size` frames: as many LOCKs per client as it takes."""
    rng = default_rng(SEED)
    locks = max(1, size // (STORM_CLIENTS * SENDS * 2))
    number = np.arange(STORM_CLIENTS * locks)
    client, turn = number % STORM_CLIENTS, number // STORM_CLIENTS
    exchanges = np.zeros(len(number), EXCHANGE)
    exchanges["kind"], exchanges["flow"] = LOCK, client * len(SERVER_PORTS) + LOCKD
    exchanges["time"] = 10_000_000 + turn * (SENDS * TIMEOUT_US + PAUSE_US) + rng.integers(0, TIMEOUT_US, len(number))
    exchanges["file"], exchanges["owner"] = client, number
    exchanges["xid"] = 0x5EED0000 + number
    every = opened(np.arange(STORM_CLIENTS) * len(SERVER_PORTS) + LOCKD)
    for send in range(SENDS):
        time = exchanges["time"] + send * TIMEOUT_US
        every += [frames_of(LOCK * 2, exchanges["flow"], time, number)]
        every += [frames_of(HELD_BACK, exchanges["flow"], time + 40, number)]
    frames = np.concatenate(every)
    write(path, exchanges, frames[np.argsort(frames["time"], kind="stable")], rng)


# --- bulk

RECORD_SIZES = [1 << power for power in range(16, 21)]
MSS = 1448  # of an MTU of 1500 with TCP's timestamps
OFFLOADED = 44 * MSS  # as much as fits in an IP packet of 64 KiB
LOCK_EVERY = 10  # transfers


class Clock:
    """The time of the next frame; a frame takes 12 µs on a wire of 1 Gbit/s."""

    def __init__(self) -> None:
        self.now = START_US

    def take(self, frames: int) -> Numbers:
        times = self.now + 12 * np.arange(frames)
        self.now += 12 * frames
        return times


class Connection:
    """Both sides of a TCP connection. `send` gives the packets of a message and the other side's acknowledgements."""

    def __init__(self, hosts: Ends, segment: int, clock: Clock, rng: Generator) -> None:
        self.hosts = hosts, hosts.swapped()
        self.segment = segment
        self.clock = clock
        self.rng = rng
        self.sent = [0x1000_0000, 0x2000_0000]

    def open(self) -> Iterator[Bytes]:
        for side, flags in ((0, SYN), (1, SYN | ACK), (0, ACK)):
            yield self._packets(side, np.zeros((1, 0), np.uint8), flags)
            self.sent[side] += flags & SYN != 0

    def send(self, side: int, message: Bytes) -> Iterator[Bytes]:
        """In bursts of some 64 KiB; `message` is one row."""
        burst = self.segment * max(1, int(self.rng.integers(16, 64)) * MSS // self.segment)
        for at in range(0, message.size, burst):
            piece = message[0, at : at + burst]
            whole = piece.size // self.segment * self.segment
            if whole:
                yield self._packets(side, piece[:whole].reshape(-1, self.segment), ACK)
            if whole < piece.size:
                yield self._packets(side, piece[None, whole:], PUSH | ACK)
            yield self._packets(1 - side, np.zeros((1, 0), np.uint8), ACK)

    def _packets(self, side: int, payload: Bytes, flags: int) -> Bytes:
        count, size = payload.shape
        seq = self.sent[side] + np.arange(count) * size
        self.sent[side] += payload.size
        acknowledged = self.sent[1 - side] if flags & ACK else 0
        return tcp(self.hosts[side], self.clock.take(count), seq, acknowledged, payload, flags)


def bulk(path: Path, size: int) -> None:
    """A capture of `size` thousand bytes."""
    rng, clock = default_rng(SEED), Clock()
    pool = rng.integers(0, 256, 4 << 20, np.uint8)
    clients = [transfers(client, clock, default_rng((SEED, client)), pool) for client in range(CLIENTS)]
    written = 0
    with path.open("wb") as file:
        file.write(FILE_HEADER)
        while written < size * 1000:
            burst = next(clients[rng.integers(CLIENTS)])
            burst.tofile(file)
            written += burst.size


def transfers(client: int, clock: Clock, rng: Generator, pool: Bytes) -> Iterator[Bytes]:
    """Bursts of one client, without end: READ and WRITE, one after the other."""
    segment = OFFLOADED if client % 4 == 3 else MSS
    nfs, _, lockd = (Connection(between(client * 4 + socket), segment, clock, rng) for socket in range(3))
    yield from nfs.open()
    yield from lockd.open()
    pairs = [make(size) for make in (messages.read, messages.write) for size in RECORD_SIZES]
    count = 0
    while True:
        count += 1
        if count % LOCK_EVERY == 0:
            for pair in (messages.LOCK, messages.UNLOCK):
                yield from exchange(lockd, pair, client, count, rng, pool)
        yield from exchange(nfs, pairs[rng.integers(len(pairs))], client, count, rng, pool)


def exchange(
    connection: Connection, pair: tuple[Template, Template], client: int, count: int, rng: Generator, pool: Bytes
) -> Iterator[Bytes]:
    row = np.zeros(1, EXCHANGE)
    row["flow"], row["file"], row["owner"] = client * 4, client * 100 + count % 100, client * 10_000 + count
    row["xid"] = rng.integers(1 << 32)
    size = max(hole.size for template in pair for hole, _ in template.holes)
    at = rng.integers(pool.size - size)
    values = contents(row, np.array([count]), pool[None, at : at + size])
    for side, template in enumerate(pair):
        yield from connection.send(side, template.fill(1, **values))
        connection.clock.now += 200


CAPTURES: dict[str, Callable[[Path, int], None]] = {
    "small": partial(mixed, SMALL),
    "bulk": bulk,
    "held": partial(mixed, HELD),
    "pairs": partial(mixed, PAIRS),
    "storm": storm,
}


def main() -> None:
    """python -m benchmarks.traffic NAME PATH SIZE"""
    name, path, size = sys.argv[1:]
    part = Path(path + ".part")
    CAPTURES[name](part, int(size))
    part.rename(path)


if __name__ == "__main__":
    main()
