"""Network Lock Manager, version 2: version 1 under another number (X/Open C702 chapter 10)."""

from dataclasses import replace

from nfsrpc.protocols.nlm1 import PROGRAM as NLM1

PROGRAM = replace(NLM1, version=2)
