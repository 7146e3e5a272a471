"""Rules on RPC itself, MOUNT and NFS."""
