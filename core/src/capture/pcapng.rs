//! pcapng (draft-ietf-opsawg-pcapng): blocks of a type, a length and, at the end, the length again. A section header block
//! sets the byte order and forgets the interfaces of the section before; each interface description block adds one, with its
//! own link type and clock. Blocks that carry no frame and no loss are skipped unread. All that is read of a block lies
//! between its two lengths, so a block that contradicts itself inside costs only itself.

use super::{CapturedFrame, Fit, Format, Interface, MAX_FRAME, NO_TIME, Step, word};
use crate::oddity::Oddities;

pub const MAGIC: &[u8] = &[0x0a, 0x0d, 0x0d, 0x0a];

/// The longest block taken for real, as in Wireshark: a longer one is a corrupt length, and would be held in memory.
const MAX_BLOCK: usize = 16 << 20;

/// Interfaces of one file: what distinguishes loopbacks has 16 bits for them.
const MAX_INTERFACES: usize = 1 << 16;

/// Longer names are cut: Linux's have at most 15 bytes, those of Windows are a path of about 50.
const MAX_NAME: usize = 256;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Blocks without a frame that Wireshark gives a frame number: the journal of systemd and custom blocks.
const NUMBERED: [u32; 3] = [9, 0xbad, 0x4000_0bad];

/// Type and length; the length again.
const FRONT: usize = 8;
const BACK: usize = 4;
const SMALLEST_BLOCK: usize = FRONT + BACK;

const END_OF_OPTIONS: u16 = 0;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;

#[derive(Default)]
pub struct Pcapng {
    /// Of all sections, in the order of the file.
    pub interfaces: Vec<Interface>,
    clocks: Vec<Clock>,
    /// Index of the first interface of this section.
    section: usize,
    big_endian: bool,
}

/// What a unit of an interface's time stamps is, and where they begin.
#[derive(Clone, Copy)]
struct Clock {
    unit: Unit,
    /// Seconds to be added.
    offset: i64,
}

#[derive(Clone, Copy)]
enum Unit {
    /// So many nanoseconds.
    Nanoseconds(u64),
    /// So many make a nanosecond.
    OfNanosecond(u64),
    /// A second by two to this power.
    OfSecond(u32),
}

impl Clock {
    const DEFAULT: Clock = Clock { unit: Unit::Nanoseconds(1_000), offset: 0 };

    fn time(self, stamp: u64) -> Option<i64> {
        let time = match self.unit {
            Unit::Nanoseconds(count) => stamp.checked_mul(count)?,
            Unit::OfNanosecond(count) => stamp / count,
            Unit::OfSecond(power) => u64::try_from((u128::from(stamp) * 1_000_000_000) >> power).ok()?,
        };
        i64::try_from(time).ok()?.checked_add(self.offset.checked_mul(1_000_000_000)?)
    }
}

/// if_tsresol: a power of ten or, with the highest bit set, of two.
fn unit(resolution: u8) -> Unit {
    let power = u32::from(resolution & 0x7f);
    match (resolution & 0x80, power) {
        (0, 0..=9) => Unit::Nanoseconds(10_u64.pow(9 - power)),
        (0, _) => Unit::OfNanosecond(10_u64.saturating_pow(power - 9)),
        _ => Unit::OfSecond(power),
    }
}

/// A block's bytes between its lengths, in its section's byte order.
#[derive(Clone, Copy)]
struct Body<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Body<'a> {
    fn u16(self, at: usize) -> Option<u16> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    }

    fn u32(self, at: usize) -> Option<u32> {
        Some(word(*self.bytes.get(at..)?.first_chunk()?, self.big_endian))
    }

    fn u64(self, at: usize) -> Option<u64> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u64::from_be_bytes(field) } else { u64::from_le_bytes(field) })
    }

    /// Code and value of the options that begin here.
    fn options(self, mut at: usize) -> impl Iterator<Item = (u16, Body<'a>)> {
        std::iter::from_fn(move || {
            let code = self.u16(at).filter(|code| *code != END_OF_OPTIONS)?;
            let length = usize::from(self.u16(at + 2)?);
            let bytes = self.bytes.get(at + 4..at + 4 + length)?;
            at += 4 + length.next_multiple_of(4);
            Some((code, Body { bytes, ..self }))
        })
    }
}

impl Pcapng {
    /// Type and length of the block at the front, if it can be one: the lengths at both ends are yet to be compared.
    fn front(&self, bytes: &[u8]) -> Result<(u32, usize), Step<'static>> {
        let Some(fields) = bytes.first_chunk::<FRONT>() else { return Err(Step::Need(FRONT)) };
        let [t0, t1, t2, t3, l0, l1, l2, l3] = *fields;
        let length = word([l0, l1, l2, l3], self.big_endian) as usize;
        if length < SMALLEST_BLOCK || !length.is_multiple_of(4) || length > MAX_BLOCK {
            return Err(Step::Corrupt);
        }
        Ok((word([t0, t1, t2, t3], self.big_endian), length))
    }

    /// The body of the block of this length at the front.
    fn body<'a>(&self, bytes: &'a [u8], length: usize) -> Result<Body<'a>, Step<'static>> {
        let Some(block) = bytes.get(..length) else { return Err(Step::Need(length)) };
        let Some((front, back)) = block.split_last_chunk::<BACK>() else { return Err(Step::Corrupt) };
        if word(*back, self.big_endian) as usize != length {
            return Err(Step::Corrupt);
        }
        Ok(Body { bytes: front.get(FRONT..).unwrap_or_default(), big_endian: self.big_endian })
    }

    fn block<'a>(&mut self, bytes: &'a [u8], oddities: &mut Oddities) -> Result<Step<'a>, Step<'static>> {
        if bytes.starts_with(MAGIC) {
            self.big_endian = byte_order(bytes)?;
        }
        let (kind, length) = self.front(bytes)?;
        let skip = |numbers| Step::Skip { used: length, numbers };
        let read = match kind {
            ENHANCED_PACKET => self.packet(self.body(bytes, length)?, |body| body.u32(0), length, oddities),
            PACKET => self.packet(self.body(bytes, length)?, |body| body.u16(0).map(u32::from), length, oddities),
            SIMPLE_PACKET => self.simple_packet(self.body(bytes, length)?, length),
            INTERFACE => self.interface(self.body(bytes, length)?).map(|()| skip(0)),
            STATISTICS => self.statistics(self.body(bytes, length)?).map(|()| skip(0)),
            SECTION => {
                self.body(bytes, length)?;
                self.section = self.interfaces.len();
                Some(skip(0))
            }
            _ if is_registered(kind) => Some(skip(u32::from(NUMBERED.contains(&kind)))),
            // A packet, under a type that is damaged.
            _ => match self.packet(self.body(bytes, length)?, |body| body.u32(0), length, oddities) {
                Some(_) => None,
                None => Some(skip(0)),
            },
        };
        Ok(read.unwrap_or(Step::Malformed(length)))
    }

    fn interface(&mut self, body: Body<'_>) -> Option<()> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return None;
        }
        let mut interface = Interface { link_type: body.u16(0)?.into(), snaplen: body.u32(4)?, ..Interface::default() };
        let mut clock = Clock::DEFAULT;
        for (code, value) in body.options(8) {
            match code {
                IF_NAME => interface.name = text(value.bytes),
                IF_TSRESOL => clock.unit = value.bytes.first().map_or(clock.unit, |resolution| unit(*resolution)),
                IF_TSOFFSET => clock.offset = value.u64(0).map_or(clock.offset, u64::cast_signed),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        self.clocks.push(clock);
        Some(())
    }

    /// Counters from the beginning of the capture: the last statistics of an interface count.
    fn statistics(&mut self, body: Body<'_>) -> Option<()> {
        let interface = self.interfaces.get_mut(self.section + body.u32(0)? as usize)?;
        let drops = body.options(12).filter(|(code, _)| matches!(*code, ISB_IFDROP | ISB_OSDROP));
        interface.drops = drops.filter_map(|(_, value)| value.u64(0)).fold(0, u64::saturating_add);
        Some(())
    }

    /// An enhanced packet block or one of its obsolete forerunners, which differ in how they name the interface.
    fn packet<'a>(
        &self,
        body: Body<'a>,
        interface: impl Fn(Body<'a>) -> Option<u32>,
        used: usize,
        oddities: &mut Oddities,
    ) -> Option<Step<'a>> {
        let index = self.section + interface(body)? as usize;
        let link_type = self.interfaces.get(index)?.link_type;
        let stamp = u64::from(body.u32(4)?) << 32 | u64::from(body.u32(8)?);
        let captured = body.u32(12)?;
        let wire_len = body.u32(16)?.max(captured);
        let data = body.bytes.get(20..)?.get(..captured as usize).filter(|data| data.len() <= MAX_FRAME)?;
        let time = self.clocks.get(index)?.time(stamp).unwrap_or_else(|| {
            oddities.push("capture-time", stamp);
            NO_TIME
        });
        Some(Step::Frame {
            frame: CapturedFrame { number: 0, time, interface: index as u32, link_type, data, wire_len },
            used,
        })
    }

    /// A frame of the section's first interface. How much of it was captured is to be known from the interface's snaplen.
    fn simple_packet<'a>(&self, body: Body<'a>, used: usize) -> Option<Step<'a>> {
        let interface = self.interfaces.get(self.section)?;
        let wire_len = body.u32(0)?;
        let snaplen = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        let captured = wire_len.min(snaplen) as usize;
        let data = body.bytes.get(4..)?.get(..captured).filter(|data| data.len() <= MAX_FRAME)?;
        let (index, link_type) = (self.section as u32, interface.link_type);
        Some(Step::Frame {
            frame: CapturedFrame { number: 0, time: NO_TIME, interface: index, link_type, data, wire_len },
            used,
        })
    }
}

/// Whether blocks of this type, which hold no packets, are known (draft-ietf-opsawg-pcapng section 10.1), or anybody's own.
fn is_registered(kind: u32) -> bool {
    const LOCAL_USE: u32 = 0x8000_0000;
    NUMBERED.contains(&kind) || matches!(kind, 0 | 4 | 0xa | 0x101..=0x10c | 0x200..=0x224) || kind >= LOCAL_USE
}

/// Whether the section that begins here is big-endian.
fn byte_order(bytes: &[u8]) -> Result<bool, Step<'static>> {
    match bytes.get(8..12) {
        None => Err(Step::Need(12)),
        Some([0x1a, 0x2b, 0x3c, 0x4d]) => Ok(true),
        Some([0x4d, 0x3c, 0x2b, 0x1a]) => Ok(false),
        Some(_) => Err(Step::Corrupt),
    }
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_NAME).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

impl Format for Pcapng {
    fn next<'a>(&mut self, bytes: &'a [u8], oddities: &mut Oddities) -> Step<'a> {
        self.block(bytes, oddities).unwrap_or_else(|step| step)
    }

    /// A block of a known type whose two lengths agree.
    fn fits(&self, bytes: &[u8], _: bool) -> Fit {
        let Some(start) = bytes.get(..4) else { return Fit::Need(4) };
        let big_endian = if start == MAGIC { byte_order(bytes) } else { Ok(self.big_endian) };
        let whole = big_endian.and_then(|big_endian| {
            let section = Pcapng { big_endian, ..Pcapng::default() };
            let (kind, length) = section.front(bytes)?;
            if kind != SECTION && !(INTERFACE..=ENHANCED_PACKET).contains(&kind) {
                return Err(Step::Corrupt);
            }
            section.body(bytes, length)
        });
        match whole {
            Ok(_) => Fit::Yes,
            Err(Step::Need(need)) => Fit::Need(need),
            Err(_) => Fit::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_so_long_at_most() {
        let length = |length: u32| {
            let front = [&PACKET.to_le_bytes()[..], &length.to_le_bytes(), &[0; 4]].concat();
            Pcapng::default().front(&front).ok().map(|(_, length)| length)
        };
        assert_eq!([0, 8, 12, 14].map(length), [None, None, Some(12), None]);
        assert_eq!([16 << 20, (16 << 20) + 4].map(length), [Some(16 << 20), None]);
    }
}
