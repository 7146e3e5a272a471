//! Which reply answers which call: design by the cases that go wrong in practice.

mod wire;

use nfsrpc_core::batch::exchange_flag::{
    CALL_ACKED, CONNECTION_DIED, EVICTED, REPEATED, REPLY_SIDE_LOSS, REPLY_SIDE_SEEN, REPLY_SIDE_SEEN_AFTER,
};
use nfsrpc_core::batch::{ExchangeRow, Exchanges};
use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::rpc::{AUTH_ERROR, RPC_MISMATCH};
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::Layouts;
use std::net::{IpAddr, Ipv4Addr};
use wire::*;

const C: (Ipv4Addr, u16) = (CLIENT, 900);
const S: (Ipv4Addr, u16) = (SERVER, 111);
const SECOND: i64 = 1_000_000_000;
/// Calls that may wait for their replies.
const MAX_UNANSWERED: usize = 4_096;

#[test]
fn a_resend_and_its_late_replies_are_one_exchange() {
    let mut wire = Wire::default();
    for at in [0.0, 10.2, 31.7] {
        wire.udp(at, C, S, &call(1, 2, &[9; 8]));
    }
    for at in [61.0, 61.1, 61.2] {
        wire.udp(at, S, C, &reply(1, &[]));
    }
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(1, 4, 2, 2)]);
    assert_eq!(batch.copies.frame, [2, 3, 5, 6]);
    assert_eq!(batch.copies.reply, [0, 0, 1, 1]);
}

#[test]
fn a_resend_over_a_new_connection_from_another_port() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    let (mut d, mut t) = (End { port: 701, ..client() }, server());
    wire.connect(60.0, &mut d, &mut t);
    wire.send(61.0, &mut d, &t, &record(&[&call(1, 2, &[])]));
    wire.send(62.0, &mut t, &d, &record(&[&reply(1, &[])]));
    assert_eq!(pairs(&wire.decode()), [(4, 9, 1, 0)]);
}

#[test]
fn an_xid_used_again_after_the_answer_is_a_new_exchange() {
    let mut wire = Wire::default();
    for at in [0.0, 1.0] {
        wire.udp(at, C, S, &call(1, 2, &[]));
        wire.udp(at + 0.1, S, C, &reply(1, &[]));
    }
    assert_eq!(pairs(&wire.decode()), [(1, 2, 0, 0), (3, 4, 0, 0)]);
}

#[test]
fn an_xid_used_for_another_call_is_a_new_exchange_and_the_reply_is_its() {
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 2, &[]));
    wire.udp(1.0, C, S, &call(1, 3, &[]));
    wire.udp(1.1, S, C, &reply(1, &[]));
    assert_eq!(pairs(&wire.decode()), [(1, 0, 0, 0), (2, 3, 0, 0)]);
}

#[test]
fn the_same_xid_at_two_servers_is_two_exchanges() {
    let other = (Ipv4Addr::new(10, 0, 0, 10), 111);
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 2, &[]));
    wire.udp(0.1, C, other, &call(1, 2, &[]));
    wire.udp(0.2, other, C, &reply(1, &[]));
    wire.udp(0.3, S, C, &reply(1, &[]));
    assert_eq!(pairs(&wire.decode()), [(1, 4, 0, 0), (2, 3, 0, 0)]);
}

#[test]
fn the_same_call_of_many_clients_is_an_exchange_for_each() {
    let mut wire = Wire::default();
    let clients = (1..=20).map(|last| (Ipv4Addr::new(10, 0, 1, last), 900)); // more than there are shards
    for client in clients {
        wire.udp(0.0, client, S, &call(1, 2, &[]));
    }
    assert_eq!(pairs(&wire.decode()), (1..=20).map(|frame| (frame, 0, 0, 0)).collect::<Vec<_>>());
}

#[test]
fn the_same_xid_at_two_ports_of_a_server_is_two_exchanges() {
    let other = (SERVER, 2049);
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 2, &[]));
    wire.udp(0.1, C, other, &call(1, 2, &[]));
    wire.udp(0.2, S, C, &reply(1, &[]));
    wire.udp(0.3, other, C, &reply(1, &[]));
    // Where the program never answered, it is not known to have moved, however late.
    wire.udp(9.0, C, (SERVER, 22), &call(2, 2, &[]));
    wire.udp(14.0, C, (SERVER, 23), &call(2, 2, &[]));
    assert_eq!(pairs(&wire.decode()), [(1, 3, 0, 0), (2, 4, 0, 0), (5, 0, 0, 0), (6, 0, 0, 0)]);
}

#[test]
fn a_call_follows_its_program_to_another_port() {
    let (old, new) = (S, (SERVER, 4_000));
    let moved = |later: f64| {
        let mut wire = Wire::default();
        wire.udp(0.0, C, old, &call(1, 2, &[]));
        wire.udp(0.1, old, C, &reply(1, &[]));
        wire.udp(1.0, C, old, &call(2, 2, &[]));
        wire.udp(1.0 + later, C, new, &call(2, 2, &[]));
        wire.udp(1.1 + later, new, C, &reply(2, &[]));
        pairs(&wire.decode())
    };
    assert_eq!(moved(1.0), [(1, 2, 0, 0), (3, 5, 1, 0)]);
    assert_eq!(moved(0.999), [(1, 2, 0, 0), (3, 0, 0, 0), (4, 5, 0, 0)]);
}

/// How many exchanges are made of one datagram.
fn made_of(datagram: &[u8]) -> usize {
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, datagram);
    wire.decode().exchanges.xid.len()
}

#[test]
fn a_datagram_is_a_call_if_a_call_can_say_so() {
    const SYS: [u32; 7] = [1, 20, 0, 0, 0, 0, 0];
    let head = |vers: u32, proc: u32| [1, 0, 2, PROG, vers, proc];
    let none = [0, 0, 0, 0];
    let with = |parts: &[&[u32]]| words(&parts.concat());
    let calls = [
        with(&[&head(1, 1), &none, &[5, 5]]),
        with(&[&head(1, 1), &SYS, &none[..2]]),
        with(&[&head(1, 0), &none]),
        // rpcinfo, and scanners, ask for a version that nobody has.
        with(&[&head(0, 0), &none]),
        with(&[&head(104_316, 0), &none]),
        with(&[&head(1, 0), &[6, 20, 1, 1, 0, 1, 0, 0, 0], &[3, 3]]),
        with(&[&head(1, 0), &[7, 0, 0, 0]]),
        with(&[&head(1, 1), &[390_039, 4, 0], &none[..2]]),
    ];
    for datagram in calls {
        assert_eq!(made_of(&datagram), 1, "{datagram:x?}");
    }
    let others = [
        with(&[&head(1, 0), &none, &[5, 5]]),
        with(&[&head(0, 1), &none]),
        with(&[&head(1 << 16, 1), &none]),
        with(&[&head(1, 1 << 16), &none]),
        with(&[&[1, 0, 2, 0, 1, 1], &none]),
        with(&[&[1, 0, 2, 0x6000_0000, 1, 1], &none]),
        with(&[&head(1, 1), &[0, 4, 0, 0, 0]]),
        with(&[&head(1, 1), &[0, 0, 0, 4, 0]]),
        with(&[&head(1, 1), &[8, 0, 0, 0]]),
        with(&[&head(1, 1), &[400_000, 0, 0, 0]]),
        with(&[&head(1, 1), &[0, 0, 8, 0]]),
    ];
    for datagram in others {
        assert_eq!(made_of(&datagram), 0, "{datagram:x?}");
    }
}

#[test]
fn a_datagram_without_its_call_is_a_reply_if_a_reply_can_say_so() {
    let replies: [&[u32]; 7] = [
        &[1, 1, 0, 0, 0, 0, 9],
        &[1, 1, 0, 6, 4, 9, 0, 9],
        &[1, 1, 0, 0, 0, 1],
        &[1, 1, 0, 0, 0, 2, 2, 4],
        &[1, 1, 0, 0, 8, u32::from_be_bytes(*b"STAR"), u32::from_be_bytes(*b"TTLS"), 0],
        &[1, 1, 1, 0, 2, 2],
        &[1, 1, 1, 1, 5],
    ];
    for message in replies {
        assert_eq!(made_of(&words(message)), 1, "{message:?}");
    }
    let others: [&[u32]; 7] = [
        &[1, 1, 0, 8, 0, 0, 9],
        &[1, 1, 0, 0, 4, 9, 0],
        &[1, 1, 0, 0, 0, 1, 9],
        &[1, 1, 0, 0, 0, 2, 2],
        &[1, 1, 0, 0, 0, 5, 0],
        &[1, 1, 1, 0, 2],
        &[1, 1, 1, 1, 5, 0],
    ];
    for message in others {
        assert_eq!(made_of(&words(message)), 0, "{message:?}");
    }
    assert_eq!(made_of(&[&words(&[1, 1, 0, 0, 0, 0])[..], &[9]].concat()), 0);
}

#[test]
fn a_reply_is_none_where_nobody_called() {
    let answer = reply(1, &[]);
    // The other side said something, and that was no call.
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, b"something else");
    wire.udp(0.1, S, C, &answer);
    assert_eq!(wire.decode().exchanges.xid.len(), 0);
    // A call before, even with another xid, makes the port one that speaks RPC.
    wire.udp(0.2, C, S, &call(2, 1, &[]));
    wire.udp(0.3, S, C, &answer);
    assert_eq!(pairs(&wire.decode()), [(0, 4, 0, 0), (3, 0, 0, 0)]);
    for many in [Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 251)] {
        let mut wire = Wire::default();
        wire.udp(0.0, S, (many, 900), &answer);
        assert_eq!(wire.decode().exchanges.xid.len(), 0);
    }
    // What was asked may be answered in any way.
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 1, &[]));
    wire.udp(0.1, S, C, &words(&[1, 1, 0, 8, 4, 0, 3, 0]));
    assert_eq!(pairs(&wire.decode()), [(1, 2, 0, 0)]);
}

#[test]
fn a_reply_captured_before_its_call_pairs() {
    let mut wire = Wire::default();
    wire.udp(0.000_02, S, C, &reply(1, &[]));
    wire.udp(0.000_01, C, S, &call(1, 2, &[]));
    wire.udp(1.0, C, S, &call(2, 2, &[]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(2, 1, 0, 0), (3, 0, 0, 0)]);
}

#[test]
fn a_reply_whose_call_never_comes_is_an_orphan() {
    let mut wire = Wire::default();
    wire.udp(0.0, S, C, &reply(1, &[]));
    wire.udp(60.0, C, S, &call(1, 2, &[]));
    let rows = rows(&wire.decode());
    assert_eq!((rows[0].call_frame, rows[0].reply_frame, rows[0].prog), (0, 1, u32::MAX));
    assert_eq!((rows[1].call_frame, rows[1].reply_frame), (2, 0));
}

#[test]
fn an_equal_datagram_at_once_is_a_second_capture_and_later_a_resend() {
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 2, &[]));
    wire.udp_checksum = 0xbeef; // partial here, whole there: checksum offload fills it in between
    wire.udp(0.000_003, C, S, &call(1, 2, &[]));
    wire.udp(2.0, C, S, &call(1, 2, &[]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(1, 0, 1, 0)]);
    // A server that answers copies of a call one after another gives each reply an identification of its own.
    wire.udp(2.1, S, C, &reply(1, &[]));
    wire.udp(2.105, S, C, &reply(1, &[]));
    assert_eq!(pairs(&wire.decode()), [(1, 4, 1, 1)]);
    assert_eq!((batch.flows.duplicates[0], batch.captures.duplicates[0]), (1, 1));
}

#[test]
fn denied_replies_have_no_verifier() {
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 2, &[]));
    wire.udp(0.1, S, C, &words(&[1, 1, 1, 1, 5]));
    wire.udp(1.0, C, S, &call(2, 2, &[]));
    wire.udp(1.1, S, C, &words(&[2, 1, 1, 0, 2, 2]));
    let rows = rows(&wire.decode());
    assert_eq!(rows.iter().map(|row| row.rpc_status).collect::<Vec<_>>(), [AUTH_ERROR + 5, RPC_MISMATCH]);
}

#[test]
fn what_is_known_of_an_unanswered_calls_connection() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    let silent = rows(&wire.decode())[0].flags;
    assert_eq!(silent, REPLY_SIDE_SEEN);
    let mut acked = wire.clone();
    acked.tcp(1.1, &s, &c, ACK, s.seq, &[]);
    assert_eq!(rows(&acked.decode())[0].flags, REPLY_SIDE_SEEN | REPLY_SIDE_SEEN_AFTER | CALL_ACKED);
    let mut died = wire.clone();
    died.tcp(2.0, &c, &s, RST, c.seq, &[]);
    assert_eq!(rows(&died.decode())[0].flags, REPLY_SIDE_SEEN | CONNECTION_DIED);
    s.seq = s.seq.wrapping_add(100);
    wire.tcp(2.0, &s, &c, ACK, s.seq, &record(&[&reply(5, &[])]));
    let lossy = rows(&wire.decode()).into_iter().find(|row| row.xid == 1).expect("the call").flags;
    assert_eq!(lossy & (REPLY_SIDE_LOSS | CALL_ACKED), REPLY_SIDE_LOSS | CALL_ACKED);
}

#[test]
fn one_direction_only() {
    let (mut wire, mut c, s) = (Wire::default(), client(), server());
    wire.tcp(0.0, &c, &s, SYN, c.seq, &[]);
    c.seq += 1;
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    assert_eq!(rows(&wire.decode())[0].flags, 0);
}

#[test]
fn a_flood_of_unanswered_calls_forgets_the_oldest_loudly() {
    let mut wire = Wire::default();
    let extra = 10;
    for xid in 0..(MAX_UNANSWERED + extra) as u32 {
        wire.udp(f64::from(xid) * 1e-3, C, S, &call(xid, 2, &[]));
    }
    let batch = wire.decode();
    let evicted: Vec<u32> = rows(&batch).iter().filter(|row| row.flags & EVICTED != 0).map(|row| row.xid).collect();
    assert_eq!(evicted, (0..extra as u32).collect::<Vec<_>>());
    assert_eq!(kinds(&batch).iter().filter(|kind| **kind == "call-evicted").count(), extra);
    assert_eq!(rows(&batch).len(), MAX_UNANSWERED + extra);
}

#[test]
fn one_xid_for_a_thousand_different_calls_stays_cheap_and_bounded() {
    let mut wire = Wire::default();
    for n in 0..1_000_u32 {
        wire.udp(f64::from(n), C, S, &call(1, n, &[]));
    }
    let batch = wire.decode();
    let rows = rows(&batch);
    assert_eq!(rows.len(), 1_000);
    assert_eq!(rows.iter().filter(|row| row.flags & EVICTED != 0).count(), 1_000 - 8);
    assert_eq!(kinds(&batch).iter().filter(|kind| **kind == "call-evicted").count(), 1_000 - 8);
}

#[test]
fn a_call_repeated_after_its_answer_says_so() {
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 2, &[]));
    wire.udp(0.1, S, C, &reply(1, &[]));
    wire.udp(0.2, C, S, &call(1, 2, &[]));
    wire.udp(0.3, C, S, &call(1, 3, &[]));
    let repeated: Vec<bool> = rows(&wire.decode()).iter().map(|row| row.flags & REPEATED != 0).collect();
    assert_eq!(repeated, [false, true, false]);
}

#[test]
fn a_call_that_crossed_its_reply_is_a_resend() {
    let again = |later: f64, from: (Ipv4Addr, u16), args: &[u8]| {
        let mut wire = Wire::default();
        wire.udp(0.0, C, S, &call(1, 2, &[7; 4]));
        wire.udp(1.0, S, C, &reply(1, &[]));
        wire.udp(1.0 + later, from, S, &call(1, 2, args));
        wire.udp(1.02, S, from, &reply(1, &[]));
        pairs(&wire.decode())
    };
    let (resend, another) = (vec![(1, 2, 1, 1)], vec![(1, 2, 0, 0), (3, 4, 0, 0)]);
    for later in [0.000_1, 0.005, -0.005] {
        assert_eq!(again(later, C, &[7; 4]), resend, "{later}");
    }
    for later in [0.005_001, -0.005_001] {
        assert_eq!(again(later, C, &[7; 4]), another, "{later}");
    }
    let mut refused = Wire::default();
    for at in [0.0, 1.0] {
        refused.udp(at, C, S, &call(1, 2, &[]));
        refused.udp(at + 0.999_9, S, C, &words(&[1, 1, 1, 1, 1]));
    }
    assert_eq!(pairs(&refused.decode()), another, "with another credential");
    assert_eq!(again(0.000_1, C, &[8; 4]), another, "other arguments");
    assert_eq!(again(0.000_1, (CLIENT, 901), &[7; 4]), another, "another port");
}

#[test]
fn orphans_of_one_xid_leave_a_few_at_a_time() {
    let mut wire = Wire::default();
    for port in 0..20 {
        wire.udp(f64::from(port) * 0.5, S, (CLIENT, 1_000 + port), &reply(1, &[]));
    }
    let mut decoder = Decoder::new(Layouts::default(), Vec::new(), 0, Fold::default(), Select::default());
    decoder.feed(&wire.bytes).expect("a capture");
    assert_eq!(decoder.drain().exchanges.xid.len(), 20 - 8);
}

#[test]
fn a_call_left_unanswered_on_a_connection_that_answered_others() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    wire.send(1.1, &mut s, &c, &record(&[&reply(1, &[])]));
    wire.send(2.0, &mut c, &s, &record(&[&call(2, 2, &[])]));
    wire.tcp(2.1, &s, &c, ACK, s.seq, &[]);
    let flags = rows(&wire.decode())[1].flags;
    assert_eq!(flags, REPLY_SIDE_SEEN | REPLY_SIDE_SEEN_AFTER | CALL_ACKED);
}

#[test]
fn one_time_stamp_far_ahead_ages_nothing_after_it() {
    let mut wire = Wire::default();
    let other = (Ipv4Addr::new(10, 0, 0, 10), 111);
    wire.udp(1.0, C, S, &call(1, 2, &[]));
    wire.udp(1.1, S, C, &reply(1, &[]));
    wire.udp(4e9, other, C, &reply(9, &[]));
    wire.udp(2.0, C, S, &call(2, 2, &[]));
    wire.udp(2.1, S, C, &reply(2, &[]));
    wire.udp(3.1, S, C, &reply(2, &[]));
    let all = rows(&wire.decode());
    assert_eq!(all.iter().find(|row| row.xid == 2).map(|row| row.duplicates), Some(1));
}

#[test]
fn a_reply_that_was_acknowledged_and_not_captured_is_lost_though_nothing_follows_it() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    s.seq = s.seq.wrapping_add(32);
    wire.tcp(1.1, &c, &s, ACK, c.seq, &[]);
    assert_ne!(rows(&wire.decode())[0].flags & REPLY_SIDE_LOSS, 0);
}

#[test]
fn a_reply_that_is_missing_where_the_capture_begins_in_mid_stream_may_be_lost() {
    // The reply to the first call is so long, and is not captured; the second call acknowledges it, and is answered, or is not.
    let flags = |missing: u32, answered: bool| {
        let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
        wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
        wire.tcp(1.1, &s, &c, ACK, s.seq, &[]);
        s.seq = s.seq.wrapping_add(missing);
        wire.send(2.0, &mut c, &s, &record(&[&call(2, 2, &[])]));
        if answered {
            wire.send(2.1, &mut s, &c, &record(&[&reply(2, &[])]));
        }
        let batch = wire.decode();
        assert_eq!((batch.flows.c_lost_bytes[0], batch.flows.s_lost_bytes[0]), (0, 0));
        rows(&batch).into_iter().find(|row| row.xid == 1).expect("the call").flags & REPLY_SIDE_LOSS
    };
    assert_eq!([(1, true), (2, true), (1, false), (2, false)].map(|(n, answered)| flags(n, answered)), [0, 4, 0, 4]);
}

#[test]
fn a_reply_may_be_captured_two_seconds_before_its_call() {
    let before = |seconds: f64| {
        let mut wire = Wire::default();
        wire.udp(0.0, S, C, &reply(1, &[]));
        wire.udp(seconds, C, S, &call(1, 2, &[]));
        pairs(&wire.decode())
    };
    assert_eq!(before(2.0), [(2, 1, 0, 0)]);
    assert_eq!(before(2.000_001), [(0, 1, 0, 0), (2, 0, 0, 0)]);
}

/// The exchanges of these captures that are in reach at their end.
fn in_reach(wire: &Wire) -> usize {
    let mut decoder = Decoder::new(Layouts::default(), Vec::new(), 0, Fold::default(), Select::default());
    decoder.feed(&wire.bytes).expect("a capture");
    decoder.release();
    decoder.snapshot().exchanges.client.len()
}

#[test]
fn an_answered_call_is_in_reach_for_five_minutes() {
    for resent in [false, true] {
        let after = |seconds: f64| {
            let mut wire = Wire::default();
            wire.udp(0.0, C, S, &call(1, 2, &[]));
            if resent {
                wire.udp(0.05, C, S, &call(1, 2, &[]));
            }
            wire.udp(0.1, S, C, &reply(1, &[]));
            wire.udp(0.1 + seconds, S, C, &reply(2, &[]));
            in_reach(&wire)
        };
        assert_eq!((after(300.0), after(300.000_001)), (2, 1));
    }
}

#[test]
fn answered_calls_in_reach_are_limited_in_number() {
    let exchanges = |count: u32, resent: bool| {
        let mut wire = Wire::default();
        for xid in 0..count {
            let at = f64::from(xid) * 1e-4;
            wire.udp(at, C, S, &call(xid, 2, &[]));
            if resent {
                // Another frame, not the same one captured twice.
                wire.udp(at + 0.05, C, S, &call(xid, 2, &[]));
            }
            wire.udp(at + 0.06, S, C, &reply(xid, &[]));
        }
        in_reach(&wire)
    };
    assert_eq!([512, 513].map(|count| exchanges(count, false)), [512, 512]);
    assert_eq!(exchanges(512 + 8_192 + 2, true), 512 + 8_192);
}

#[test]
fn calls_are_told_apart_by_the_first_half_kilobyte_of_their_arguments() {
    let differing_at = |at: usize| {
        let mut wire = Wire::default();
        let mut args = vec![0; 600];
        wire.udp(0.0, C, S, &call(1, 2, &args));
        args[at] = 1;
        wire.udp(2.0, C, S, &call(1, 2, &args));
        pairs(&wire.decode()).len()
    };
    assert_eq!([0, 511, 512].map(differing_at), [2, 2, 1]);
    let mut wire = Wire::default();
    wire.udp(0.0, C, S, &call(1, 2, &[0; 600]));
    wire.udp(2.0, C, S, &call(1, 2, &[0; 604]));
    assert_eq!(pairs(&wire.decode()).len(), 2, "of another length");
}

#[test]
fn every_column_of_an_exchange() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let sys = words(&[7, 0, 2, PROG, 4, 5, 1, 24, 9, 2, u32::from_be_bytes(*b"cl\0\0"), 33, 44, 0, 0, 0]);
    wire.send(1.0, &mut c, &s, &record(&[&[sys, vec![1; 12]].concat()]));
    wire.send(2.5, &mut s, &c, &record(&[&reply(7, &[2; 8])]));
    wire.udp(3.0, (CLIENT, 800), (SERVER, 111), &call(8, 1, &[]));
    let Batch { exchanges, strings, addresses, .. } = wire.decode();
    let first = ExchangeRow {
        exchange: 0,
        capture: 0,
        call_frame: 4,
        reply_capture: 0,
        reply_frame: 5,
        time: SECOND,
        reply_time: 5 * SECOND / 2,
        client: 0,
        server: 1,
        client_port: 700,
        server_port: 32_803,
        transport: 6,
        flow: 0,
        xid: 7,
        prog: PROG,
        vers: 4,
        proc: 5,
        rpc_status: 0,
        status: i32::MIN,
        retransmits: 0,
        duplicates: 0,
        flags: 0,
        flavor: 1,
        machine: 0,
        uid: 33,
        call_bytes: 76,
        reply_bytes: 32,
    };
    let second = ExchangeRow {
        exchange: 1,
        call_frame: 6,
        reply_frame: 0,
        time: 3 * SECOND,
        reply_time: i64::MIN,
        client_port: 800,
        server_port: 111,
        transport: 17,
        flow: 1,
        xid: 8,
        proc: 1,
        rpc_status: u8::MAX,
        flavor: 0,
        machine: u32::MAX,
        uid: u32::MAX,
        call_bytes: 40,
        reply_bytes: 0,
        ..first
    };
    let mut expected = Exchanges::default();
    [first, second].into_iter().for_each(|row| expected.push(row));
    assert_eq!(exchanges.into_columns(), expected.take().into_columns());
    assert_eq!(strings, [b"cl"]);
    assert_eq!(addresses.iter().map(|(ip, _)| *ip).collect::<Vec<_>>(), [IpAddr::from(CLIENT), IpAddr::from(SERVER)]);
}

#[test]
fn what_is_known_of_a_connection_whichever_end_calls() {
    for turned in [false, true] {
        let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
        (c.ip, s.ip) = if turned { (s.ip, c.ip) } else { (c.ip, s.ip) };
        wire.connect(0.0, &mut c, &mut s);
        wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
        wire.tcp(1.1, &s, &c, ACK, s.seq, &[]);
        assert_eq!(rows(&wire.decode())[0].flags, REPLY_SIDE_SEEN | REPLY_SIDE_SEEN_AFTER | CALL_ACKED);
    }
}

#[test]
fn a_connection_dies_by_either_end_and_either_way() {
    for (flags, by_client) in [(RST, true), (RST, false), (FIN | ACK, true), (FIN | ACK, false)] {
        let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
        wire.connect(0.0, &mut c, &mut s);
        wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
        let (from, to) = if by_client { (c, s) } else { (s, c) };
        wire.tcp(2.0, &from, &to, flags, from.seq, &[]);
        assert_ne!(rows(&wire.decode())[0].flags & CONNECTION_DIED, 0, "{flags} {by_client}");
    }
}
