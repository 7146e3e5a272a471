//! Packets and messages for the tests, built byte by byte, and what the decoder made of them.
#![allow(dead_code)]

use std::net::Ipv4Addr;

use nfsrpc_core::batch::ExchangeRow;
use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::{Layouts, Table};

pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const FIN: u8 = 1;
pub const RST: u8 = 4;
pub const PROG: u32 = 300_000;

pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

pub fn call(xid: u32, proc: u32, args: &[u8]) -> Vec<u8> {
    [words(&[xid, 0, 2, PROG, 4, proc, 0, 0, 0, 0]), args.to_vec()].concat()
}

pub fn reply(xid: u32, results: &[u8]) -> Vec<u8> {
    [words(&[xid, 1, 0, 0, 0, 0]), results.to_vec()].concat()
}

/// A record of as many fragments as pieces.
pub fn record(pieces: &[&[u8]]) -> Vec<u8> {
    let mark = |at: usize, size: usize| (size as u32) | if at + 1 == pieces.len() { 1 << 31 } else { 0 };
    let fragment = |(at, piece): (usize, &&[u8])| [words(&[mark(at, piece.len())]), piece.to_vec()].concat();
    pieces.iter().enumerate().flat_map(fragment).collect()
}

fn ipv4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend([0x40, 0, 64, protocol, 0, 0]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(payload);
    packet
}

/// A capture under construction: raw IP, microseconds, little endian.
#[derive(Clone)]
pub struct Wire {
    pub bytes: Vec<u8>,
    pub snaplen: usize,
    pub udp_checksum: u16,
    pub id: u16,
}

/// One end of a TCP connection: address, port and the next sequence number.
#[derive(Clone, Copy)]
pub struct End {
    pub ip: Ipv4Addr,
    pub port: u16,
    pub seq: u32,
}

impl Default for Wire {
    fn default() -> Self {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0]);
        bytes.extend(101_u32.to_le_bytes());
        Wire { bytes, snaplen: 262_144, udp_checksum: 0, id: 1 }
    }
}

impl Wire {
    pub fn frame(&mut self, at: f64, packet: &[u8]) {
        let captured = packet.len().min(self.snaplen);
        let micros = (at * 1e6).round() as u64;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, captured as u32, packet.len() as u32] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(&packet[..captured]);
    }

    pub fn udp(&mut self, at: f64, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) {
        let mut datagram = Vec::new();
        datagram.extend(from.1.to_be_bytes());
        datagram.extend(to.1.to_be_bytes());
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend(self.udp_checksum.to_be_bytes());
        datagram.extend(payload);
        self.id = self.id.wrapping_add(1);
        self.frame(at, &ipv4(from.0, to.0, 17, self.id, &datagram));
    }

    pub fn tcp(&mut self, at: f64, from: &End, to: &End, flags: u8, seq: u32, payload: &[u8]) {
        self.id = self.id.wrapping_add(1);
        self.tcp_again(at, from, to, flags, seq, payload);
    }

    /// With the identification of the frame before: the same frame, captured again.
    pub fn tcp_again(&mut self, at: f64, from: &End, to: &End, flags: u8, seq: u32, payload: &[u8]) {
        let mut segment = Vec::new();
        segment.extend(from.port.to_be_bytes());
        segment.extend(to.port.to_be_bytes());
        segment.extend(seq.to_be_bytes());
        segment.extend(to.seq.to_be_bytes());
        segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        self.frame(at, &ipv4(from.ip, to.ip, 6, self.id, &segment));
    }

    /// Sends bytes in order.
    pub fn send(&mut self, at: f64, from: &mut End, to: &End, payload: &[u8]) {
        self.tcp(at, from, to, ACK, from.seq, payload);
        from.seq = from.seq.wrapping_add(payload.len() as u32);
    }

    pub fn connect(&mut self, at: f64, client: &mut End, server: &mut End) {
        self.tcp(at, client, server, SYN, client.seq, &[]);
        client.seq = client.seq.wrapping_add(1);
        self.tcp(at, server, client, SYN | ACK, server.seq, &[]);
        server.seq = server.seq.wrapping_add(1);
        self.tcp(at, client, server, ACK, client.seq, &[]);
    }

    pub fn decode(&self) -> Batch {
        decode(&self.bytes, self.bytes.len(), Layouts::default(), Vec::new())
    }
}

pub fn client() -> End {
    End { ip: CLIENT, port: 700, seq: 1_000 }
}

pub fn server() -> End {
    // Close to the wrap, so that every test crosses it.
    End { ip: SERVER, port: 32_803, seq: u32::MAX - 60 }
}

pub fn decode(bytes: &[u8], chunk: usize, layouts: Layouts, tables: Vec<Table>) -> Batch {
    let mut decoder = Decoder::new(layouts, tables, 0, Fold::default(), Select::default());
    for chunk in bytes.chunks(chunk.max(1)) {
        decoder.feed(chunk).expect("a capture");
    }
    decoder.close().expect("a capture").1
}

pub fn rows(batch: &Batch) -> Vec<ExchangeRow> {
    let all = &batch.exchanges;
    let mut rows: Vec<_> = (0..all.exchange.len())
        .map(|at| ExchangeRow {
            exchange: all.exchange[at],
            call_frame: all.call_frame[at],
            reply_frame: all.reply_frame[at],
            time: all.time[at],
            reply_time: all.reply_time[at],
            xid: all.xid[at],
            prog: all.prog[at],
            proc: all.proc[at],
            rpc_status: all.rpc_status[at],
            status: all.status[at],
            retransmits: all.retransmits[at],
            duplicates: all.duplicates[at],
            flags: all.flags[at],
            call_bytes: all.call_bytes[at],
            reply_bytes: all.reply_bytes[at],
            ..ExchangeRow::default()
        })
        .collect();
    rows.sort_by_key(|row| (row.call_frame.max(row.reply_frame), row.exchange));
    rows
}

/// Call frame, reply frame, resends and further replies of each exchange.
pub fn pairs(batch: &Batch) -> Vec<(u32, u32, u16, u16)> {
    let mut pairs: Vec<_> =
        rows(batch).iter().map(|row| (row.call_frame, row.reply_frame, row.retransmits, row.duplicates)).collect();
    pairs.sort_unstable();
    pairs
}

pub fn kinds(batch: &Batch) -> Vec<&'static str> {
    batch.oddities.iter().map(|oddity| oddity.kind).collect()
}
