"""CAP006: rPC is encrypted: only sizes and times can be seen."""

from __future__ import annotations

from tests.rules.stage import Stage, cannot_tell, fires, quiet, starttls


@fires("CAP006", severity="info")
def test_tls(stage: Stage) -> bytes:
    starttls(stage)
    return stage.wire()


@quiet("CAP006")
def test_plain_text(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("CAP006")
def test_nothing_to_read(stage: Stage) -> bytes:
    return stage.wire()
