"""Rules: what is wrong, on which host, and how sure. One rule is one file, in the folder of its family.

A rule's file opens with its documentation in fixed sections, declares itself (`RULE`) and holds `check`, whose
parameters are the tables and facts (nfsrpc/facts/) that it reads; keyword-only ones are thresholds, which settings may
change. What only the rules of one family share lies beside them. diagnosis/catalogue.py lists the rules.
"""

from __future__ import annotations

# The first letters of identifiers and what such rules are about. Of equally grave and certain findings the one of the
# earlier family is the cause.
FAMILIES = {
    "REG": "Registrations (portmapper, rpcbind)",
    "MON": "Monitoring (statd)",
    "CBK": "Callbacks",
    "NET": "Network",
    "RPC": "RPC",
    "MNT": "Mounting",
    "LCK": "Lock requests",
    "NFS": "NFS",
    "CAP": "The capture itself",
}
# Rules whose findings are what a client sees of a fault elsewhere: lock requests that wait,
STALLED = ("LCK001", "LCK002", "LCK007", "RPC004")
# and those that are denied because lockd cannot reach its statd.
DENIED = (*STALLED, "LCK004", "LCK015")
