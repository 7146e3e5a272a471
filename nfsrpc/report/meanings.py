"""Meanings of fields' values that name and number do not show: which owner, which file, which range.

A meaning is looked up by the field's name, and may depend on the fields before it in the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.protocols.numbers import GRANTS
from nfsrpc.sessions.ranges import is_to_the_end
from nfsrpc.sessions.universal_addresses import universal_address
from nfsrpc.wording import date_time

Values: TypeAlias = Mapping[str, Any]  # of the fields so far, by name; of equal names the last
NameOfFile: TypeAlias = Callable[[bytes], str | None]
Meaning: TypeAlias = Callable[[Any, Values], str]

# Fields that hold file handles. Names of NFS version 3, of version 2 (file, from) and of MOUNT.
HANDLES = ("fh", "object", "obj", "dir", "file", "name_handle", "symlink", "fsroot", "fhandle", "fhs_fhandle", "from")
ACCESS = ("READ", "LOOKUP", "MODIFY", "EXTEND", "DELETE", "EXECUTE")  # RFC 1813 §3.3.4
EPOCHAL = 10**8  # seconds; a smaller number is a span of time


# nlm4_stats and nlm_stats, as X/Open C702 and RFC 1813 appendix II explain them.
LOCK_STATUS = {
    "GRANTED": "it is done",
    "DENIED": "another holds the range",
    "DENIED_NOLOCKS": "the server has no means to lock",
    "BLOCKED": "another holds the range: wait to be called back",
    "DENIED_GRACE_PERIOD": "the server has restarted and takes only reclaims",
    "DEADLCK": "to wait would be a deadlock",
    "STALE_FH": "the file is gone",
    "FAILED": "for another reason",
}


def meaning(name: str, value: Any, values: Values, name_of_file: NameOfFile) -> str:
    """The meaning of a field's value in words; empty where there is nothing to add."""
    if isinstance(value, bytes):
        if name in HANDLES:
            return name_of_file(value) or ""
        return f'"{value.decode()}"' if value.isascii() and value.decode().isprintable() and value else ""
    found = MEANINGS[type(value)].get(name)
    return found(value, values) if found else ""


def of_program(number: int, values: Values) -> str:
    name = program_name(number, 0)
    return "" if name == str(number) else name


def of_procedure(number: int, values: Values) -> str:
    name = procedure_name(values.get("prog", 0), values.get("vers", 0), number)
    return "" if name == str(number) else name


def of_call_back(number: int, values: Values) -> str:
    name = procedure_name(values.get("my_prog", 0), values.get("my_vers", 0), number)
    return "" if name == str(number) else name


def of_port(port: int, values: Values) -> str:
    return "" if port else "not registered"


def of_universal_address(address: str, values: Values) -> str:
    """
    >>> of_universal_address("10.0.0.9.2.150", {}), of_universal_address("", {})
    ('port 662 of 10.0.0.9', 'not registered')
    >>> of_universal_address("10.0.0.9.999.150", {}), of_universal_address("/run/rpcbind.sock", {})
    ('no universal address', '')
    """
    host, port = universal_address(address)
    if port is None:
        return "" if address.startswith("/") else "no universal address"
    return f"port {port} of {host}" if port else "not registered"


def of_owner(svid: int, values: Values) -> str:
    """The owner as svid@host. In a call back the server names itself."""
    named = values.get("caller_name") and values.get("proc") not in GRANTS
    return f"owner {svid}@{values['caller_name']}" if named else ""


def of_length(length: int, values: Values) -> str:
    """
    >>> of_length(0, {"l_offset": 10}), of_length(5, {"l_offset": 10})
    ('to the end of the file', 'to byte 14')
    """
    start = values.get("l_offset", 0)
    return "to the end of the file" if is_to_the_end(start, length) else f"to byte {start + length - 1}"


def of_state(state: int, values: Values) -> str:
    return "" if state == 0 else "up" if state % 2 else "down"


def of_access(bits: int, values: Values) -> str:
    """
    >>> of_access(0x21, {})
    'READ, EXECUTE'
    """
    return ", ".join(name for bit, name in enumerate(ACCESS) if bits >> bit & 1)


def of_seconds(seconds: int, values: Values) -> str:
    return date_time(seconds * 10**9) if seconds >= EPOCHAL else ""


def of_reclaim(reclaim: bool, values: Values) -> str:
    return "held before the server restarted" if reclaim else ""


def of_block(block: bool, values: Values) -> str:
    return "waits if it must" if block else "does not wait"


def of_stat(stat: str, values: Values) -> str:
    return LOCK_STATUS.get(stat, "")


# By the kind of value: SHARE's access is an enum, ACCESS' is a set of bits.
MEANINGS: dict[type, dict[str, Meaning]] = {
    int: {
        **dict.fromkeys(("prog", "my_prog", "r_prog"), of_program),
        "proc": of_procedure,
        "my_proc": of_call_back,
        "port": of_port,
        "svid": of_owner,
        "l_len": of_length,
        "state": of_state,
        "access": of_access,
        "seconds": of_seconds,
    },
    bool: {"reclaim": of_reclaim, "block": of_block},
    str: {**dict.fromkeys(("addr", "r_addr"), of_universal_address), "stat": of_stat},
}
