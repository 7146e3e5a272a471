"""Flows with what they carry: the program called, or else the one that a portmapper named for the port."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Coded, Source
from nfsrpc.decode import Decoded
from nfsrpc.protocols import program_name
from nfsrpc.protocols.numbers import IpProto, Port, Prog
from nfsrpc.sessions.duplicates import Sightings
from nfsrpc.sessions.exchanges import NO_NUMBER, transports
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.tables import FLOWS, Flows, Registrations

# Bits of the core's flows.
RPC, SUPERSEDED, EVICTED, TLS = 1, 2, 4, 8

WELL_KNOWN = {Port.PORTMAP: Prog.PORTMAP, Port.NFS: Prog.NFS}
# Columns of the core in which 0 means that it was not seen, and the times that are theirs.
SEEN_AT = {"syn_frame": ("syn_time", "syn_last"), "synack_frame": ("synack_time",), "icmp_frame": ("icmp_time",)}
SEEN_AT |= {"rst_frame": ("rst_time",)}


def flows(decoded: Decoded, hosts: HostsByAddress, registrations: Registrations) -> Flows:
    raw = decoded.flows
    order = np.lexsort((raw["first_frame"], decoded.place[raw["first_capture"]]))
    rows = {name: values[order] for name, values in raw.items()}
    client, server = hosts.label(rows["client"]), hosts.label(rows["server"])
    named = programs_named(registrations, hosts, server, rows["server_port"], rows["transport"])
    known = np.where(named == NO_NUMBER, well_known(rows["server_port"]), named)
    service = np.where(rows["prog"] == NO_NUMBER, known, rows["prog"])
    columns: dict[str, Source] = dict(rows)
    for frame, times in SEEN_AT.items():
        seen = rows[frame] != 0
        columns[frame] = np.where(seen, rows[frame], NULLS["u32?"]).astype(np.uint32)
        columns |= {time: np.where(seen, rows[time], NAT) for time in times}
    columns |= {
        "vantage": decoded.vantage[rows["first_capture"]],
        "capture": rows["first_capture"],
        "frame": rows["first_frame"],
        "transport": transports(rows["transport"]),
        "client": client,
        "server": server,
        "loopback": hosts.is_loopback(rows["client"], rows["server"]),
        "prog": service,
        "program": program_names(service),
        "registered": named != NO_NUMBER,
        "rst_capture": np.where(rows["rst_frame"] != 0, rows["rst_capture"], NULLS["u16?"]).astype(np.uint16),
        "icmp_code": np.where(rows["icmp_frame"] != 0, rows["icmp_code"], NULLS["u8?"]).astype(np.uint8),
        "duplicate_of": seen_before(decoded, rows),
    }
    columns |= {name: last_of(rows, name) for name in ("c_last", "s_last")}
    for way in ("c", "s"):
        stretches = rows[f"{way}_unheard"] != 0
        columns |= {
            name: np.where(stretches, rows[name], NAT) for name in (f"{way}_unheard_first", f"{way}_unheard_last")
        }
    bits = {"rpc": RPC, "superseded": SUPERSEDED, "evicted": EVICTED, "tls": TLS}
    columns |= {name: rows["flags"] & bit != 0 for name, bit in bits.items()}
    return Flows(FLOWS, len(order), columns)


def last_of(rows: dict[str, Array], name: str) -> Callable[[], Array]:
    """The last frame of a direction; none where it had no frames."""
    return lambda: np.where(rows[f"{name[0]}_frames"] != 0, rows[name], NAT)


def programs_named(
    registrations: Registrations, hosts: HostsByAddress, server: Coded, port: Array, transport: Array
) -> Array:
    """The program that a portmapper named for each of these ports; NO_NUMBER where none did.

    An rpcbind may name another address than its own, where the port then is.
    """
    prog = np.full(len(port), NO_NUMBER, dtype=np.uint32)
    answered = registrations.valid("port") & (registrations["port"] != 0) & registrations.valid("prog")
    entries = registrations.where(answered)
    codes = {label: code for code, label in enumerate(server.labels)}
    protocols = np.where(entries["transport"] == "udp", IpProto.UDP, IpProto.TCP)
    # rpcbind may name another address than the one that was asked, as of a service in another network namespace.
    others = [hosts.named.get(address or "") for address in entries["address"].tolist()]
    places = np.concatenate([codes_of(codes, names) for names in (entries["host"].tolist(), others)])
    here = places >= 0
    keys = place(places, np.tile(entries["port"], 2), np.tile(protocols, 2))[here]
    programs = np.tile(entries["prog"], 2)[here]
    order = np.argsort(keys, kind="stable")
    called = place(server.codes, port, transport)
    at = np.minimum(np.searchsorted(keys[order], called), max(len(keys) - 1, 0))
    if len(keys):
        found = keys[order][at] == called
        prog[found] = programs[order][at][found]
    return prog


def codes_of(codes: Mapping[str, int], hosts: list[str | None]) -> Array:
    """The codes of these hosts; -1 for others."""
    return np.array([-1 if host is None else codes.get(host, -1) for host in hosts], dtype=np.int64)


def well_known(port: Array) -> Array:
    """The program that has each of these ports always; NO_NUMBER for others."""
    prog = np.full(len(port), NO_NUMBER, dtype=np.uint32)
    for known, number in WELL_KNOWN.items():
        prog[port == known] = number
    return prog


def place(host: Array, port: Array, transport: Array) -> Array:
    """A port of a host as one number."""
    return host.astype(np.int64) << 24 | port.astype(np.int64) << 8 | transport.astype(np.int64)


def program_names(prog: Array) -> Coded:
    distinct, codes = np.unique(prog, return_inverse=True)
    return Coded.distinct(
        codes, [None if number == NO_NUMBER else program_name(number, 0) for number in distinct.tolist()]
    )


def seen_before(decoded: Decoded, rows: dict[str, Array]) -> Array:
    """For each flow the one that counts, where another vantage shows the same; else null."""
    keys = [rows[name] for name in ("client", "client_port", "server", "server_port", "transport")]
    vantage = decoded.vantage[rows["first_capture"]]
    rank = (rows["s_frames"] == 0).astype(np.int8)  # one with both directions counts first
    point = decoded.points(rows["flow"], vantage) if len(decoded.sides) else None
    same = Sightings(keys, rows["first"], vantage, len(decoded.vantages), point).counted(rank)
    return np.where(same < 0, NULLS["u32?"], rows["flow"][same]).astype(np.uint32)
