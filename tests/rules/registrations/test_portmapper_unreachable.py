"""REG005: a portmapper that does not answer."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, diagnosed, fires, quiet


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_a_portmapper_that_drops(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    stage.nfs()
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,), certainty="likely")
def test_a_portmapper_of_a_host_of_which_nothing_comes(stage: Stage) -> bytes:
    """Who gets an answer does not send its SYN again, whether the capture would hold it or not."""
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    return stage.wire()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_refuses(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 111, refused=True)
        stage.later(5.1)
    return stage.wire()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_does_not_answer_over_udp(stage: Stage) -> bytes:
    stage.nfs()
    question = {"prog": 100021, "vers": 4, "prot": 6}
    stage.client.call(stage.server, "portmap2", "GETPORT", transport="udp", **question).unanswered(resend=[5, 10, 15])
    stage.later(20)
    return stage.wire()


@cannot_tell("REG005")
def test_the_portmappers_answers_were_filtered_out(stage: Stage) -> bytes:
    """Whoever sends data was accepted, and over UDP who gets no answer asks again."""
    stage.nfs()
    for _ in range(3):
        stage.client.getport(stage.server, "mount3")
        stage.client.getport(stage.server, "mount3", transport="udp")
        stage.later(5)
    sent = enumerate(stage.scenario.packets(), 1)
    return stage.wire(lost=[number for number, packet in sent if packet.data[20:22] == b"\0\x6f"])


def refuses(stage: Stage, seconds: int) -> None:
    stage.nfs()
    for _ in range(seconds // 5):
        stage.client.syn(stage.server, 111, refused=True)
        stage.later(5)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_was_away_for_a_minute(stage: Stage) -> bytes:
    refuses(stage, 60)
    return stage.wire()


def test_lockd_cannot_ask_its_own_portmapper_for_statd() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    stage.nfs()
    lock = stage.client.lock(stage.server)
    for _ in range(2):
        stage.server.syn(stage.server, 111, refused=True)
    lock.denied("DENIED_NOLOCKS")
    stage.later(5)
    diagnosis = diagnosed(stage.any(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG005", SERVER)
    assert diagnosis.findings[0].clients == (CLIENT,)
    assert "LCK004" in diagnosis.findings[0].explains
    assert "REG005" in {cause.rule for cause in diagnosed(stage.wire()).hypotheses}


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_the_denial_goes_by_another_clock(stage: Stage) -> bytes:
    """In captures of both ends: to the client's clock the LOCK left after its server had been refused."""
    stage.nfs()
    for _ in range(2):
        stage.server.syn(stage.server, 111, refused=True)
    stage.wait(0.3)
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    stage.later(5)
    return stage.any(stage.server)


@quiet("REG005")
def test_a_portmapper_that_was_restarted(stage: Stage) -> bytes:
    refuses(stage, 20)
    return stage.wire()


@quiet("REG005")
def test_a_portmapper_of_a_host_that_boots(stage: Stage) -> bytes:
    refuses(stage, 60)
    stage.boots(stage.server, stage.client)
    return stage.wire()


@quiet("REG005")
def test_a_portmapper_that_answers_over_udp(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 111, resend=[1, 3, 7])
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@cannot_tell("REG005")
def test_a_portmapper_whose_words_are_cut_off_talks_all_the_same(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 111, refused=True)
    stage.later(4)
    stage.client.syn(stage.server, 111, refused=True)
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire(snaplen=60)


@cannot_tell("REG005")
def test_who_does_not_repeat_a_syn_was_answered(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 111)
        stage.later(5)
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_a_portmapper_that_answers_others_and_its_own_host(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    stage.other.getport(stage.server, "nlm4")
    stage.monitored(stage.server, stage.other)
    stage.nfs()
    return stage.any(stage.server)


@cannot_tell("REG005")
def test_no_portmapper_was_asked(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
