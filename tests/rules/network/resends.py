"""When Linux sends again what got no answer."""

from __future__ import annotations

SYNS = [1, 3, 7, 15]  # seconds after the first SYN
