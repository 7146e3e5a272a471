"""What the fields of messages give away, and messages with pseudonyms instead.

The declarations (nfsrpc/protocols/) say which bytes of a message are what. A message is written anew from zeros while
it is decoded: the numbers of a declaration are copied, every string becomes that with the pseudonyms of its words,
opaque bytes become others, bulk data stays zero, and so does every byte that no declaration explains. The tables below
name the fields of which something else is true.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from nfsrpc.carving.pseudonyms import Pseudonyms
from nfsrpc.protocols.layout import Procedure
from nfsrpc.protocols.numbers import AuthFlavor
from nfsrpc.protocols.rpc import authsys_parms, opaque_auth, rpc_msg
from nfsrpc.protocols.xdr import Data, FixedOpaque, Number, Opaque, Optional, Reader, String, Type, XdrError

IDENTIFIERS = {"uid", "gid", "gids", "gqa_uid", "gqa_id", "sqa_id"}  # of users and groups
NUMBERS = {"fileid", "fsid", "cookie", "specdata1", "specdata2", "rdev", "stamp"}  # of files, devices and hosts
BLANK = {"args", "res", "results", "buf", "body"}  # arguments of other programs, socket addresses, credentials
BLANK_ARRAYS = {"aclent", "dfaclent"}  # access control lists
COOKIES = {"cookie", "cookieverf", "verf"}  # some servers make them of times, which stand in attributes as well
OWNERS = {"oh"}  # opaque bytes that often are text: Linux's are "pid@host"
# Words that mean the same everywhere, in the fields of rpcbind.
NETIDS = (b"tcp", b"tcp6", b"udp", b"udp6", b"rdma", b"rdma6", b"local", b"ticots", b"ticotsord", b"ticlts", b"-")
FAMILIES = (b"inet", b"inet6", b"loopback")
SOCKETS = (b"/run/rpcbind.sock", b"/var/run/rpcbind.sock")
KEPT = {
    **dict.fromkeys(("r_netid", "r_nc_netid", "netid", "r_nc_protofmly", "r_nc_proto"), NETIDS + FAMILIES),
    **dict.fromkeys(("r_addr", "addr", "r_maddr"), SOCKETS),
    "r_owner": (b"superuser", b"unknown"),
}
PRINTABLE, LETTER = re.compile(rb"[\x20-\x7e]+"), re.compile(rb"[A-Za-z]")
AUTH_BODY = 8  # bytes of a credential before its body: flavor and length


class FieldRewriter(Reader):
    """Decodes a message, and writes what may be shown of it into `out`."""

    def __init__(self, data: bytes, names: Pseudonyms) -> None:
        super().__init__(data)
        self.names, self.out = names, bytearray(len(data))

    def number(self, layout: str = ">I") -> int:
        start, value = self.at, super().number(layout)
        self.out[start : self.at] = self.data[start : self.at]
        return value

    def rewrite(self, kind: Type) -> Any:
        """Rewrites what is of this type from here on; raises XdrError, behind which all is zero, where it is not."""
        try:
            return kind.unpack(self)
        except XdrError as error:
            self.out[error.offset :] = bytes(len(self.out) - error.offset)
            raise

    def field(self, name: str, kind: Type) -> Any:
        start, value = self.at, super().field(name, kind)
        if value is None:
            return None
        if isinstance(kind, Optional):
            start, kind = start + 4, kind.item
        field = name if not name.startswith("[") else next((s for s in reversed(self.path) if s[0] != "["), "")
        if field in BLANK_ARRAYS:
            self.out[start + 4 : self.at] = bytes(self.at - start - 4)  # behind their number
        elif isinstance(kind, Number):
            self.put_number(start, field, value)
        elif isinstance(kind, Opaque):
            length = int.from_bytes(self.data[start : start + 4], "big")
            self.put_bytes(start + 4, kind, field, self.data[start + 4 : start + 4 + length])
        elif isinstance(kind, FixedOpaque):
            self.put_bytes(start, kind, field, value)
        elif kind is opaque_auth:
            self.put_credentials(start + AUTH_BODY, value)
        return value

    def put_number(self, start: int, field: str, value: int) -> None:
        size = self.at - start
        unsigned = value % 256**size
        if field in IDENTIFIERS:
            unsigned = self.names.identifier(unsigned)
        elif field in NUMBERS:
            unsigned = self.names.number(unsigned, 256**size)
        self.out[start : self.at] = unsigned.to_bytes(size, "big")

    def put_bytes(self, start: int, kind: Type, field: str, content: bytes) -> None:
        self.out[start : start + len(content)] = self.replaced(kind, field, content)

    def replaced(self, kind: Type, field: str, content: bytes) -> bytes:
        if isinstance(kind, Data) or field in BLANK:
            return bytes(len(content))
        if content in KEPT.get(field, ()):
            return content
        if isinstance(kind, String):
            return self.names.text(content)
        if field in OWNERS and PRINTABLE.fullmatch(content) and LETTER.search(content):
            return self.names.owner(content)
        return self.names.opaque(content, "cookie" if field in COOKIES else "handle")

    def put_credentials(self, start: int, auth: dict[str, Any]) -> None:
        body = FieldRewriter(auth["body"], self.names)
        if auth["flavor"] == AuthFlavor.AUTH_SYS.name:
            with suppress(XdrError):
                body.rewrite(authsys_parms)
        self.out[start : start + len(body.out)] = body.out


def message(data: bytes, procedure: Procedure | None, names: Pseudonyms) -> bytes:
    """An RPC message with pseudonyms; of `procedure`, which a reply does not name, come its arguments or results."""
    rewriter = FieldRewriter(data, names)
    with suppress(XdrError):  # cut, or malformed: what comes behind it is zero
        header = rewriter.rewrite(rpc_msg)["body"]
        call = header["mtype"] == "CALL"
        kind = procedure and (procedure.args if call else procedure.res)
        if kind and (call or succeeded(header)):
            rewriter.rewrite(kind)
    return bytes(rewriter.out)


def succeeded(header: dict[str, Any]) -> bool:
    reply = header["rbody"]
    return bool(reply["reply_stat"] == "MSG_ACCEPTED" and reply["areply"]["reply_data"]["stat"] == "SUCCESS")
