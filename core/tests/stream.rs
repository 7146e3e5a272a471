//! TCP reassembly and record marking: what a stream's segments become, whatever happened to them on the way.

mod wire;

use nfsrpc_core::batch::exchange_flag;
use nfsrpc_core::decoder::Batch;
use wire::*;

/// A connection over which `count` calls of `size` bytes of arguments are made and answered.
fn conversation(calls: &[Vec<u8>]) -> (Wire, End, End) {
    let mut wire = Wire::default();
    let (mut c, mut s) = (client(), server());
    wire.connect(0.0, &mut c, &mut s);
    for (n, call) in calls.iter().enumerate() {
        wire.send(1.0 + n as f64, &mut c, &s, &record(&[call]));
    }
    (wire, c, s)
}

#[test]
fn a_call_and_its_reply_pair() {
    let (mut wire, c, mut s) = conversation(&[call(7, 2, &[])]);
    wire.send(1.5, &mut s, &c, &record(&[&reply(7, &[])]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(4, 5, 0, 0)]);
    assert_eq!(rows(&batch)[0].reply_time - rows(&batch)[0].time, 500_000_000);
    assert!(kinds(&batch).is_empty());
}

#[test]
fn several_records_a_segment_and_several_segments_a_record() {
    let mut wire = Wire::default();
    let (mut c, mut s) = (client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let stream: Vec<u8> = (1..=5).flat_map(|xid| record(&[&call(xid, 1, &[xid as u8; 40])])).collect();
    for piece in stream.chunks(130) {
        wire.send(1.0, &mut c, &s, piece);
    }
    // Records are 84 bytes: they end at 84, 168, 252, 336 and 420, segments at 130, 260, 390 and 420.
    assert_eq!(pairs(&wire.decode()), [(4, 0, 0, 0), (5, 0, 0, 0), (5, 0, 0, 0), (6, 0, 0, 0), (7, 0, 0, 0)]);
}

#[test]
fn a_record_of_many_fragments() {
    let (message, mut wire) = (call(9, 3, &[5; 64]), Wire::default());
    let (mut c, mut s) = (client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let pieces: Vec<&[u8]> = message.chunks(7).collect();
    wire.send(1.0, &mut c, &s, &record(&pieces));
    // Some write an empty last fragment.
    wire.send(2.0, &mut c, &s, &record(&[&call(10, 3, &[]), &[]]));
    wire.send(3.0, &mut c, &s, &record(&[&call(11, 3, &[])]));
    let rows = rows(&wire.decode());
    assert_eq!(rows.iter().map(|row| (row.xid, row.call_bytes)).collect::<Vec<_>>(), [(9, 104), (10, 40), (11, 40)]);
}

#[test]
fn out_of_order_segments_are_complete_in_the_frame_that_fills_the_hole() {
    let mut wire = Wire::default();
    let (mut c, mut s) = (client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let pieces: Vec<Vec<u8>> = (1..=3).map(|xid| record(&[&call(xid, 1, &[])])).collect();
    let at = |n: usize| c.seq + (44 * n) as u32;
    wire.tcp(1.0, &c, &s, ACK, at(2), &pieces[2]);
    wire.tcp(1.1, &c, &s, ACK, at(1), &pieces[1]);
    wire.tcp(1.2, &c, &s, ACK, at(0), &pieces[0]);
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(6, 0, 0, 0); 3]);
    assert_eq!(batch.flows.c_out_of_order, [2]);
    assert_eq!(batch.flows.c_lost_bytes, [0]);
}

#[test]
fn a_segment_sent_again_is_not_a_call_sent_again() {
    let (mut wire, c, s) = conversation(&[call(7, 2, &[])]);
    let bytes = record(&[&call(7, 2, &[])]);
    wire.tcp(1.3, &c, &s, ACK, c.seq - 44, &bytes);
    wire.tcp_again(1.4, &c, &s, ACK, c.seq - 44, &bytes);
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(4, 0, 0, 0)]);
    assert_eq!((batch.flows.c_retransmitted[0], batch.flows.duplicates[0]), (1, 1));
}

#[test]
fn overlapping_segments_count_once() {
    let mut wire = Wire::default();
    let (mut c, mut s) = (client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let bytes: Vec<u8> = (1..=2).flat_map(|xid| record(&[&call(xid, 1, &[])])).collect();
    wire.tcp(1.0, &c, &s, ACK, c.seq, &bytes[..50]);
    wire.tcp(1.1, &c, &s, ACK, c.seq + 20, &bytes[20..88]);
    assert_eq!(pairs(&wire.decode()), [(4, 0, 0, 0), (5, 0, 0, 0)]);
}

#[test]
fn after_a_lost_segment_the_records_resume_at_their_own_frames() {
    let calls: Vec<Vec<u8>> = (1..=6).map(|xid| call(xid, 1, &[])).collect();
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    for (n, call) in calls.iter().enumerate() {
        let bytes = record(&[call]);
        if n == 1 {
            c.seq += bytes.len() as u32;
        } else {
            wire.send(1.0 + n as f64, &mut c, &s, &bytes);
        }
    }
    let batch = wire.decode();
    assert_eq!(pairs(&batch).iter().map(|pair| pair.0).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
    assert_eq!(batch.flows.c_lost_bytes, [44]);
}

#[test]
fn a_hole_inside_a_large_record_costs_only_the_missing_part() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let bytes = record(&[&call(1, 7, &[1; 10_000])]);
    for (n, piece) in bytes.chunks(1_000).enumerate() {
        if n == 5 {
            c.seq += 1_000;
        } else {
            wire.send(1.0, &mut c, &s, piece);
        }
    }
    wire.send(2.0, &mut c, &s, &record(&[&call(2, 1, &[])]));
    let rows = rows(&wire.decode());
    assert_eq!(rows.iter().map(|row| (row.xid, row.call_bytes)).collect::<Vec<_>>(), [(1, 10_040), (2, 40)]);
}

#[test]
fn acknowledged_bytes_that_were_never_captured_are_given_up_while_reading() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    c.seq += 1_000;
    for n in 0..40 {
        wire.send(1.0 + f64::from(n), &mut c, &s, &record(&[&call(n, 1, &[])]));
        let xid = record(&[&reply(n, &[])]);
        wire.send(1.5 + f64::from(n), &mut s, &c, &xid);
    }
    let batch = wire.decode();
    assert_eq!(batch.flows.c_lost_bytes, [1_000]);
    assert!(rows(&batch).iter().all(|row| row.call_frame > 0 && row.reply_frame == row.call_frame + 1));
}

#[test]
fn a_capture_that_begins_in_mid_stream() {
    let (mut wire, mut c, s) = (Wire::default(), client(), server());
    let stream: Vec<u8> = (1..=9).flat_map(|xid| record(&[&call(xid, 1, &[0; 60])])).collect();
    // The first segment begins within a record.
    for piece in stream[50..].chunks(208) {
        wire.send(1.0, &mut c, &s, piece);
    }
    assert_eq!(rows(&wire.decode()).iter().map(|row| row.xid).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_stream_that_is_not_rpc_says_nothing() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, b"GET / HTTP/1.1\r\nHost: example\r\n\r\n");
    wire.send(1.1, &mut s, &c, &[0; 4_000]);
    let batch = wire.decode();
    assert!(rows(&batch).is_empty() && kinds(&batch).is_empty());
    assert_eq!(batch.flows.flags, [0]);
}

#[test]
fn cut_frames_keep_the_stream_in_step() {
    let (mut wire, mut c, mut s) = (Wire { snaplen: 40 + 44, ..Wire::default() }, client(), server());
    wire.connect(0.0, &mut c, &mut s);
    for xid in 1..=4 {
        wire.send(1.0, &mut c, &s, &record(&[&call(xid, 1, &[7; 300])]));
    }
    let batch = wire.decode();
    assert_eq!(rows(&batch).iter().map(|row| row.xid).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(batch.flows.c_cut_frames, [4]);
}

#[test]
fn a_header_cut_before_its_procedure_is_still_a_call() {
    let (mut wire, mut c, mut s) = (Wire { snaplen: 40 + 24, ..Wire::default() }, client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &record(&[&call(5, 1, &[7; 300])]));
    let row = rows(&wire.decode())[0];
    assert_eq!((row.xid, row.prog, row.proc), (5, PROG, u32::MAX));
    assert_ne!(row.flags & exchange_flag::CALL_CUT, 0);
}

#[test]
fn a_new_connection_on_the_same_ports_is_a_new_flow() {
    let (mut wire, mut c, mut s) = conversation(&[call(7, 2, &[])]);
    wire.tcp(2.0, &c, &s, RST, c.seq, &[]);
    (c.seq, s.seq) = (500_000, 900_000);
    wire.connect(3.0, &mut c, &mut s);
    wire.send(4.0, &mut c, &s, &record(&[&call(7, 2, &[])]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(4, 0, 1, 0)]);
    assert_eq!(batch.flows.flow.len(), 2);
    assert_eq!(batch.copies.frame, [9]);
}

#[test]
fn syns_without_answer_are_one_flow() {
    let mut wire = Wire::default();
    for at in [0.0, 1.0, 3.0, 7.0] {
        wire.tcp(at, &client(), &server(), SYN, 77, &[]);
    }
    let flows = wire.decode().flows;
    assert_eq!((flows.syn.as_slice(), flows.synack.as_slice()), ([4].as_slice(), [0].as_slice()));
    assert_eq!((flows.syn_time[0], flows.syn_last[0]), (0, 7_000_000_000));
    assert_eq!(flows.client_port, [700]);
}

/// A connection over which a call was answered, then one segment in place of a call, then a call that is answered.
fn around(flags: u8, at: impl Fn(u32) -> u32, payload: &[u8]) -> Batch {
    let (mut wire, mut c, mut s) = conversation(&[call(1, 1, &[])]);
    wire.send(1.1, &mut s, &c, &record(&[&reply(1, &[])]));
    wire.tcp(1.2, &c, &s, flags, at(c.seq), payload);
    wire.send(2.0, &mut c, &s, &record(&[&call(2, 1, &[])]));
    wire.send(2.1, &mut s, &c, &record(&[&reply(2, &[])]));
    wire.decode()
}

#[test]
fn a_damaged_syn_does_not_end_a_connection() {
    const PSH: u8 = 8;
    const URG: u8 = 32;
    let far = |seq: u32| seq.wrapping_add(500_000_000);
    let window = |seq: u32| seq.wrapping_add(65_535);
    let again = |seq: u32| seq.wrapping_sub(44);
    let damaged = [
        around(SYN | PSH, far, &[7; 264]),
        around(SYN | URG, far, &[]),
        around(SYN | FIN, far, &[]),
        around(SYN | ACK, far, &[7; 9]),
        around(SYN, window, &[]),
        around(SYN | ACK, again, &[]),
    ];
    for batch in damaged {
        assert_eq!(pairs(&batch), [(4, 5, 0, 0), (7, 8, 0, 0)]);
        assert_eq!((batch.flows.flow.len(), kinds(&batch)), (1, vec!["corrupt-syn"]));
        assert_eq!((batch.flows.c_damaged, batch.flows.c_lost_bytes), (vec![1], vec![0]));
    }
    // Just beyond the window Linux opens a connection anew. That this is none shows only when the old one goes on.
    let anew = around(SYN, |seq| seq.wrapping_add(65_536), &[]);
    assert_eq!((anew.flows.flow.len(), kinds(&anew)), (2, vec!["corrupt-syn"]));
    // 45 bytes back is its SYN; what is before that is of another.
    let older = around(SYN, |seq| seq.wrapping_sub(46), &[]);
    assert_eq!((older.flows.flow.len(), kinds(&older)), (2, vec![]));
}

#[test]
fn a_syn_from_anywhere_does_not_end_a_connection_that_goes_on() {
    for distance in [500_000_000, 3_000_000_000, 7_000_000, 4_280_000_000] {
        let batch = around(SYN, |seq| seq.wrapping_add(distance), &[]);
        assert_eq!(pairs(&batch), [(4, 5, 0, 0), (7, 8, 0, 0)], "{distance}");
        assert_eq!((kinds(&batch), batch.flows.c_lost_bytes), (vec!["corrupt-syn"], vec![0, 0]));
    }
}

#[test]
fn a_syn_after_the_end_of_a_connection_opens_another_wherever_it_begins() {
    for end in [FIN, RST] {
        let (mut wire, mut c, mut s) = conversation(&[call(1, 1, &[])]);
        wire.tcp(1.1, &c, &s, end | ACK, c.seq, &[]);
        c.seq = c.seq.wrapping_add(100);
        wire.connect(2.0, &mut c, &mut s);
        assert_eq!(wire.decode().flows.flow.len(), 2);
    }
}

#[test]
fn a_stream_that_turns_out_to_be_rpc_is_read_from_there() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &[0x7f; 100]);
    wire.send(1.1, &mut s, &c, &[0x7f; 100]);
    wire.send(2.0, &mut c, &s, &record(&[&call(1, 1, &[])]));
    wire.send(2.1, &mut s, &c, &record(&[&reply(1, &[])]));
    wire.send(3.0, &mut c, &s, &record(&[&call(2, 1, &[])]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(6, 7, 0, 0), (8, 0, 0, 0)]);
    assert_eq!(kinds(&batch), ["late-rpc", "late-rpc"]);
}

#[test]
fn a_stream_that_is_not_rpc_does_not_become_so_by_a_reply_nobody_waits_for_or_by_half_a_call() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &[0x7f; 100]);
    wire.send(2.0, &mut c, &s, &record(&[&reply(1, &[])]));
    wire.send(3.0, &mut c, &s, &record(&[&words(&[1, 0, 2, PROG, 0, 1, 0, 0, 0, 0])]));
    wire.send(4.0, &mut c, &s, &[&[0x7f][..], &record(&[&call(2, 1, &[])])].concat());
    let batch = wire.decode();
    assert!(rows(&batch).is_empty() && kinds(&batch).is_empty());
}

#[test]
fn what_the_bytes_say_out_of_step_is_reported_and_left() {
    let (mut wire, mut c, s) = conversation(&[call(1, 1, &[])]);
    wire.send(2.0, &mut c, &s, &[0x7f; 64]);
    wire.send(3.0, &mut c, &s, &record(&[&call(2, 1, &[])]));
    let batch = wire.decode();
    assert_eq!(rows(&batch).iter().map(|row| row.xid).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(kinds(&batch), ["record-mark"]);
}

#[test]
fn on_a_quiet_connection_an_acknowledged_hole_is_given_up_by_time() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 1, &[])]));
    c.seq += 44;
    wire.send(30.0, &mut c, &s, &record(&[&call(1, 1, &[])]));
    wire.tcp(30.01, &s, &c, ACK, s.seq, &[]);
    // The hole is closed before this reply is looked at, so that it answers the call with its two captured copies.
    wire.send(60.0, &mut s, &c, &record(&[&reply(1, &[])]));
    assert_eq!(pairs(&wire.decode()), [(4, 7, 1, 0)]);
}

#[test]
fn a_syn_written_after_the_first_data_is_of_the_same_connection() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    let (before_c, before_s) = (c, s);
    c.seq += 1;
    s.seq += 1;
    wire.send(0.001, &mut c, &s, &record(&[&call(1, 1, &[])]));
    wire.tcp(0.002, &before_c, &before_s, SYN, before_c.seq, &[]);
    wire.tcp(0.003, &before_s, &c, SYN | ACK, before_s.seq, &[]);
    wire.send(0.004, &mut s, &c, &record(&[&reply(1, &[])]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(1, 4, 0, 0)]);
    assert_eq!(batch.flows.flow.len(), 1);
}

/// The server's FIN of a short connection is captured first, its SYN so many seconds later, before its reply or after it.
fn server_written_backwards(syn_late: f64, after_data: bool) -> Batch {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    let (before_c, before_s) = (c, s);
    (c.seq, s.seq) = (c.seq + 1, s.seq + 1);
    let answer = record(&[&reply(1, &[])]);
    wire.tcp(0.001, &before_c, &before_s, SYN, before_c.seq, &[]);
    wire.tcp(0.002, &s, &c, FIN | ACK, s.seq + answer.len() as u32, &[]);
    wire.send(0.003, &mut c, &s, &record(&[&call(1, 1, &[])]));
    if !after_data {
        wire.tcp(0.002 + syn_late, &before_s, &c, SYN | ACK, before_s.seq, &[]);
    }
    wire.send(0.003 + syn_late, &mut s, &c, &answer);
    if after_data {
        wire.tcp(0.002 + syn_late, &before_s, &c, SYN | ACK, before_s.seq, &[]);
    }
    wire.decode()
}

#[test]
fn a_syn_written_after_the_fin_is_of_the_same_connection() {
    for (after_data, frame) in [(false, 5), (true, 4)] {
        let batch = server_written_backwards(0.09, after_data);
        assert_eq!(pairs(&batch), [(3, frame, 0, 0)]);
        assert_eq!((batch.flows.flow.len(), batch.flows.s_lost_bytes[0]), (1, 0));
        assert_eq!(server_written_backwards(0.11, after_data).flows.flow.len(), 2);
    }
}

#[test]
fn bytes_that_wait_win_over_the_cut_end_of_what_fills_the_hole() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let two = [record(&[&call(1, 1, &[])]), record(&[&call(2, 6, &[])])].concat();
    wire.tcp(1.0, &c, &s, ACK, c.seq + 44, &two[44..]);
    wire.snaplen = 40 + 50;
    wire.tcp(2.0, &c, &s, ACK, c.seq, &two);
    let procs: Vec<u32> = rows(&wire.decode()).iter().map(|row| row.proc).collect();
    assert_eq!(procs, [1, 6]);
}

#[test]
fn after_starttls_the_bytes_are_not_ours() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    // A NULL call with AUTH_TLS, and its answer (RFC 9289 section 4.1).
    wire.send(1.0, &mut c, &s, &record(&[&words(&[1, 0, 2, PROG, 4, 0, 7, 0, 0, 0])]));
    let answer = [words(&[1, 1, 0, 0, 8]), b"STARTTLS".to_vec(), words(&[0])].concat();
    wire.send(1.1, &mut s, &c, &record(&[&answer]));
    wire.send(1.2, &mut c, &s, &[0x16, 3, 1, 0, 200]);
    wire.send(1.3, &mut c, &s, &record(&[&call(2, 1, &[])]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(4, 5, 0, 0)]);
    assert!(kinds(&batch).is_empty());
    assert_eq!(batch.flows.flags, [nfsrpc_core::batch::flow_flag::RPC | nfsrpc_core::batch::flow_flag::TLS]);
}

#[test]
fn holes_acknowledged_together_are_given_up_together() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    for xid in 1..=6 {
        wire.send(1.0, &mut c, &s, &record(&[&call(xid, 1, &[])]));
        c.seq += 44;
    }
    wire.tcp(1.1, &s, &c, ACK, s.seq, &[]);
    for xid in 1..=6 {
        wire.send(2.0, &mut s, &c, &record(&[&reply(xid, &[])]));
    }
    let batch = wire.decode();
    assert_eq!(pairs(&batch).iter().map(|pair| pair.1).collect::<Vec<_>>(), [11, 12, 13, 14, 15, 16]);
    assert_eq!(batch.flows.c_out_of_order, [0]);
}

#[test]
fn denied_replies_resynchronise_a_stream_too() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    for xid in 1..=3 {
        wire.send(1.0, &mut c, &s, &record(&[&call(xid, 1, &[])]));
    }
    s.seq = s.seq.wrapping_add(20);
    for xid in 2..=3 {
        wire.send(2.0, &mut s, &c, &record(&[&words(&[xid, 1, 1, 1, 1])]));
        wire.tcp(3.0, &c, &s, ACK, c.seq, &[]);
    }
    assert_eq!(pairs(&wire.decode()), [(4, 0, 0, 0), (5, 7, 0, 0), (6, 9, 0, 0)]);
}

#[test]
fn what_waited_behind_a_cut_end_is_in_order_and_nothing_is_lost() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    // The first record is cut in the frame that has all of it, and the second waits for it.
    wire.tcp(1.0, &c, &s, ACK, c.seq + 84, &record(&[&call(2, 6, &[])]));
    wire.snaplen = 40 + 60;
    wire.tcp(2.0, &c, &s, ACK, c.seq, &[record(&[&call(1, 1, &[7; 40])]), record(&[&call(2, 6, &[])])].concat());
    wire.snaplen = 262_144;
    c.seq += 84 + 44;
    wire.send(3.0, &mut c, &s, &record(&[&call(3, 1, &[])]));
    let batch = wire.decode();
    assert_eq!(pairs(&batch).iter().map(|pair| pair.0).collect::<Vec<_>>(), [5, 5, 6]);
    assert_eq!((batch.flows.c_lost_bytes[0], batch.flows.c_out_of_order[0]), (0, 1));
}

#[test]
fn a_record_that_is_no_message_ends_where_the_next_begins() {
    let (mut wire, mut c, s) = conversation(&[call(1, 1, &[])]);
    // The mark of a long record, and a call of another version of RPC.
    wire.send(2.0, &mut c, &s, &[&words(&[0x8000_2000, 5, 0, 9, PROG]), &[0x7f; 44][..]].concat());
    wire.send(3.0, &mut c, &s, &record(&[&call(2, 1, &[])]));
    let batch = wire.decode();
    assert_eq!(rows(&batch).iter().map(|row| row.xid).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(kinds(&batch), ["record-mark", "not-rpc"]);
}

#[test]
fn a_stream_that_has_not_proved_itself_is_not_read_within_what_looks_like_a_record() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &[&words(&[0x8000_0080]), &[0x7f; 40][..]].concat());
    wire.send(2.0, &mut c, &s, &record(&[&call(1, 1, &[])]));
    wire.send(3.0, &mut c, &s, &[0x7f; 44]);
    wire.send(4.0, &mut c, &s, &record(&[&call(2, 1, &[])]));
    let batch = wire.decode();
    assert_eq!(rows(&batch).iter().map(|row| row.xid).collect::<Vec<_>>(), [2]);
    assert_eq!(kinds(&batch), ["late-rpc"]);
}

#[test]
fn bytes_out_of_step_are_not_taken_for_a_record_by_their_mark() {
    let (mut wire, mut c, s) = conversation(&[call(1, 1, &[])]);
    wire.send(2.0, &mut c, &s, &[&words(&[0x8000_0080]), &[0x7f; 40][..], &record(&[&call(2, 1, &[])])].concat());
    wire.send(3.0, &mut c, &s, &record(&[&call(3, 1, &[])]));
    let batch = wire.decode();
    assert_eq!(rows(&batch).iter().map(|row| row.xid).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(kinds(&batch), ["record-mark"]);
}
