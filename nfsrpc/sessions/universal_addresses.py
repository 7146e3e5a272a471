"""Universal addresses of rpcbind (RFC 1833 §2.1, RFC 5665 §5.2.3.3): an address, and its port as two numbers."""

from __future__ import annotations

import re

BYTE = re.compile(r"[0-9]{1,3}")


def universal_address(text: str) -> tuple[str | None, int | None]:
    """The address and port in a universal address; no port where it is malformed, or of a local transport.

    >>> universal_address("10.1.84.31.0.111"), universal_address("::.2.150"), universal_address("")
    (('10.1.84.31', 111), ('::', 662), (None, 0))
    >>> universal_address("/run/rpcbind.sock"), universal_address("10.0.0.9.999.150")
    (('/run/rpcbind.sock', None), ('10.0.0.9.999.150', None))
    """
    if not text:
        return None, 0
    address, *ports = text.rsplit(".", 2)
    if address and len(ports) == 2 and all(BYTE.fullmatch(port) and int(port) < 256 for port in ports):
        return address, int(ports[0]) << 8 | int(ports[1])
    return text, None
