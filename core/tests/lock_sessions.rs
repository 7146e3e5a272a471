//! Which lock sessions leave while a capture is read, and which stay, because something else may depend on them.

use std::collections::BTreeSet;

use hashbrown::HashSet;
use nfsrpc_core::lock_sessions::{Access, Beside, Claim, Step, Steps, TO_THE_END, few, last_byte, step_flag as flag};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
/// Long enough that nothing of one session is near another one.
const APART: i64 = 100 * SECOND;
const LOCK: u8 = flag::LOCK | flag::USUAL;
const UNLOCK: u8 = flag::UNLOCK | flag::OVER | flag::USUAL;
const DENIED: u8 = flag::LOCK | flag::OVER;
const TAKES: i64 = 1_000;
const HELD: i64 = SECOND / 10;
const PAUSE: i64 = 46 * SECOND;

#[derive(Default)]
struct Traffic {
    steps: Vec<Step>,
    moments: Vec<i64>,
    beside: Beside,
    known: HashSet<u32>,
}

impl Traffic {
    fn new() -> Traffic {
        Traffic { beside: Beside { until: i64::MAX, pause: PAUSE, ..Beside::default() }, ..Traffic::default() }
    }

    /// A step of the client 1; its exchange is its number.
    fn step(&mut self, svid: i64, time: i64, flags: u8) -> &mut Step {
        // An UNLOCK does not say whether it is.
        let exclusive = flags & flag::UNLOCK == 0;
        let claim = Claim { fh: 1, oh: 1, svid, exclusive, ..Claim::default() };
        let exchange = self.steps.len() as u32;
        let step =
            Step { exchange, client: 1, server: 9, time, reply_time: time + TAKES, flags, claim, ..Step::default() };
        self.steps.push(step);
        self.steps.last_mut().expect("one")
    }

    fn session(&mut self, svid: i64, time: i64) {
        self.session_with(svid, time, HELD, |_| ());
    }

    fn session_with(&mut self, svid: i64, time: i64, held: i64, change: impl Fn(&mut Step)) {
        change(self.step(svid, time, LOCK));
        change(self.step(svid, time + held, UNLOCK));
    }

    /// Nine sessions, apart, of which the fifth is what is done.
    fn around(middle: impl FnOnce(&mut Traffic, i64)) -> Traffic {
        let mut traffic = Traffic::new();
        (1..5).for_each(|svid| traffic.session(svid, svid * APART));
        middle(&mut traffic, 5 * APART);
        (6..10).for_each(|svid| traffic.session(svid, svid * APART));
        traffic
    }

    /// The sessions that stay, by their svid.
    fn staying(mut self) -> Vec<i64> {
        self.steps.sort_by_key(|step| step.time);
        let all: BTreeSet<i64> = self.steps.iter().map(|step| step.claim.svid).collect();
        let sifted = Steps::new(self.steps, self.moments).sift(&self.beside, &self.known);
        let left: BTreeSet<i64> = sifted.left().map(|(lock, _)| lock.claim.svid).collect();
        all.difference(&left).copied().collect()
    }
}

/// The latest of the file stays only where there is room.
fn nine(middle: impl FnOnce(&mut Traffic, i64)) -> Vec<i64> {
    Traffic::around(middle).staying()
}

#[test]
fn the_first_and_the_last_of_a_connection_stay() {
    assert_eq!(nine(|traffic, at| traffic.session(5, at)), [1, 9]);
    let other = |change: fn(&mut Step)| nine(|traffic, at| traffic.session_with(5, at, HELD, change));
    assert_eq!(other(|step| step.flow = 1), [1, 5, 9]);
    assert_eq!(other(|step| step.claim.caller_name = 1), [1, 5, 9]);
    assert_eq!(other(|step| step.vers = 1), [1, 5, 9]);
    assert_eq!(other(|step| step.client = 2), [1, 5, 9]);
    assert_eq!(other(|step| step.server = 8), [1, 5, 9]);
}

#[test]
fn what_is_odd_stays_with_what_is_next_to_it() {
    let odd = |flags: [u8; 2]| {
        nine(|traffic, at| {
            traffic.step(5, at, flags[0]);
            traffic.step(5, at + HELD, flags[1]);
        })
    };
    assert_eq!(odd([LOCK, UNLOCK]), [1, 9]);
    let around = [1, 4, 5, 6, 9];
    assert_eq!(odd([flag::LOCK, UNLOCK]), around, "a LOCK that was slow, or resent");
    assert_eq!(odd([LOCK, UNLOCK & !flag::USUAL]), around);
    assert_eq!(odd([LOCK, flag::OVER | flag::USUAL]), around, "a CANCEL");
    assert_eq!(odd([DENIED, DENIED]), around);
    assert_eq!(
        nine(|traffic, at| _ = traffic.step(5, at, flag::GRANT)),
        [1, 4, 5, 6, 7, 8, 9],
        "after a callback it goes on"
    );
    let called_back = |traffic: &mut Traffic, at| {
        traffic.step(5, at, flag::LOCK);
        let step = traffic.step(5, at + 1, flag::GRANT);
        (step.client, step.server) = (9, 1);
        traffic.step(5, at + HELD, UNLOCK);
    };
    assert_eq!(nine(called_back), around, "a callback goes to who locks");
    let answered = |after: i64| {
        nine(|traffic, at| {
            traffic.step(5, at, LOCK).reply_time = at + after;
            traffic.step(5, at + HELD, UNLOCK);
        })
    };
    assert_eq!([answered(HELD), answered(HELD + 1)], [vec![1, 9], around.to_vec()], "after its UNLOCK");
}

#[test]
fn each_client_of_the_file_keeps_what_is_next_to_something_odd() {
    // The odd one is of the client 1; the client 2 has the same range, alone or with one that overlaps it, or one apart.
    for (first_length, offset) in [(5, 0), (6, 0), (5, 5)] {
        let mut traffic = Traffic::around(|traffic, at| _ = traffic.step(5, at, DENIED));
        for Step { claim, .. } in &mut traffic.steps {
            claim.length = if claim.svid == 1 { first_length } else { 5 };
        }
        for svid in 11..20 {
            traffic.session_with(svid, (svid - 10) * APART - APART / 2, HELD, |step| {
                (step.client, step.claim.offset, step.claim.length) = (2, offset, 5);
            });
        }
        assert_eq!(traffic.staying(), [1, 4, 5, 6, 9, 11, 15, 16, 19], "{first_length} {offset}");
    }
}

#[test]
fn each_range_shared_or_not_keeps_what_is_next_to_something_odd() {
    for (offset, exclusive) in [(0, false), (4, true), (5, true)] {
        let mut traffic = Traffic::around(|traffic, at| _ = traffic.step(5, at, DENIED));
        for Step { claim, .. } in &mut traffic.steps {
            claim.length = 5;
            if claim.svid == 4 || claim.svid == 6 {
                (claim.offset, claim.exclusive) = (offset, exclusive);
            }
        }
        assert_eq!(traffic.staying(), [1, 3, 4, 5, 6, 7, 9], "{offset}");
    }
}

#[test]
fn something_odd_may_begin_and_end_while_another_goes_on() {
    let mut traffic = Traffic::around(|traffic, at| _ = traffic.step(5, at, DENIED));
    traffic.steps.iter_mut().for_each(|step| step.claim.length = 5);
    for (time, flags) in [(5 * APART / 2, flag::LOCK), (17 * APART / 2, UNLOCK)] {
        let step = traffic.step(50, time, flags);
        (step.claim.offset, step.claim.length) = (5, 5);
    }
    assert_eq!(traffic.staying(), [1, 2, 4, 5, 6, 8, 9, 50]);
}

/// Of sessions of one more file, with ranges of five bytes.
fn meeting(sessions: &[(i64, i64, u64, bool)]) -> Vec<i64> {
    let staying = nine(|traffic, at| {
        for &(svid, after, offset, exclusive) in sessions {
            traffic.session_with(svid, at + after, HELD, |step| {
                step.claim = Claim { fh: 2, offset, length: 5, exclusive, ..step.claim };
            });
        }
    });
    staying.into_iter().filter(|svid| *svid > 9).collect()
}

#[test]
fn two_meet_whose_ranges_share_a_byte_up_to_the_answer_of_the_first() {
    let two = |after: i64, offset: u64| meeting(&[(50, 0, 0, true), (51, after, offset, true)]);
    let over = HELD + TAKES;
    assert_eq!([0, 4, 5].map(|offset| two(over, offset)), [vec![50, 51], vec![50, 51], vec![]]);
    assert_eq!([0, 4, 5].map(|offset| two(over + 1, offset)), [vec![], vec![], vec![]]);
}

#[test]
fn shared_locks_meet_those_that_are_exclusive() {
    let three = |exclusive: i64, offset: u64| {
        meeting(&[50, 51, 52].map(|svid| (svid, svid, if svid == 51 { 0 } else { offset }, svid == exclusive)))
    };
    for offset in [0, 4] {
        assert_eq!([50, 51, 52].map(|exclusive| three(exclusive, offset).len()), [3, 3, 3], "{offset}");
        assert!(three(0, offset).is_empty(), "all are shared");
    }
    assert_eq!([50, 51].map(|exclusive| three(exclusive, 5)), [vec![50, 52], vec![]]);
}

#[test]
fn whether_something_is_odd_is_told_of_each_step() {
    let odd = |flags: [u8; 2]| {
        let traffic = Traffic::around(|traffic, at| {
            traffic.step(5, at, flags[0]);
            traffic.step(5, at + HELD, flags[1]);
        });
        let sifted = Steps::new(traffic.steps, Vec::new()).sift(&traffic.beside, &traffic.known);
        let stretches = sifted.exchanges().zip(&sifted.stretches);
        let of_odd = stretches.filter(|(_, stretch)| sifted.odd[**stretch as usize]);
        of_odd.map(|(exchange, _)| sifted.steps()[exchange as usize].claim.svid).collect::<Vec<_>>()
    };
    assert_eq!([odd([LOCK, UNLOCK]), odd([DENIED, DENIED])], [vec![], vec![1, 1, 4, 4, 5, 5, 6, 6, 9, 9]]);
}

#[test]
fn an_owner_may_come_again() {
    for offset in [0, 5] {
        let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
        traffic.session(2, 6 * APART + APART / 2);
        for Step { claim, .. } in &mut traffic.steps {
            (claim.offset, claim.length) = (if claim.svid == 7 { offset } else { 0 }, 5);
        }
        assert_eq!(traffic.staying(), [1, 9], "{offset}");
    }
}

#[test]
fn locks_of_two_owners_or_ranges_may_be_interleaved() {
    let interleaved = |change: fn(&mut Claim)| {
        nine(|traffic, at| {
            for (after, flags) in [(0, LOCK), (HELD, UNLOCK)] {
                for other in [false, true] {
                    let Step { claim, .. } = traffic.step(5, at + after + i64::from(other), flags);
                    *claim = Claim { fh: 2, length: 5, exclusive: false, ..*claim };
                    if other {
                        change(claim);
                    }
                }
            }
        })
    };
    assert_eq!(interleaved(|claim| claim.fh = 3), [1, 9]);
    assert_eq!(interleaved(|claim| claim.oh = 2), [1, 9]);
    assert_eq!(interleaved(|claim| claim.svid = 50), [1, 9]);
    assert_eq!(interleaved(|claim| claim.offset = 5), [1, 9]);
}

#[test]
fn who_unlocks_another_range_has_not_unlocked_this_one() {
    let unlocked = |offset: u64, length: u64| {
        nine(|traffic, at| {
            traffic.step(5, at, LOCK).claim = Claim { fh: 2, oh: 1, svid: 5, offset: 0, length: 5, ..Claim::default() };
            let step = traffic.step(5, at + HELD, UNLOCK);
            step.claim = Claim { fh: 2, oh: 1, svid: 5, offset, length, ..Claim::default() };
        })
    };
    assert_eq!(unlocked(0, 5), [1, 9]);
    assert_eq!([unlocked(0, 6), unlocked(1, 4)], [[1, 5, 9]; 2]);
}

#[test]
fn a_lock_that_is_held_stays_and_what_it_meets() {
    assert_eq!(nine(|traffic, at| _ = traffic.step(5, at, LOCK)), [1, 5, 6, 7, 8, 9]);
    assert_eq!(nine(|traffic, at| _ = traffic.step(5, at, LOCK | flag::OVER)), [1, 5, 9]);
    assert_eq!(nine(|traffic, at| _ = traffic.step(5, at, UNLOCK)), [1, 2, 3, 4, 5, 6, 9], "held since before");
    let shared = |exclusive: bool| {
        let mut traffic = Traffic::around(|traffic, at| _ = traffic.step(5, at, LOCK));
        traffic.steps.iter_mut().for_each(|step| step.claim.exclusive = false);
        traffic.steps.iter_mut().filter(|step| step.claim.svid == 5).for_each(|step| step.claim.exclusive = exclusive);
        traffic.staying()
    };
    assert_eq!(shared(false), [1, 5, 9], "shared locks are in nobody's way");
    assert_eq!(shared(true), [1, 5, 6, 7, 8, 9]);
}

#[test]
fn who_was_denied_may_ask_again_for_a_while() {
    let staying = |flags: u8, pause: i64, exclusive: bool| {
        let mut traffic = Traffic::new();
        traffic.step(1, APART, flags);
        for (svid, after) in [(2, 1), (3, 2 * HELD), (4, pause), (5, pause + 2 * HELD), (6, pause + APART)] {
            traffic.session(svid, APART + TAKES + after);
        }
        traffic.steps.iter_mut().for_each(|step| step.claim.exclusive = exclusive);
        traffic.staying()
    };
    // The first that begins after its end stays, too.
    for exclusive in [true, false] {
        assert_eq!(staying(DENIED, PAUSE - 1, exclusive), [1, 2, 3, 4, 5, 6]);
        assert_eq!(staying(DENIED, PAUSE, exclusive), [1, 2, 3, 4, 6]);
    }
    assert_eq!(staying(UNLOCK, PAUSE, true), [1, 2, 6], "nobody was denied");
}

/// Where the fifth lock is held, on this range, and the others are of another one.
fn beside_held(held: (u64, u64), others: (u64, u64)) -> Vec<i64> {
    let mut traffic = Traffic::around(|traffic, at| _ = traffic.step(5, at, LOCK));
    for Step { claim, .. } in &mut traffic.steps {
        (claim.offset, claim.length) = if claim.svid == 5 { held } else { others };
    }
    traffic.staying()
}

#[test]
fn ranges_that_are_apart_are_in_nobodys_way() {
    assert_eq!(beside_held((10, 5), (0, 10)), [1, 5, 9]);
    assert_eq!(beside_held((10, 1), (11, 5)), [1, 5, 9]);
    for (one, other) in [((9, 5), (0, 10)), ((0, 10), (9, 5))] {
        assert_eq!(beside_held(one, other), [1, 5, 6, 7, 8, 9], "they share a byte");
    }
}

#[test]
fn a_range_may_go_to_the_end_of_the_file() {
    let most = i64::MAX as u64;
    let bounded = [(10, 5), (0, most), (most - 1, 1)];
    assert_eq!(bounded.map(|(offset, length)| last_byte(offset, length)), [14, most - 1, most - 1]);
    let to_the_end = [(0, 0), (10, 0), (0, most + 1), (most, 1), (most - 1, 2), (u64::MAX, 1), (10, u64::MAX)];
    assert!(to_the_end.iter().all(|(offset, length)| last_byte(*offset, *length) == TO_THE_END));
    for range in [(10, 0), (0, i64::MAX as u64 + 1), (u64::MAX - 1, 5)] {
        assert_eq!(beside_held(range, (u64::MAX - 1, 1)), [1, 5, 6, 7, 8, 9], "{range:?}");
    }
    assert_eq!(beside_held((0, i64::MAX as u64), (i64::MAX as u64, 0)), [1, 5, 9], "up to the byte before");
}

#[test]
fn of_ranges_that_are_apart_those_of_one_meet() {
    // 5 and 7 have one range at one time, 6 another one meanwhile, once or twice.
    for times in [1, 2] {
        let mut traffic = Traffic::new();
        [1, 2, 3].into_iter().for_each(|svid| traffic.session(svid, svid * APART));
        [5, 6, 7].into_iter().for_each(|svid| traffic.session(svid, 5 * APART + svid));
        [9, 10].into_iter().for_each(|svid| traffic.session(svid, svid * APART));
        (1..times).for_each(|_| traffic.session(6, 8 * APART));
        for Step { claim, .. } in &mut traffic.steps {
            (claim.offset, claim.length) = if claim.svid == 6 { (5, 5) } else { (0, 5) };
        }
        assert_eq!(traffic.staying(), [1, 5, 7, 10], "{times}");
    }
}

#[test]
fn of_ranges_that_overlap_those_stay_that_meet() {
    // Of four ranges in two pairs, those of a pair overlap, and meet in time; both pairs are at one time.
    let mut traffic = Traffic::new();
    for (number, offset) in [(0, 0), (1, 5), (2, 200), (3, 100)] {
        for (round, at) in [(0, 0), (1, APART), (2, 2 * APART)] {
            let svid = 10 * round + number;
            traffic.session_with(svid, at + number, HELD, |step| {
                (step.claim.oh, step.claim.offset, step.claim.length) = (svid as u32, offset, 10);
            });
        }
    }
    let staying = traffic.staying();
    assert!([0, 1, 10, 11, 20, 21].iter().all(|svid| staying.contains(svid)), "{staying:?}");
    assert!([12, 13].iter().all(|svid| !staying.contains(svid)), "{staying:?}");
}

#[test]
fn what_lasts_longer_than_sixteen_others_meets_all_of_them() {
    // None overlaps another one but the last two, which are later.
    let staying = |others: i64| {
        let mut traffic = Traffic::new();
        let mut session = |svid: i64, time: i64, held: i64, offset: i64| {
            traffic.session_with(svid, time, held, |step| (step.claim.offset, step.claim.length) = (offset as u64, 10));
        };
        session(0, 0, HELD, 0);
        session(1, APART, APART, 0);
        (2..2 + others).for_each(|svid| session(svid, APART + svid * SECOND, HELD, svid * 10));
        [50, 51].into_iter().for_each(|svid| session(svid, svid * APART, HELD, 1_000 + svid));
        traffic.staying().len()
    };
    assert_eq!([staying(15), staying(16)], [2, 2 + 16 + 1]);
}

#[test]
fn an_owner_of_several_ranges_is_odd_where_any_overlap() {
    let staying = |offset: u64, times: &[i64], change: fn(&mut Claim)| {
        let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
        traffic.steps.iter_mut().for_each(|step| step.claim.length = 10);
        for &at in times {
            traffic.session_with(5, at * APART + APART / 2, HELD, |step| {
                (step.claim.offset, step.claim.length) = (offset * at as u64, at as u64);
                change(&mut step.claim);
            });
        }
        traffic.staying()
    };
    let offsets = [0, 10].map(|offset| staying(offset, &[3, 7], |_| ()));
    assert_eq!(offsets, [vec![1, 3, 4, 5, 6, 7, 8, 9], vec![1, 9]]);
    assert_eq!(staying(0, &[7], |_| ()), [1, 4, 5, 6, 7, 8, 9]);
    assert_eq!(staying(0, &[7], |claim| claim.oh = 2), [1, 9], "two owners");
    assert_eq!(staying(0, &[7], |claim| claim.svid = 50), [1, 9], "two owners");
}

#[test]
fn a_lock_that_is_held_is_not_odd_because_its_owner_has_several_ranges() {
    let mut traffic = Traffic::around(|_, _| ());
    traffic.steps.iter_mut().for_each(|step| step.claim.length = 10);
    traffic.session_with(5, 5 * APART / 2, HELD, |step| (step.claim.offset, step.claim.length) = (205, 1));
    let step = traffic.step(5, 17 * APART / 2, LOCK);
    (step.claim.offset, step.claim.length) = (200, 10);
    assert_eq!(traffic.staying(), [1, 2, 3, 5, 9]);
}

#[test]
fn what_is_odd_takes_no_room_of_the_latest() {
    let mut traffic = Traffic::around(|traffic, at| {
        let mut session = |svid: i64, after: i64, fh: u32, length: u64| {
            traffic.session_with(svid, at + after, HELD, |step| (step.claim.fh, step.claim.length) = (fh, length));
        };
        session(50, 0, 2, 10);
        session(5, SECOND, 3, 10);
        session(5, 2 * SECOND, 3, 5);
    });
    traffic.beside.max_latest = 2; // those of the files 1 and 2
    assert_eq!(traffic.staying(), [1, 5, 9, 50]);
}

#[test]
fn one_owner_at_two_addresses_is_one_host_behind_a_translation() {
    let sessions = |client: u32, after: i64| {
        let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
        traffic.session_with(5, 5 * APART + after, HELD, |step| step.client = client);
        traffic.session(5, 5 * APART + APART / 2);
        traffic.staying()
    };
    assert_eq!([1, 2].map(|client| sessions(client, APART / 3)), [vec![1, 9], vec![1, 5, 9]]);
    assert_eq!([1, 2].map(|client| sessions(client, HELD / 2)), [vec![1, 4, 5, 9], vec![1, 5, 9]], "interleaved");
}

#[test]
fn who_writes_without_a_lock_keeps_what_is_within_ten_seconds() {
    let written = |client: u32, after: i64| {
        let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
        let time = 5 * APART + HELD + TAKES + after;
        traffic.beside.accesses = vec![Access { handle: 1, client, first: time, last: time }];
        traffic.staying()
    };
    assert_eq!([written(2, 10 * SECOND), written(2, 10 * SECOND + 1)], [vec![1, 5, 9], vec![1, 9]]);
    assert_eq!(written(2, -10 * SECOND - HELD - TAKES), [1, 5, 9]);
    assert_eq!(written(2, -10 * SECOND - HELD - TAKES - 1), [1, 9]);
    assert_eq!(written(1, 0), [1, 9], "who locks the file may write to it");
}

#[test]
fn who_was_called_back_locks_the_file() {
    let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
    for svid in 51..59 {
        traffic.session_with(svid, (svid - 50) * APART + APART / 2, HELD, |step| {
            (step.client, step.claim.fh) = (2, 2);
        });
    }
    for (after, flags, client, server) in [(0, flag::GRANT, 9, 1), (HELD, UNLOCK, 1, 9)] {
        let step = traffic.step(50, 6 * APART + after, flags);
        (step.client, step.server, step.claim.fh) = (client, server, 2);
    }
    let time = 7 * APART / 2;
    traffic.beside.accesses = vec![Access { handle: 2, client: 1, first: time, last: time }];
    assert_eq!(traffic.staying(), [1, 9, 50, 51, 55, 56, 58]);
}

#[test]
fn who_writes_for_long_may_write_for_short_meanwhile() {
    let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
    let write =
        |first: i64, last: i64| Access { handle: 1, client: 2, first: first * APART / 2, last: last * APART / 2 };
    traffic.beside.accesses = vec![write(11, 11), write(9, 13), write(5, 5)];
    assert_eq!(traffic.staying(), [1, 5, 6, 9]);
}

#[test]
fn what_spans_a_restart_stays() {
    let restarted = |time: i64| {
        let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
        traffic.beside.restarts = vec![5 * APART + time];
        traffic.staying()
    };
    assert_eq!([restarted(-SECOND), restarted(-SECOND - 1)], [vec![1, 5, 9], vec![1, 9]]);
    let end = HELD + TAKES + SECOND;
    assert_eq!([restarted(end - 1), restarted(end)], [vec![1, 5, 9], vec![1, 9]]);
}

#[test]
fn steps_of_two_hosts_around_a_moment_stay() {
    let with = |change: fn(&mut Step), moments: Vec<i64>| {
        let mut traffic = Traffic::around(|traffic, at| traffic.session_with(5, at, HELD, change));
        traffic.moments = moments;
        traffic.staying()
    };
    let at = |moments: Vec<i64>| with(|_| (), moments);
    assert_eq!(at(vec![5 * APART + APART / 2]), [1, 5, 6, 9]);
    assert_eq!(at(vec![5 * APART]), [1, 5, 9], "between its two steps");
    assert_eq!(at(vec![5 * APART - 1]), [1, 4, 5, 9]);
    assert_eq!(at(vec![15 * APART / 2, 9 * APART / 2, 7 * APART / 2]), [1, 3, 4, 5, 7, 8, 9]);
    assert_eq!(with(|step| step.client = 2, vec![11 * APART / 2]), [1, 4, 5, 6, 9]);
    assert_eq!(with(|step| step.server = 8, vec![11 * APART / 2]), [1, 4, 5, 6, 9]);
}

#[test]
fn what_is_not_over_a_second_before_the_end_stays() {
    let until = |until: i64| {
        let mut traffic = Traffic::around(|traffic, at| traffic.session(5, at));
        traffic.beside.until = 5 * APART + HELD + TAKES + until;
        traffic.staying()
    };
    assert_eq!([until(SECOND), until(SECOND + 1)], [vec![1, 5, 6, 7, 8, 9], vec![1, 6, 7, 8, 9]]);
}

#[test]
fn the_latest_of_each_file_stay_as_many_as_there_is_room_for() {
    let most = |most: usize| {
        let mut traffic = Traffic::new();
        (1..10).for_each(|svid| traffic.session(svid, svid * APART));
        traffic.steps.iter_mut().for_each(|step| step.claim.fh = step.claim.svid.abs_diff(5) as u32);
        traffic.beside.max_latest = most;
        traffic.staying()
    };
    assert_eq!(most(0), [1, 9], "the first and the last stay as ends");
    assert_eq!(most(2), [1, 8, 9]);
    assert_eq!([most(4), most(5)], [vec![1, 6, 7, 8, 9], vec![1, 5, 6, 7, 8, 9]]);
}

#[test]
fn the_latest_are_of_each_client_and_of_each_range_shared_or_not() {
    let mut traffic = Traffic::new();
    let sessions = [
        (1, 2, 0, true),
        (2, 2, 0, true),
        (1, 1, 5, true),
        (1, 1, 0, true),
        (1, 1, 5, true), // of the client 1
        (2, 1, 5, true), // of that range
        (2, 1, 0, false),
        (2, 1, 0, false), // shared
        (2, 1, 0, true),
        (2, 1, 0, true), // of the client 2
        (1, 2, 0, true),
        (2, 2, 0, true),
    ];
    for (svid, (client, fh, offset, exclusive)) in (0..).zip(sessions) {
        traffic.session_with(svid, svid * APART, HELD, |step| {
            step.client = client;
            step.claim = Claim { fh, offset, length: 5, exclusive, ..step.claim };
        });
    }
    traffic.beside.max_latest = 99;
    assert_eq!(traffic.staying(), [0, 1, 4, 5, 7, 9, 10, 11]);
}

#[test]
fn who_unlocks_first_had_locked_before_unless_that_has_left() {
    let unlocked = |known: bool| {
        let mut traffic = Traffic::new();
        let exchange = traffic.step(1, APART, UNLOCK).exchange;
        traffic.known.extend(known.then_some(exchange));
        let steps = Steps::new(traffic.steps, Vec::new());
        assert_eq!(steps.unlocking_first().map(|step| step.exchange).collect::<Vec<_>>(), [exchange]);
        steps.sift(&traffic.beside, &traffic.known).unlocked_again
    };
    assert_eq!([unlocked(false), unlocked(true)], [vec![], vec![0]]);
    let after = |flags: [u8; 2]| {
        let mut traffic = Traffic::new();
        (0..).zip(flags).for_each(|(number, flags)| _ = traffic.step(1, number * HELD, flags));
        traffic.step(1, APART, UNLOCK);
        Steps::new(traffic.steps, Vec::new()).sift(&traffic.beside, &traffic.known).unlocked_again
    };
    assert_eq!([after([LOCK, UNLOCK]), after([DENIED, DENIED])], [vec![2], vec![]]);
}

#[test]
fn of_moments_close_to_each_other_the_first_one_counts() {
    let moments = |count: i64, apart: i64| (-100..count - 100).map(|number| number * apart).rev().collect::<Vec<_>>();
    let every =
        |seconds: i64, from: i64, count: i64| (0..count).map(|at| (from + at * seconds) * SECOND).collect::<Vec<_>>();
    assert_eq!(few(moments(4_096, SECOND / 10)).len(), 4_096);
    assert_eq!(few(moments(4_097, SECOND / 10)), every(1, -10, 410));
    assert_eq!(few(moments(4_097, SECOND)), every(2, -100, 2_049), "two seconds if one is not enough");
}

proptest! {
    /// Whatever comes, nothing leaves that is not a LOCK and its UNLOCK, as usual, of one owner, and nothing twice.
    #[test]
    fn only_pairs_leave(
        raw in prop::collection::vec((0..4_u32, 0..3_i64, 0..32_u8, any::<i64>(), 0..3_u64, any::<bool>()), 0..60),
        until in any::<i64>(),
    ) {
        let mut traffic = Traffic::new();
        for (client, svid, flags, time, offset, exclusive) in raw {
            let step = traffic.step(svid, time.saturating_sub(TAKES), flags);
            (step.client, step.claim.offset, step.claim.exclusive) = (client, offset, exclusive);
        }
        traffic.steps.sort_by_key(|step| step.time);
        traffic.beside.until = until;
        let count = traffic.steps.len();
        let sifted = Steps::new(traffic.steps, vec![until]).sift(&traffic.beside, &traffic.known);
        let mut seen = BTreeSet::new();
        for (lock, unlock) in sifted.left() {
            prop_assert_eq!(lock.flags & LOCK, LOCK);
            prop_assert_eq!(unlock.flags & UNLOCK, UNLOCK);
            prop_assert_eq!((lock.claim.svid, lock.claim.offset), (unlock.claim.svid, unlock.claim.offset));
            prop_assert!(seen.insert(lock.exchange) && seen.insert(unlock.exchange));
        }
        prop_assert_eq!((sifted.exchanges().count(), sifted.stretches.len()), (count, count));
        prop_assert!(sifted.stretches.iter().all(|stretch| (*stretch as usize) < sifted.odd.len()));
    }
}
