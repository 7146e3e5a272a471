"""Calls that failed, and what came next: a failure that the next call of the same kind does not repeat has passed.

Each kind of call (who asked whom for what) has its calls and its successes by time, so that an answer takes log n.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nfsrpc.columns import Mask
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls
from nfsrpc.wording import SECOND

SOON_S = 10.0  # a client's first retransmission


def passed_soon(failed: Calls, calls: Calls, done: Calls, kind: Sequence[str]) -> Mask:
    """Which of these calls, all answered, were followed soon by one of `done`, before any other of `calls`.

    `kind`: the columns in which these agree.
    """
    mask = np.zeros(len(failed), dtype=np.bool_)
    if not len(failed):
        return mask
    next_calls, successes = (Stretches([rows.column(name) for name in kind], rows["time"]) for rows in (calls, done))
    keys = zip(*(failed.column(name).tolist() for name in kind), strict=True)
    for number, (key, replied) in enumerate(zip(keys, failed["reply_time"].tolist(), strict=True)):
        then = successes.following(key, replied)
        is_soon = then is not None and then - replied <= SOON_S * SECOND
        mask[number] = is_soon and then == next_calls.following(key, replied)
    return mask
