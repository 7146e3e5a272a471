"""The fields of messages that the tables are made of; no others are decoded.

Nothing here needs numpy, so that decoding may begin while the rest is imported.
"""

from __future__ import annotations

from nfsrpc.protocols import PROTOCOLS
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.name_sources import LESSONS

NLM_PROTOCOLS = tuple(program.protocol for program in PROTOCOLS if program.number == Prog.NLM)

# Arguments and results of portmappers.
MAPPING = ("prog", "vers", "prot", "port")
RPCB = ("r_prog", "r_vers", "r_netid", "r_addr", "r_owner")
RPCBIND = (*RPCB, "res_addr", "res_result", *(f"rpcblist.{name}" for name in RPCB))

# Arguments of calls to statd, and of its downcall to lockd, which is a procedure of NLM.
MONITORED = ("mon_name", "my_name", "my_prog", "my_vers", "my_proc", "state")
DOWNCALL = "NSM_NOTIFY"

# The owner and range of a lock. In the asynchronous form the result is a call of its own, with the same cookie.
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
