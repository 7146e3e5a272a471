"""Calls to statd: requests to monitor a peer, reboot notices, and statd's downcalls to lockd (X/Open C702 chapter 11).

Linux's lockd names the peer by address and itself by node name; its statd makes the downcall as procedure 16 of NLM
version 3, over loopback.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.columns import NULLS, Array, Coded, Masked
from nfsrpc.decode import Decoded
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.calls import OF_QUESTIONS
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.sessions.wanted import DOWNCALL, MONITORED
from nfsrpc.tables import MONITORS, Calls, Monitors


def monitors(decoded: Decoded, calls: Calls, hosts: HostsByAddress) -> Monitors:
    concerned = (calls["prog"] == Prog.NSM) | ((calls["prog"] == Prog.NLM) & (calls["procedure"] == DOWNCALL))
    asked = calls.where(concerned & ~calls.valid("duplicate_of"))
    exchanges = asked["exchange"]
    arguments = {name: argument(decoded, name, exchanges) for name in MONITORED}
    answered = decoded.column("nsm1.res", "res_state", exchanges)
    mon_name = decoded.text(arguments["mon_name"])
    same = OF_QUESTIONS | {"port": "server_port", "transport": "transport", "result": "status"}
    columns: dict[str, Any] = {name: asked.data(source) for name, source in same.items()}
    columns |= {name: nullable(arguments[name], "u32?") for name in ("my_prog", "my_vers", "my_proc")}
    columns |= {
        "procedure": short_names(asked["procedure"]),
        "mon_name": mon_name,
        "my_name": decoded.text(arguments["my_name"]),
        "peer": Coded.distinct(mon_name.codes, [hosts.named.get(name) for name in mon_name.labels]),
        "nsm_state": nullable(first_known(arguments["state"], answered), "i32?"),
    }
    return Monitors(MONITORS, len(asked), columns)


def short_names(procedure: Coded) -> Coded:
    names = ("DOWNCALL" if name == DOWNCALL else name.removeprefix("SM_") for name in procedure.labels)
    return Coded(procedure.codes, list(names))


def argument(decoded: Decoded, name: str, exchanges: Array) -> Masked:
    """An argument of an NSM call or, by the same name, of a downcall."""
    nsm, *downcalls = (decoded.column(f"{protocol}.args", name, exchanges) for protocol in ("nsm1", "nlm3", "nlm4"))
    for downcall in downcalls:
        nsm = first_known(nsm, downcall)
    return nsm


def first_known(first: Masked, second: Masked) -> Masked:
    values = np.where(first.valid, first.values.astype(np.int64), second.values.astype(np.int64))
    return Masked(values, first.valid | second.valid)


def nullable(column: Masked, kind: str) -> Array:
    dtype = {"u32?": np.uint32, "i32?": np.int32}[kind]
    return np.where(column.valid, column.values, NULLS[kind]).astype(dtype)
