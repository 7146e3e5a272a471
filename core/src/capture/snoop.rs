//! snoop (RFC 1761): a header of 16 bytes, then records of a header, a frame and padding, all big-endian.

use super::{CapturedFrame, Fit, Format, Interface, MAX_FRAME, NotACapture, Step};
use crate::oddity::Oddities;

pub const MAGIC: &[u8] = b"snoop\0\0\0";
pub const HEADER: usize = 16;
const RECORD: usize = 24;

/// Version 2 is RFC 1761; 3 to 5 are of Shomiti's Surveyor, which differs in what the padding holds.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=5;

/// Padding taken for real: to a multiple of four bytes, or one of Surveyor's trailers.
const MAX_PADDING: usize = 64;

/// Data link types (RFC 1761, dlpi.h, Surveyor) and those of pcap.
const LINK_TYPES: [(u32, u32); 7] = [(0, 1), (4, 1), (9, 0), (10, 1), (12, 1), (14, 0), (26, 242)];

pub struct Snoop {
    pub interface: Interface,
}

struct SnoopRecord {
    wire: u32,
    captured: usize,
    length: usize,
    drops: u32,
    seconds: u32,
    microseconds: u32,
}

impl Snoop {
    pub fn new(header: &[u8; HEADER]) -> Result<Snoop, NotACapture> {
        let [.., v0, v1, v2, v3, l0, l1, l2, l3] = *header;
        let (version, data_link) = (u32::from_be_bytes([v0, v1, v2, v3]), u32::from_be_bytes([l0, l1, l2, l3]));
        if !VERSIONS.contains(&version) {
            return Err(NotACapture(format!("this is a snoop capture of version {version}, which is not known")));
        }
        match LINK_TYPES.iter().find(|(known, _)| *known == data_link) {
            Some((_, link_type)) => {
                Ok(Snoop { interface: Interface { link_type: *link_type, ..Interface::default() } })
            }
            None => {
                Err(NotACapture(format!("this is a snoop capture of data link type {data_link}, which is not known")))
            }
        }
    }
}

fn record(bytes: &[u8]) -> Option<SnoopRecord> {
    let header = bytes.first_chunk::<RECORD>()?;
    let field = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some(SnoopRecord {
        wire: field(0),
        captured: field(4) as usize,
        length: field(8) as usize,
        drops: field(12),
        seconds: field(16),
        microseconds: field(20),
    })
}

impl SnoopRecord {
    fn consistent(&self) -> bool {
        let framed = RECORD.saturating_add(self.captured);
        self.captured <= MAX_FRAME && (framed..=framed + MAX_PADDING).contains(&self.length)
    }
}

impl Format for Snoop {
    fn next<'a>(&mut self, bytes: &'a [u8], oddities: &mut Oddities) -> Step<'a> {
        let Some(record) = record(bytes) else { return Step::Need(RECORD) };
        if !record.consistent() {
            return Step::Corrupt;
        }
        let Some(whole) = bytes.get(..record.length) else { return Step::Need(record.length) };
        let data = whole.get(RECORD..RECORD + record.captured).unwrap_or_default();
        self.interface.drops = record.drops.into();
        if record.microseconds >= 1_000_000 {
            oddities.push("capture-fraction", record.microseconds.into());
        }
        let time = i64::from(record.seconds) * 1_000_000_000 + i64::from(record.microseconds) * 1_000;
        let wire_len = record.wire.max(data.len() as u32);
        let frame =
            CapturedFrame { number: 0, time, interface: 0, link_type: self.interface.link_type, data, wire_len };
        Step::Frame { frame, used: record.length }
    }

    /// Two consistent records in a row, or one that ends with the file.
    fn fits(&self, bytes: &[u8], ended: bool) -> Fit {
        let holds = |record: &SnoopRecord| record.consistent() && record.microseconds < 1_000_000;
        let Some(first) = record(bytes) else { return Fit::Need(RECORD) };
        if !holds(&first) {
            return Fit::No;
        }
        match bytes.get(first.length..).and_then(record) {
            None if ended && bytes.len() == first.length => Fit::Yes,
            None => Fit::Need(first.length + RECORD),
            Some(second) if holds(&second) => Fit::Yes,
            Some(_) => Fit::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_consistent(captured: usize, length: usize) -> bool {
        SnoopRecord { wire: 0, captured, length, drops: 0, seconds: 0, microseconds: 0 }.consistent()
    }

    #[test]
    fn a_record_holds_its_frame_and_little_more() {
        assert_eq!([123, 124, 188, 189].map(|length| is_consistent(100, length)), [false, true, true, false]);
        let longest = 1 << 20;
        assert!(is_consistent(longest, longest + 24) && !is_consistent(longest + 1, longest + 25));
    }
}
