"""nfsrpc: finds out from a packet capture why NFSv3 locks hang, and which host to fix."""
