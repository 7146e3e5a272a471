"""The speed of nfsrpc compared with its peers: `make bench`."""
