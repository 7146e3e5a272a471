"""`python -m nfsrpc` is `nfsrpc`."""

from nfsrpc.cli import main

main()
