//! pcap: a header of 24 bytes, then records of a header and a frame, all in the byte order of the machine that wrote them
//! (draft-ietf-opsawg-pcap). The magic number tells byte order and unit of time. Alexey Kuznetzov's modified format adds
//! eight bytes (interface, protocol, packet type) to each record header.

use super::{Fit, Format, Frame, Interface, MAX_FRAME, Step};
use crate::oddity::Oddities;

pub const HEADER: usize = 24;

/// Records of one file lie within this of each other, for one to be believed after a corrupt one.
const RESUME_SECONDS: u32 = 86_400;

pub struct Pcap {
    pub interface: Interface,
    pub name: &'static str,
    big_endian: bool,
    record_header: usize,
    /// Nanoseconds in a unit of the second half of a time stamp.
    unit: i64,
    last_seconds: Option<u32>,
}

/// Magic number, record header, nanoseconds a unit, name.
const VARIANTS: [(u32, usize, i64, &str); 3] =
    [(0xa1b2_c3d4, 16, 1_000, "pcap"), (0xa1b2_3c4d, 16, 1, "pcap (ns)"), (0xa1b2_cd34, 24, 1_000, "modified pcap")];

#[derive(Clone, Copy)]
struct Header {
    seconds: u32,
    fraction: u32,
    captured: u32,
    wire: u32,
}

impl Pcap {
    pub fn tell(bytes: &[u8]) -> Option<Pcap> {
        let magic = *bytes.first_chunk::<4>()?;
        let (big_endian, &(_, record_header, unit, name)) = [true, false].into_iter().find_map(|big_endian| {
            let magic = word(magic, big_endian);
            VARIANTS.iter().find(|variant| variant.0 == magic).map(|variant| (big_endian, variant))
        })?;
        let field = |at: usize| bytes.get(at..)?.first_chunk::<4>().map(|field| word(*field, big_endian));
        // The upper half of the link type tells the length of the frame check sequence, which IP's own length cuts off.
        let interface = Interface { link_type: field(20)? & 0xffff, snaplen: field(16)?, ..Interface::default() };
        Some(Pcap { interface, name, big_endian, record_header, unit, last_seconds: None })
    }

    fn header(&self, bytes: &[u8]) -> Option<Header> {
        let fields = bytes.first_chunk::<16>()?;
        let field = |at: usize| word([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]], self.big_endian);
        Some(Header { seconds: field(0), fraction: field(4), captured: field(8), wire: field(12) })
    }
}

impl Format for Pcap {
    fn next<'a>(&mut self, bytes: &'a [u8], _: &mut Oddities) -> Step<'a> {
        let Some(header) = self.header(bytes) else { return Step::Need(self.record_header) };
        let captured = header.captured as usize;
        if captured > MAX_FRAME {
            return Step::Corrupt;
        }
        let used = self.record_header + captured;
        let Some(data) = bytes.get(self.record_header..used) else { return Step::Need(used) };
        self.last_seconds = Some(header.seconds);
        let time = i64::from(header.seconds) * 1_000_000_000 + i64::from(header.fraction) * self.unit;
        let wire_len = header.wire.max(header.captured);
        let frame = Frame { number: 0, time, interface: 0, link_type: self.interface.link_type, data, wire_len };
        Step::Frame { frame, used }
    }

    fn fits(&self, _: &[u8]) -> Fit {
        let _ = RESUME_SECONDS;
        Fit::No
    }
}

fn word(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
