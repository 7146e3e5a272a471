"""Times of the stages of `analyze`: python -m benchmarks.stages FILE [--listed] prints them as JSON, in seconds.

Processor time, one stage after the other; in `analyze` itself importing and decoding go on at once. With --listed every
exchange is a row, as `nfsrpc.read` has them, and none is only counted.
"""

import json
import sys
from time import process_time


def main() -> None:
    marks = [process_time()]

    def done() -> float:
        marks.append(process_time())
        return marks[-1] - marks[-2]

    from nfsrpc.decode import decode
    from nfsrpc.diagnosis.catalogue import rules
    from nfsrpc.diagnosis.verdict import diagnose
    from nfsrpc.report.contents import report_of
    from nfsrpc.report.text import render
    from nfsrpc.sessions import COUNTING, WANTED
    from nfsrpc.trace import Trace

    rules()
    seconds = {"importing": marks[0] + done()}
    trace = Trace(decode([sys.argv[1]], WANTED, counting=None if "--listed" in sys.argv else COUNTING))
    seconds["decoding"] = done()
    diagnosis = diagnose(trace.tables)
    seconds["sessions and rules"] = done()
    render(report_of(trace.tables, diagnosis, []), 80, colour=False)
    seconds["reporting"] = done()
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
