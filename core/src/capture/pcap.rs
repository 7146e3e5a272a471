//! pcap: a header of 24 bytes, then records of a header and a frame, all in the byte order of the machine that wrote them
//! (draft-ietf-opsawg-pcap). The magic number gives byte order and unit of time. Alexey Kuznetzov's modified format adds
//! eight bytes (interface, protocol, packet type) to each record header; Nokia's adds four without saying so, and is told by
//! its first frame.

use super::{CapturedFrame, Fit, Format, Interface, MAX_FRAME, Step, word};
use crate::link;
use crate::oddity::Oddities;

pub const HEADER: usize = 24;

/// The part of a record header that all variants have.
const RECORD: usize = 16;

/// Frames next to each other in a file are nearer than this in time: that distinguishes a record header from other bytes.
const NEAR_SECONDS: u32 = 86_400;

const ETHERNET: u32 = 1;
const ETHERTYPE_ARP: u16 = 0x0806;

pub struct Pcap {
    pub interface: Interface,
    big_endian: bool,
    variant: &'static Variant,
    last_seconds: Option<u32>,
    /// Until the first frame decides it.
    may_be_nokia: bool,
}

struct Variant {
    name: &'static str,
    magic: u32,
    record_header: usize,
    /// Nanoseconds in a unit of the second half of a time stamp.
    unit: u32,
}

const PCAP: Variant = Variant { name: "pcap", magic: 0xa1b2_c3d4, record_header: RECORD, unit: 1_000 };
const NOKIA: Variant = Variant { name: "Nokia pcap", record_header: RECORD + 4, ..PCAP };
const VARIANTS: [Variant; 3] = [
    PCAP,
    Variant { name: "pcap (ns)", magic: 0xa1b2_3c4d, unit: 1, ..PCAP },
    Variant { name: "modified pcap", magic: 0xa1b2_cd34, record_header: RECORD + 8, ..PCAP },
];

#[derive(Clone, Copy)]
struct PcapRecord {
    seconds: u32,
    fraction: u32,
    captured: u32,
    wire: u32,
}

impl Pcap {
    pub fn new(header: &[u8; HEADER]) -> Option<Pcap> {
        let field = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let (big_endian, variant) = [false, true].into_iter().find_map(|big_endian| {
            let magic = word(field(0), big_endian);
            Some((big_endian, VARIANTS.iter().find(|variant| variant.magic == magic)?))
        })?;
        // The upper half of the link type is the length of the frame check sequence, which IP's own length cuts off.
        let link_type = word(field(20), big_endian) & 0xffff;
        let interface = Interface { link_type, snaplen: word(field(16), big_endian), ..Interface::default() };
        let may_be_nokia = link_type == ETHERNET && variant.name == PCAP.name;
        Some(Pcap { interface, big_endian, variant, last_seconds: None, may_be_nokia })
    }

    pub fn name(&self) -> &'static str {
        self.variant.name
    }

    #[inline(always)]
    fn record(&self, bytes: &[u8]) -> Option<PcapRecord> {
        let header = bytes.first_chunk::<RECORD>()?;
        let field = |at: usize| word([header[at], header[at + 1], header[at + 2], header[at + 3]], self.big_endian);
        Some(PcapRecord { seconds: field(0), fraction: field(4), captured: field(8), wire: field(12) })
    }

    /// The fraction of a second is one.
    fn is_fraction(&self, record: PcapRecord) -> bool {
        u64::from(record.fraction) * u64::from(self.variant.unit) < 1_000_000_000
    }

    /// The lengths can be those of a record.
    fn has_lengths(record: PcapRecord) -> bool {
        0 < record.captured && record.captured as usize <= MAX_FRAME && record.captured <= record.wire
    }

    /// Whether lengths alone tell the record at the front from other bytes: those of a frame that is whole, or as long as the
    /// interface lets it be, or with another record behind it.
    fn chains(&self, record: PcapRecord, bytes: &[u8]) -> Fit {
        let PcapRecord { captured, wire, .. } = record;
        if !Pcap::has_lengths(record) {
            return Fit::No;
        }
        if captured == wire || captured == self.interface.snaplen {
            return Fit::Yes;
        }
        let end = self.variant.record_header + captured as usize;
        match bytes.get(end..).and_then(|next| self.record(next)) {
            None => Fit::Need(end + RECORD),
            Some(next) if Pcap::has_lengths(next) => Fit::Yes,
            Some(_) => Fit::No,
        }
    }

    /// The step for a record with a fraction of a second or more that is no record, or needs more bytes to decide. Some writers
    /// put any number into the fraction, and clocks jump; both at once is a record only where its lengths can be those of one.
    #[cold]
    fn sloppy(&self, record: PcapRecord, bytes: &[u8], oddities: &mut Oddities) -> Option<Step<'static>> {
        if self.last_seconds.is_some_and(|last| !near(record.seconds, last)) {
            match self.chains(record, bytes) {
                Fit::Need(need) => return Some(Step::Need(need)),
                Fit::No => return Some(Step::Corrupt),
                Fit::Yes => {}
            }
        }
        if bytes.len() >= self.variant.record_header + record.captured as usize {
            oddities.push("capture-fraction", record.fraction.into());
        }
        None
    }

    /// Where the next record begins, if this one can be one.
    fn believable(&self, record: PcapRecord, before: Option<u32>) -> Option<usize> {
        let sizes = Pcap::has_lengths(record);
        let timely = self.is_fraction(record) && before.is_none_or(|before| near(record.seconds, before));
        (sizes && timely).then_some(self.variant.record_header + record.captured as usize)
    }
}

fn near(one: u32, other: u32) -> bool {
    one.abs_diff(other) < NEAR_SECONDS
}

/// The bytes that follow the part of a record header common to all variants are of Nokia's: four of the header, then a frame.
fn is_nokia(bytes: &[u8]) -> bool {
    let kind = |at: usize| bytes.get(at..at + 2).and_then(<[u8]>::first_chunk).copied().map(u16::from_be_bytes);
    let known = |at: usize| kind(at).is_some_and(|kind| kind == ETHERTYPE_ARP || link::is_read(kind));
    !known(12) && known(16)
}

impl Format for Pcap {
    #[inline(always)]
    fn next<'a>(&mut self, bytes: &'a [u8], oddities: &mut Oddities) -> Step<'a> {
        let Some(record) = self.record(bytes) else { return Step::Need(RECORD) };
        let captured = record.captured as usize;
        let is_fraction = self.is_fraction(record);
        if captured > MAX_FRAME {
            return Step::Corrupt;
        }
        if !is_fraction && let Some(step) = self.sloppy(record, bytes, oddities) {
            return step;
        }
        let used = self.variant.record_header + captured;
        let Some(data) = bytes.get(self.variant.record_header..used) else { return Step::Need(used) };
        if self.may_be_nokia {
            self.may_be_nokia = false;
            if is_nokia(data) {
                self.variant = &NOKIA;
                return Step::Skip { used: 0, numbers: 0 }; // to be read again
            }
        }
        if is_fraction {
            self.last_seconds = Some(record.seconds);
        }
        let time =
            i64::from(record.seconds) * 1_000_000_000 + i64::from(record.fraction) * i64::from(self.variant.unit);
        let wire_len = record.wire.max(record.captured);
        let frame =
            CapturedFrame { number: 0, time, interface: 0, link_type: self.interface.link_type, data, wire_len };
        Step::Frame { frame, used }
    }

    /// Two records in a row that can be, or one that ends with the file.
    fn fits(&self, bytes: &[u8], ended: bool) -> Fit {
        let Some(record) = self.record(bytes) else { return Fit::Need(RECORD) };
        let Some(end) = self.believable(record, self.last_seconds) else { return Fit::No };
        if ended && bytes.len() == end {
            return Fit::Yes;
        }
        let Some(next) = bytes.get(end..).and_then(|next| self.record(next)) else { return Fit::Need(end + RECORD) };
        if self.believable(next, Some(record.seconds)).is_some() { Fit::Yes } else { Fit::No }
    }
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn frames_next_to_each_other_are_of_one_day() {
        assert_eq!([0, 86_399, 86_400].map(|apart| near(1_000_000, 1_000_000 + apart)), [true, true, false]);
        assert_eq!([86_399, 86_400].map(|apart| near(1_000_000, 1_000_000 - apart)), [true, false]);
    }
}
