"""Names of statuses: of the result where there is one, of the RPC reply where it is an error.

Rows of one procedure with one status have one name, so it is looked up once per such group.
"""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import NULLS, Array, Coded
from nfsrpc.protocols import rpc, status_names
from nfsrpc.protocols.numbers import AcceptStat, NlmProc, Prog, Rejected
from nfsrpc.sessions.grouping import group

NLM4_LOCK = (Prog.NLM, 4, NlmProc.LOCK)  # its result has every value of nlm4_stats
NO_STATUS, NO_RPC_STATUS = NULLS["i32?"], NULLS["u8?"]


def names_of_statuses(prog: Array, vers: Array, proc: Array, rpc_status: Array, status: Array) -> Coded:
    """The name of each row's status; null where a row has none."""
    columns = (prog, vers, proc, rpc_status, status)
    groups, first = group(*columns)
    kinds = zip(*(column[first].tolist() for column in columns), strict=True)
    return Coded.distinct(groups.astype(np.int32), [name_of(*kind) for kind in kinds])


def name_of(prog: int, vers: int, proc: int, rpc_status: int, status: int) -> str | None:
    """The name of one status, null by the sentinels of its columns; the number where the protocol has no name for it.

    >>> name_of(100021, 4, 2, 0, 3), name_of(100021, 4, 2, 0, 77), name_of(100024, 1, 2, 1, NO_STATUS)
    ('BLOCKED', '77', 'PROG_UNAVAIL')
    """
    if rpc_status not in (AcceptStat.SUCCESS, NO_RPC_STATUS):
        return rpc_status_name(rpc_status)
    return None if status == NO_STATUS else status_names(prog, vers, proc).get(status, str(status))


def rpc_status_name(number: int) -> str:
    """
    >>> rpc_status_name(1), rpc_status_name(16), rpc_status_name(33), rpc_status_name(31)
    ('PROG_UNAVAIL', 'RPC_MISMATCH', 'AUTH_BADCRED', '31')
    """
    if number >= Rejected.AUTH_ERROR:
        return rpc.auth_stat.names.get(number - Rejected.AUTH_ERROR, f"AUTH_ERROR {number - Rejected.AUTH_ERROR}")
    return "RPC_MISMATCH" if number == Rejected.RPC_MISMATCH else rpc.accept_stat.names.get(number, str(number))
