"""What is asked of captures: the fields of messages that the tables are made of, and what need not be listed.

A trace is decoded no further. Nothing here needs numpy, so that decoding may begin while the rest is imported.
"""

from __future__ import annotations

from nfsrpc.protocols import PROTOCOLS
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.name_sources import LESSONS

NLM_PROTOCOLS = tuple(program.protocol for program in PROTOCOLS if program.number == Prog.NLM)

# What portmappers are asked and say.
MAPPING = ("prog", "vers", "prot", "port")
RPCB = ("r_prog", "r_vers", "r_netid", "r_addr", "r_owner")
RPCBIND = (*RPCB, "res_addr", "res_result", *(f"rpcblist.{name}" for name in RPCB))

# What statds are asked, and tell lockd: in a downcall, as NLM has it.
MONITORED = ("mon_name", "my_name", "my_prog", "my_vers", "my_proc", "state")
DOWNCALL = "NSM_NOTIFY"

# Whose lock on what is meant. In the asynchronous form the result is a call of its own, with the same cookie.
LOCK = ("caller_name", "fh", "oh", "svid", "l_offset", "l_len", "exclusive", "block", "reclaim")
RESULTS = {f"{name}_RES": f"{name}_MSG" for name in ("LOCK", "CANCEL", "UNLOCK", "GRANTED")}
ASYNCHRONOUS = (*RESULTS, *RESULTS.values())

WANTED: dict[str, tuple[str, ...]] = {
    "portmap2": (*MAPPING, "res_port", "res_result", *(f"mappings.{name}" for name in MAPPING)),
    "rpcbind3": RPCBIND,
    "rpcbind4": (*RPCBIND, "rpcb_entry_list.r_maddr", "rpcb_entry_list.r_nc_netid"),
    "nsm1": (*MONITORED, "res_state"),
    **{f"{protocol}.{DOWNCALL}": ("mon_name", "state") for protocol in ("nlm3", "nlm4")},
    **dict.fromkeys(NLM_PROTOCOLS, (*LOCK, "stat")),
    **{f"{protocol}.{procedure}": ("cookie",) for protocol in NLM_PROTOCOLS for procedure in ASYNCHRONOUS},
    **{procedure: tuple(filter(None, lesson[1:])) for procedure, lesson in LESSONS.items()},
}
