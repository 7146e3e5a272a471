"""The two ends of a lock where no kernel plays them: `python -m tests.live.peers lockd NAME`, `… client SERVER PATH`;
and of reading a file: `… nfsd READS`, `… reader SERVER READS`, a MiB each time.

The server's part does what Linux's lockd does before it grants a client its first lock: over its own loopback, by TCP
and with AUTH_SYS, it asks the portmapper for statd until there is one, here every half second. Each prints what it has
been told, a line each.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

from nfsrpc import protocols
from nfsrpc.protocols import xdr
from tests.rpc_messages import auth_sys, decode_header, encode_call, encode_reply
from tests.scenario import handle

LOCKD_PORT, PORTMAP_PORT, NFS_PORT = 32803, 111, 2049
MIB = 1 << 20
AGAIN_S = 0.5
NLM, PORTMAP, NSM, NFS = (protocols.program(name) for name in ("nlm4", "portmap2", "nsm1", "nfs3"))


def send(connection: socket.socket, message: bytes) -> None:
    connection.sendall(struct.pack(">I", 1 << 31 | len(message)) + message)


def receive(connection: socket.socket) -> bytes:
    (mark,) = struct.unpack(">I", exactly(connection, 4))
    return exactly(connection, mark & 0x7FFFFFFF)


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += connection.recv(size - len(data)) or sys.exit("the other end is gone")
    return data


def port_of_statd(xid: int, name: str) -> int:
    wanted = {"prog": NSM.number, "vers": NSM.version, "prot": socket.IPPROTO_TCP, "port": 0}
    with socket.create_connection(("127.0.0.1", PORTMAP_PORT)) as connection:
        send(connection, encode_call(PORTMAP, "GETPORT", wanted, xid=xid, cred=auth_sys(name)))
        answer = receive(connection)
    return int.from_bytes(answer[-4:], "big")


def lockd(name: str) -> None:
    with socket.create_server(("", LOCKD_PORT)) as listener:
        print("listening", flush=True)
        connection, _ = listener.accept()
        call = receive(connection)
        header, at = decode_header(call)
        args = xdr.decode(NLM.procedure("LOCK").args, call[at:])
        xid = 1
        while not (port := port_of_statd(xid, name)):
            print("refused", flush=True)
            time.sleep(AGAIN_S)
            xid += 1
        print(f"statd {port}", flush=True)
        send(connection, encode_reply(NLM, "LOCK", {"cookie": args["cookie"], "stat": "GRANTED"}, xid=header["xid"]))
        receive(connection)


def client(server: str, path: str) -> None:
    alock = {"caller_name": "web-1", "fh": handle(path), "oh": b"1@web-1", "svid": 1, "l_offset": 0, "l_len": 0}
    args = {"cookie": b"\0\0\0\1", "block": True, "exclusive": True, "alock": alock, "reclaim": False, "state": 0}
    with socket.create_connection((server, LOCKD_PORT)) as connection:
        send(connection, encode_call(NLM, "LOCK", args, xid=77, cred=auth_sys("web-1")))
        receive(connection)
        print("granted", flush=True)


def nfsd(reads: str) -> None:
    results = {"status": "OK", "file_attributes": None, "count": MIB, "eof": False, "data": MIB}
    with socket.create_server(("", NFS_PORT)) as listener:
        print("listening", flush=True)
        connection, _ = listener.accept()
        for xid in range(int(reads)):
            receive(connection)
            send(connection, encode_reply(NFS, "READ", results, xid=xid))
        receive(connection)


def reader(server: str, reads: str) -> None:
    with socket.create_connection((server, NFS_PORT)) as connection:
        for xid in range(int(reads)):
            args = {"file": handle("/srv/a"), "offset": xid * MIB, "count": MIB}
            send(connection, encode_call(NFS, "READ", args, xid=xid, cred=auth_sys("web-1")))
            receive(connection)
        print("read", flush=True)


if __name__ == "__main__":
    {"lockd": lockd, "client": client, "nfsd": nfsd, "reader": reader}[sys.argv[1]](*sys.argv[2:])
