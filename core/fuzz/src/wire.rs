//! Captures built from packets: pcap of raw IP, as the decoder's input.

use std::net::Ipv4Addr;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

const LINKTYPE_RAW: u32 = 101;

/// One end of a flow.
#[derive(Clone, Copy)]
pub struct End {
    pub ip: Ipv4Addr,
    pub port: u16,
}

pub struct Capture {
    pub bytes: Vec<u8>,
    /// Of the next frame, in microseconds.
    pub time: u64,
    pub id: u16,
    latest: Option<Vec<u8>>,
}

impl Default for Capture {
    fn default() -> Capture {
        let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x4_0000, LINKTYPE_RAW];
        let bytes = header.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        Capture { bytes, time: 1_000_000, id: 0, latest: None }
    }
}

impl Capture {
    /// The next file of a ring.
    pub fn next(&self) -> Capture {
        Capture { time: self.time, id: self.id, ..Capture::default() }
    }

    /// A frame of which so many bytes at the end were not captured.
    pub fn frame(&mut self, packet: &[u8], cut: usize) {
        let captured = &packet[..packet.len().saturating_sub(cut)];
        let (seconds, micros) = ((self.time / 1_000_000) as u32, (self.time % 1_000_000) as u32);
        for word in [seconds, micros, captured.len() as u32, packet.len() as u32] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(captured);
        self.latest = Some(packet.to_vec());
    }

    /// The latest frame once more, as a second interface sees it.
    pub fn again(&mut self) {
        if let Some(latest) = self.latest.clone() {
            self.frame(&latest, 0);
        }
    }

    pub fn tcp(&mut self, from: End, to: End, flags: u8, (seq, ack): (u32, u32), payload: &[u8], cut: usize) {
        let ports = [from.port.to_be_bytes(), to.port.to_be_bytes()].concat();
        let numbers = [seq.to_be_bytes(), ack.to_be_bytes()].concat();
        let segment = [&ports, &numbers, [0x50, flags, 0xff, 0xff, 0, 0, 0, 0].as_slice(), payload].concat();
        self.packet(from.ip, to.ip, TCP, &segment, cut);
    }

    pub fn udp(&mut self, from: End, to: End, payload: &[u8], cut: usize) {
        let length = (payload.len() as u16).wrapping_add(8);
        let header = [from.port, to.port, length, 0].map(u16::to_be_bytes).concat();
        self.packet(from.ip, to.ip, UDP, &[&header, payload].concat(), cut);
    }

    /// Port unreachable, about a packet from `from` to `to`.
    pub fn unreachable(&mut self, from: End, to: End, protocol: u8) {
        let quoted = ip(from.ip, to.ip, protocol, 0, 0, &[from.port, to.port, 8, 0].map(u16::to_be_bytes).concat());
        self.packet(to.ip, from.ip, ICMP, &[&[3, 3, 0, 0, 0, 0, 0, 0], quoted.as_slice()].concat(), 0);
    }

    fn packet(&mut self, src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, payload: &[u8], cut: usize) {
        self.id = self.id.wrapping_add(1);
        let packet = ip(src, dst, protocol, self.id, 0, payload);
        self.frame(&packet, cut);
    }

    /// The latest datagram, in fragments of so many times eight bytes, beginning with any of them.
    pub fn in_fragments(&mut self, units: usize, first: usize) {
        let Some(latest) = self.latest.clone() else { return };
        let (header, payload) = latest.split_at(20.min(latest.len()));
        let [.., protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header else { return };
        let (src, dst) = (Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3));
        let size = 8 * units.max(1);
        let pieces = payload.len().div_ceil(size);
        self.id = self.id.wrapping_add(1);
        for at in (0..pieces).map(|at| (at + first) % pieces) {
            let piece = &payload[at * size..payload.len().min((at + 1) * size)];
            let more = if at + 1 < pieces { 0x2000 } else { 0 };
            let offset = (at * size / 8) as u16 & 0x1fff;
            self.frame(&ip(src, dst, protocol, self.id, more | offset, piece), 0);
        }
    }
}

fn ip(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).wrapping_add(20);
    let [l0, l1, i0, i1, f0, f1] = *[length, id, fragment].map(u16::to_be_bytes).as_flattened() else {
        return Vec::new();
    };
    [&[0x45, 0, l0, l1, i0, i1, f0, f1, 64, protocol, 0, 0], &src.octets()[..], &dst.octets(), payload].concat()
}
