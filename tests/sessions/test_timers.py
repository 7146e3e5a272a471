"""Which timer made a gap: those seen on real kernels fit, with their jitter, and others do not."""

import pytest

from nfsrpc.sessions.timers import TIMERS, Kind, in_words, is_back_off, timer_of


@pytest.mark.parametrize(
    ("kind", "seconds", "name"),
    [
        ("resend", (10.2, 31.7, 60.5), "rpc-timer"),
        ("resend", (10.3, 31.8, 60.4, 70.7, 92.0, 120.0), "rpc-timer"),
        ("resend", (9.9,), "rpc-timer"),
        ("resend", (0.4,), None),
        ("resend", (2.0, 4.5, 20.0), None),
        ("poll", (30.7,), "blocked-poll"),
        ("poll", (12.0,), None),
        ("grace", (5.1,), "grace-retry"),
        ("syn", (63.8,), "syn-retry"),
        ("syn", (1.02, 3.07, 7.2, 15.4, 32.2), "syn-retry"),
        ("syn", (0.02,), None),
        ("ask", (3.07,), "ask-again"),
        ("unreachable", (5.1,), "portmapper-retry"),
        ("answer", (61.6,), "statd-search"),
        ("answer", (62.15,), "statd-search"),
        ("answer", (10.2,), "resolver"),
        ("answer", (120.0,), "statd-search-behind"),
        ("answer", (47.0,), None),
        ("refusal", (60.1,), "statd-timeout"),
        ("refusal", (18.3,), "statd-timeout-ganesha"),
        ("grant", (10.1,), "grant-after-error"),
        ("grant", (60.4,), "grant-without-result"),
        ("notice", (2.0, 6.1, 14.2, 30.3), "notice-retry"),
        ("reconnect", (182.0,), "tcp-gives-up"),
        ("poll", (), None),
    ],
)
def test_the_clock_of_a_gap(kind: Kind, seconds: tuple[float, ...], name: str | None) -> None:
    timer = timer_of(kind, *seconds)
    assert (timer and timer.name) == name


def test_every_clock_is_named_once_and_says_what_it_is() -> None:
    assert len({timer.name for timer in TIMERS}) == len(TIMERS)
    assert all(timer.meaning and timer.seconds and timer.share > 0 for timer in TIMERS)


def test_in_words() -> None:
    assert in_words("poll", [30.7]) == "30.7 s: a blocked Linux client's own retry"
    assert in_words("resend", [1.0, 2.0, 3.0, 4.0, 5.0]) == "1.0 s, 2.0 s, 3.0 s, 4.0 s and later"


@pytest.mark.parametrize(
    ("retransmissions", "seconds", "is_it"),
    [
        (1, 1.29, True),
        (1, 1.31, False),
        (6, 72.0, True),
        (6, 73.0, False),
        (7, 127.0, True),
        (8, 127.0, False),
        (0, 0.0, False),
    ],
)
def test_how_far_from_the_back_off_of_tcp(retransmissions: int, seconds: float, is_it: bool) -> None:
    assert is_back_off(retransmissions, seconds) == is_it
