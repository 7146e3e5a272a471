"""The HTTP server that Prometheus scrapes, around the handler of prometheus-client.

No HTTPServer of the standard library: that one looks up the name of its address, and the resolver may be what is broken
on the node. A client that is slow, or many at once, keep no other from being served for long.
"""

from __future__ import annotations

import socket
from socketserver import ThreadingTCPServer
from threading import Thread, active_count
from typing import Any

TIMEOUT_S = 10.0  # for a request to come, and for the reply to be taken: as long as Prometheus waits
MAX_THREADS = 32  # of the process; beyond, a connection is closed at once


class Server(ThreadingTCPServer):
    """Serves until `stop`. Raises OSError where the address cannot be used."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, host: str, port: int, handler: Any) -> None:
        """`handler` answers requests; it is a class of prometheus-client."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), type("Handler", (handler,), {"timeout": TIMEOUT_S}))
        Thread(target=self.serve_forever, name="nfsrpc-metrics", daemon=True).start()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return active_count() <= MAX_THREADS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client went away."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
