"""Whether two addresses are of one network, as far as addresses alone show it: a capture holds no netmasks.

A host with several addresses, or one that moves between nodes, often sends from an address that its peer has no way
back to. Addresses of one /24 (IPv4) or /64 (IPv6, RFC 4291 section 2.5.1) are taken for neighbours, which reach each
other without a router; nothing is concluded from what is no address.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

PREFIX = {4: 24, 6: 64}  # bits of the commonest networks


def is_foreign(address: str | None, other: str | None) -> bool:
    """Whether both are addresses of one family, and of different networks."""
    try:
        one, two = ip_address(address or ""), ip_address(other or "")
    except ValueError:
        return False
    if one.version != two.version:
        return False
    return two not in ip_network((one, PREFIX[one.version]), strict=False)
