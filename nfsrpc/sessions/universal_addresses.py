"""Universal addresses of rpcbind (RFC 1833 §2.1, RFC 5665 §5.2.3.3): an address, and its port as two numbers."""

from __future__ import annotations


def universal_address(text: str) -> tuple[str | None, int | None]:
    """The address and port in it.

    >>> universal_address("10.1.84.31.0.111"), universal_address("::.2.150"), universal_address("")
    (('10.1.84.31', 111), ('::', 662), (None, 0))
    >>> universal_address("/run/rpcbind.sock")
    ('/run/rpcbind.sock', None)
    """
    if not text:
        return None, 0
    address, _, ports = text.rpartition(".")
    address, _, high = address.rpartition(".")
    if address and high.isdecimal() and ports.isdecimal() and int(high) < 256 and int(ports) < 256:
        return address, int(high) << 8 | int(ports)
    return text, None
