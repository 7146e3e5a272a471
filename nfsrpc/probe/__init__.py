"""What a capture would have shown, asked now: the questions of a client's kernel, and a verdict on the answers.

Nothing is changed on the host that is asked: NULL of each program, lists of registrations and exports; no LOCK, no
SM_MON. The conversation is written down as IP packets (wire.py) while it is held (asking.py), and the packets go
through the decoder and the rules as those of any capture do (questions.py). So the answer is a verdict, with frames
that prove it.
"""

from nfsrpc.probe.questions import Probed, probe

__all__ = ["Probed", "probe"]
