"""How lockd asks its statd, and what comes of it."""

from __future__ import annotations

from tests.rules.stage import Stage
from tests.scenario import LockRequest
from tests.wire import UDP


def watched(stage: Stage, result: str | None, after: float, lock: str = "GRANTED") -> None:
    """The server's lockd asks statd while a LOCK waits."""
    stage.nfs(stage.other)
    request = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    call = stage.server.monitor(stage.client)
    if result is None:
        stage.wait(after)
    else:
        call.reply(res_stat=result, state=3, after=after)
    request.answered(lock)


def resolving(stage: Stage, seconds: float) -> LockRequest:
    """The server's statd looks up a name before it agrees to watch a client, and DNS does not answer."""
    stage.nfs(stage.other)
    request = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    stage.server.monitor(stage.client)
    resolver = stage.scenario.host("10.0.0.53")
    for _ in range(round(seconds / 5)):
        stage.server.flow(resolver, 53, UDP).note(stage.scenario.tick(), True, 0, b"who is 10.0.0.1?")
        stage.later(5, stage.other)
    return request
