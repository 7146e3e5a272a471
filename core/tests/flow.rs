//! Flows as rows: every column of both sides.

mod wire;

use nfsrpc_core::batch::flow_flag::RPC;
use nfsrpc_core::batch::{FlowRow, Flows};
use wire::*;

const SECOND: i64 = 1_000_000_000;

/// An ICMP message from the server: the client's port is unreachable.
fn unreachable(wire: &mut Wire, at: f64, from: &End, to: &End, code: u8) {
    let mut quoted = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    quoted.extend([from.ip.octets(), to.ip.octets()].concat());
    quoted.extend([from.port.to_be_bytes(), to.port.to_be_bytes()].concat());
    quoted.extend([0; 4]);
    let message = [vec![3, code, 0, 0, 0, 0, 0, 0], quoted].concat();
    let length = (20 + message.len()) as u16;
    let [high, low] = length.to_be_bytes();
    let header = [0x45, 0, high, low, 0, 1, 0, 0, 64, 1, 0, 0];
    wire.frame(at, &[&header[..], &to.ip.octets(), &from.ip.octets(), &message].concat());
}

#[test]
fn every_column_of_a_connection() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.tcp(1.0, &c, &s, SYN, c.seq, &[]);
    wire.tcp(1.5, &c, &s, SYN, c.seq, &[]);
    c.seq += 1;
    wire.tcp(2.0, &s, &c, SYN | ACK, s.seq, &[]);
    s.seq = s.seq.wrapping_add(1);
    // Three calls; the second is retransmitted, and the third comes before the segment that fills the hole.
    let size = record(&[&call(1, 2, &[])]).len() as u32;
    wire.send(3.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    let again = c.seq;
    wire.send(4.0, &mut c, &s, &record(&[&call(2, 2, &[])]));
    wire.tcp(5.0, &c, &s, ACK, again, &record(&[&call(2, 2, &[])]));
    wire.tcp(5.1, &c, &s, ACK, c.seq + size, &record(&[&call(4, 2, &[])]));
    wire.tcp(5.2, &c, &s, ACK, c.seq, &record(&[&call(3, 2, &[])]));
    c.seq += 2 * size;
    // Two replies, before the second of which ten bytes are missing, and a frame of which the last 4 bytes were not captured.
    wire.send(6.0, &mut s, &c, &record(&[&reply(1, &[])]));
    s.seq = s.seq.wrapping_add(10);
    wire.tcp(6.5, &s, &c, ACK, s.seq, &record(&[&reply(2, &[])]));
    s.seq = s.seq.wrapping_add(28);
    wire.tcp(7.0, &c, &s, FIN | ACK, c.seq, &[]);
    wire.tcp(7.5, &s, &c, FIN | ACK, s.seq, &[]);
    wire.tcp(8.0, &s, &c, RST, s.seq, &[]);
    wire.tcp(8.5, &s, &c, RST, s.seq, &[]);
    unreachable(&mut wire, 9.0, &c, &s, 10);
    unreachable(&mut wire, 9.5, &c, &s, 13);
    let mut expected = Flows::default();
    expected.push(FlowRow {
        flow: 0,
        transport: 6,
        client: 0,
        client_port: 700,
        server: 1,
        server_port: 32_803,
        first: SECOND,
        last: 17 * SECOND / 2,
        first_capture: 0,
        first_frame: 1,
        c_frames: 8,
        c_bytes: u64::from(5 * size),
        c_retransmitted: 1,
        c_out_of_order: 1,
        c_lost_bytes: 0,
        c_cut_frames: 0,
        c_damaged: 0,
        c_fin: 1,
        c_rst: 0,
        c_calls: 4,
        c_replies: 0,
        c_last: 7 * SECOND,
        c_seq: 1_000,
        c_unheard: 1,
        c_unheard_first: 3 * SECOND,
        c_unheard_last: 6 * SECOND,
        s_frames: 6,
        s_bytes: 56,
        s_retransmitted: 0,
        s_out_of_order: 0,
        s_lost_bytes: 10,
        s_cut_frames: 0,
        s_damaged: 0,
        s_fin: 1,
        s_rst: 2,
        s_calls: 0,
        s_replies: 2,
        s_last: 17 * SECOND / 2,
        s_seq: u32::MAX - 60,
        s_unheard: 0,
        s_unheard_first: 0,
        s_unheard_last: 0,
        syn: 2,
        syn_frame: 1,
        syn_time: SECOND,
        syn_last: 3 * SECOND / 2,
        synack: 1,
        synack_frame: 3,
        synack_time: 2 * SECOND,
        rst_capture: 0,
        rst_frame: 13,
        rst_time: 8 * SECOND,
        icmp: 2,
        icmp_frame: 15,
        icmp_time: 9 * SECOND,
        icmp_code: 10,
        duplicates: 0,
        flags: RPC,
        prog: PROG,
    });
    assert_eq!(wire.decode().flows.into_columns(), expected.take().into_columns());
}

#[test]
fn every_column_of_a_talk_over_udp_from_the_other_side() {
    let (client, server) = ((CLIENT, 111), (SERVER, 900));
    let mut wire = Wire::default();
    wire.udp(1.0, server, client, &call(1, 2, &[0; 100]));
    wire.udp(2.0, client, server, &reply(1, &[]));
    wire.snaplen = 100;
    wire.udp(3.0, server, client, &call(2, 2, &[0; 100]));
    wire.udp(4.0, client, server, &[reply(2, &[]), vec![0; 100]].concat());
    let mut expected = Flows::default();
    expected.push(FlowRow {
        transport: 17,
        client: 1,
        client_port: 900,
        server: 0,
        server_port: 111,
        first: SECOND,
        last: 4 * SECOND,
        first_frame: 1,
        c_frames: 2,
        c_bytes: 280,
        c_cut_frames: 1,
        c_calls: 2,
        c_last: 3 * SECOND,
        s_frames: 2,
        s_bytes: 24 + 124,
        s_cut_frames: 1,
        s_replies: 2,
        s_last: 4 * SECOND,
        syn_time: i64::MIN,
        syn_last: i64::MIN,
        synack_time: i64::MIN,
        rst_time: i64::MIN,
        icmp_time: i64::MIN,
        flags: RPC,
        prog: PROG,
        ..FlowRow::default()
    });
    assert_eq!(wire.decode().flows.into_columns(), expected.take().into_columns());
}

#[test]
fn a_segment_captured_twice_is_counted_of_its_flow_and_of_the_file() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let seq = c.seq;
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    for _ in 0..2 {
        wire.tcp_again(1.0, &c, &s, ACK, seq, &record(&[&call(1, 2, &[])]));
    }
    let batch = wire.decode();
    assert_eq!((batch.flows.duplicates, batch.captures.duplicates), (vec![2], vec![2]));
    assert_eq!(batch.flows.c_retransmitted, [0]);
}

#[test]
fn a_side_of_which_nothing_was_captured_has_no_last_frame() {
    for (flags, seen) in [(SYN, [1, 0]), (SYN | ACK, [0, 1])] {
        let mut wire = Wire::default();
        wire.tcp(1.0, &client(), &server(), flags, 5, &[]);
        let flows = wire.decode().flows;
        assert_eq!([flows.c_frames[0], flows.s_frames[0]], seen);
        let last = seen.map(|frames| if frames > 0 { SECOND } else { i64::MIN });
        assert_eq!([flows.c_last[0], flows.s_last[0]], last);
        assert_eq!([flows.client[0], flows.server[0]], seen.map(|frames| 1 - frames));
    }
}

#[test]
fn a_loopback_address_is_another_host_on_another_interface_and_in_another_vantage() {
    use nfsrpc_core::{decoder::Decoder, select::Select, tally::Fold, xdr::Layouts};
    let word = |value: u32| value.to_le_bytes();
    let block = |kind: u32, body: &[u8]| {
        let length = word(body.len() as u32 + 12);
        [&word(kind)[..], &length, body, &length].concat()
    };
    let section = block(0x0a0d_0d0a, &[word(0x1a2b_3c4d), word(1), word(u32::MAX), word(u32::MAX)].concat());
    let interface = block(1, &[word(101), word(0)].concat());
    let datagram = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 9, 0, 9, 0, 8, 0, 0];
    let packet = |interface: u32| {
        block(6, &[&[word(interface), word(0), word(0), word(28), word(28)].concat()[..], &datagram].concat())
    };
    let file = [section, interface.clone(), interface, packet(0), packet(1), packet(0)].concat();
    let mut decoder = Decoder::new(Layouts::default(), Vec::new(), 3, Fold::default(), Select::default());
    decoder.feed(&file).expect("a capture");
    let addresses = decoder.close().expect("a capture").1.addresses;
    assert_eq!(addresses.iter().map(|(_, domain)| *domain).collect::<Vec<_>>(), [3 << 16, 3 << 16 | 1]);
}
