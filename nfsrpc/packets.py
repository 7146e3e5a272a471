"""Frames as scapy packets, for a closer look at a few: scapy is slow for each.

scapy is imported by functions only: its import takes a second, and prints warnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nfsrpc.decode import Decoded
from nfsrpc.raw import Frame, reread
from nfsrpc.wording import SECOND


def packets(decoded: Decoded, frames: Sequence[int], capture: int) -> Any:
    """Frames of a capture as a PacketList of scapy. Raises ValueError for a number without a frame."""
    from scapy.plist import PacketList

    if not 0 <= capture < len(decoded.sources):
        raise ValueError(f"no capture {capture}: there are {len(decoded.sources)}, counted from 0")
    name, last = decoded.files[capture], int(decoded.captures["frames"][capture])
    for frame in frames:
        if not 1 <= frame <= last:
            raise ValueError(f"no frame {frame} in {name}: it has {last}, counted from 1")
    found = reread(decoded, [(capture, frame) for frame in frames]).frames
    found.sort(key=lambda frame: frame.frame)
    return PacketList(list(map(packet, found)), name=name)


def packet(frame: Frame) -> Any:
    from scapy.config import conf
    from scapy.layers import inet, inet6, l2, ppp  # noqa: F401  they register their link types
    from scapy.packet import Raw
    from scapy.utils import EDecimal

    kind = conf.l2types.num2layer.get(frame.link_type, Raw)
    found = kind(frame.bytes)
    found.time = EDecimal(frame.time) / SECOND
    found.wirelen = frame.wire_len
    return found
