//! Container formats to frames: pcap, pcapng and snoop, recognised by content.
//!
//! A format is a `Format`: shown the bytes at the front of what is left of a file, it says what they are, or how many it
//! needs to tell. The answer never depends on bytes beyond those, so any chunking of a file gives the same frames. One
//! driver, `walk`, runs every format over the caller's bytes in place; only a unit that straddles two chunks is copied, into
//! `Pending`. Where a file makes no sense, the driver looks for the next place that does and goes on from there.

mod pcap;
mod pcapng;
mod snoop;

use crate::oddity::Oddities;
use pcap::Pcap;
use pcapng::Pcapng;
use snoop::Snoop;

/// The time of a frame that has none: pcapng's simple packet blocks.
pub const NO_TIME: i64 = i64::MIN;

/// The longest frame taken for real. tcpdump writes at most 256 KiB of a frame (`MAXIMUM_SNAPLEN`), Linux joins segments to
/// at most 512 KiB (`GRO_MAX_SIZE`); a longer one is a corrupt length, and would be held in memory.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes looked at to say what a file is that is no capture: as many as the longest signature needs.
const SIGNATURE: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedFrame<'a> {
    /// From 1, over the whole file, as in Wireshark.
    pub number: u32,
    /// Nanoseconds since the epoch, or `NO_TIME`.
    pub time: i64,
    /// Index into `Reader::interfaces`: running over all sections of the file.
    pub interface: u32,
    /// As registered for pcap (LINKTYPE_ETHERNET is 1), whatever the container.
    pub link_type: u32,
    pub data: &'a [u8],
    /// Length on the wire, at least that of `data`.
    pub wire_len: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    pub link_type: u32,
    pub name: String,
    /// 0: no limit was stated.
    pub snaplen: u32,
    /// Frames lost in capturing, by the capture's own count.
    pub drops: u64,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Complete,
    /// Within a record, or in bytes that are none. `frame`: the number the frame in it would have had.
    Cut {
        frame: u32,
    },
    /// No byte at all.
    Empty,
    /// Before the end of the header of the file.
    CutHeader,
}

/// Where frames go. A type of its own can be compiled into the loop over records, which a closure is not.
pub trait Frames {
    /// Returns whether the next one is to come at once.
    fn take(&mut self, frame: CapturedFrame<'_>, oddities: &mut Oddities) -> bool;
}

impl<F: FnMut(CapturedFrame<'_>, &mut Oddities)> Frames for F {
    fn take(&mut self, frame: CapturedFrame<'_>, oddities: &mut Oddities) -> bool {
        self(frame, oddities);
        true
    }
}

/// Why a file is no capture that can be read, as a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotACapture(pub String);

/// What the bytes at the front are.
enum Step<'a> {
    /// Undecided with fewer than this many bytes.
    Need(usize),
    /// Nothing to hand out in so many bytes, which need not all be there yet, but as many frame numbers taken.
    Skip { used: usize, numbers: u32 },
    /// A frame (its number is the driver's) in a record of `used` bytes.
    Frame { frame: CapturedFrame<'a>, used: usize },
    /// A record of so many bytes that contradicts itself inside.
    Malformed(usize),
    /// No record of this format.
    Corrupt,
}

/// Whether reading may resume at the bytes at the front after a corrupt record.
enum Fit {
    Yes,
    No,
    Need(usize),
}

trait Format {
    fn next<'a>(&mut self, bytes: &'a [u8], oddities: &mut Oddities) -> Step<'a>;
    /// `ended`: the file has no bytes beyond these.
    fn fits(&self, bytes: &[u8], ended: bool) -> Fit;
}

enum Stage {
    Telling,
    Pcap(Pcap),
    Pcapng(Pcapng),
    Snoop(Snoop),
}

/// Where the driver stands.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// In the file: of the first byte not used up.
    offset: u64,
    frames: u32,
    /// Bytes needed at `offset`.
    need: usize,
    /// Bytes to be skipped that are yet to come.
    skip: usize,
    /// Looking for the next record after a corrupt one.
    lost: bool,
    /// The file has no more bytes.
    ended: bool,
    /// The next frame is not to come at once, though it may be there.
    stopped: bool,
}

/// The front of what is left, while it is shorter than what is needed.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    start: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Moves what is left only when it is the smaller half: many small steps through a large buffer stay linear.
    fn consume(&mut self, used: usize) {
        self.start += used;
        if self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

/// Reads one file, chunk by chunk.
pub struct Reader {
    stage: Stage,
    progress: Progress,
    pending: Pending,
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new()
    }
}

impl Reader {
    pub fn new() -> Reader {
        Reader { stage: Stage::Telling, progress: Progress::default(), pending: Pending::default() }
    }

    /// Hands out every frame that is complete with these bytes; without bytes the file has ended, and what is still found
    /// behind a corrupt record is handed out: bytes that looked like a record too long to be there whole were none. The frame
    /// and time of `oddities.place` are those of the frame handed out; oddities of the file itself have the number of the frame
    /// expected next. Where `sink` stops, returns how many bytes were used until then.
    pub fn read(
        &mut self,
        data: Option<&[u8]>,
        sink: &mut impl Frames,
        oddities: &mut Oddities,
    ) -> Result<Option<usize>, NotACapture> {
        let mut stopped = std::mem::take(&mut self.progress.stopped);
        let Some(all) = data else {
            self.progress.ended = true;
            let mut again = stopped || self.progress.lost;
            while again {
                self.step_pending(sink, oddities)?;
                again = std::mem::take(&mut self.progress.stopped);
            }
            return Ok(None);
        };
        let mut data = all;
        while (stopped || !data.is_empty()) && !self.progress.stopped {
            if std::mem::take(&mut stopped) && !self.pending.rest().is_empty() {
                self.step_pending(sink, oddities)?;
            } else if self.progress.skip > 0 {
                let skipped = self.progress.skip.min(data.len());
                self.progress.skip -= skipped;
                self.progress.offset += skipped as u64;
                data = data.get(skipped..).unwrap_or_default();
            } else if self.pending.rest().is_empty() {
                let used = self.step(data, sink, oddities)?;
                data = data.get(used..).unwrap_or_default();
                if self.progress.skip == 0 && !self.progress.stopped {
                    self.pending.bytes.extend_from_slice(data);
                    data = &[];
                }
            } else {
                let lacking = self.progress.need.saturating_sub(self.pending.rest().len());
                let (now, later) = data.split_at(lacking.min(data.len()));
                self.pending.bytes.extend_from_slice(now);
                data = later;
                if now.len() == lacking {
                    self.step_pending(sink, oddities)?;
                }
            }
        }
        Ok(self.progress.stopped.then_some(all.len() - data.len()))
    }

    fn step_pending(&mut self, sink: &mut impl Frames, oddities: &mut Oddities) -> Result<(), NotACapture> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.consume(self.step(pending.rest(), sink, oddities)?);
        self.pending = pending;
        Ok(())
    }

    /// How the file has ended, after it was read.
    pub fn finish(&mut self) -> Result<Ending, NotACapture> {
        let Progress { offset, frames, skip, lost, .. } = self.progress;
        let held = self.pending.rest();
        if held.is_empty() && skip == 0 && !lost {
            return Ok(if offset == 0 { Ending::Empty } else { Ending::Complete });
        }
        if offset == 0 {
            return if may_be_capture(held) { Ok(Ending::CutHeader) } else { Err(refusal(held)) };
        }
        Ok(Ending::Cut { frame: frames.saturating_add(1) })
    }

    pub fn interfaces(&self) -> &[Interface] {
        match &self.stage {
            Stage::Telling => &[],
            Stage::Pcap(pcap) => std::slice::from_ref(&pcap.interface),
            Stage::Pcapng(pcapng) => &pcapng.interfaces,
            Stage::Snoop(snoop) => std::slice::from_ref(&snoop.interface),
        }
    }

    pub fn format(&self) -> &'static str {
        match &self.stage {
            Stage::Telling => "unknown",
            Stage::Pcap(pcap) => pcap.name(),
            Stage::Pcapng(_) => "pcapng",
            Stage::Snoop(_) => "snoop",
        }
    }

    /// Runs the format over `bytes`; how many were used up. What is left is less than `progress.need`.
    fn step(&mut self, bytes: &[u8], sink: &mut impl Frames, oddities: &mut Oddities) -> Result<usize, NotACapture> {
        let progress = &mut self.progress;
        match &mut self.stage {
            Stage::Telling => match tell(bytes)? {
                Told::Need(need) => {
                    progress.need = need;
                    Ok(0)
                }
                Told::Format(stage, header) => {
                    self.stage = stage;
                    progress.offset += header as u64;
                    Ok(header + self.step(bytes.get(header..).unwrap_or_default(), sink, oddities)?)
                }
            },
            Stage::Pcap(pcap) => Ok(walk(pcap, progress, bytes, sink, oddities)),
            Stage::Pcapng(pcapng) => Ok(walk(pcapng, progress, bytes, sink, oddities)),
            Stage::Snoop(snoop) => Ok(walk(snoop, progress, bytes, sink, oddities)),
        }
    }
}

fn walk(
    format: &mut impl Format,
    progress: &mut Progress,
    bytes: &[u8],
    sink: &mut impl Frames,
    oddities: &mut Oddities,
) -> usize {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        if progress.lost {
            let (skipped, fit) = scan(format, rest, progress.ended);
            at += skipped;
            match fit {
                Fit::Need(need) => {
                    progress.need = need;
                    break;
                }
                Fit::Yes | Fit::No => progress.lost = false,
            }
            continue;
        }
        oddities.place.frame = progress.frames.saturating_add(1);
        match format.next(rest, oddities) {
            Step::Frame { frame, used } => {
                at += used;
                progress.frames = oddities.place.frame;
                oddities.place.time = frame.time;
                if !sink.take(CapturedFrame { number: progress.frames, ..frame }, oddities) {
                    progress.stopped = true;
                    break;
                }
            }
            Step::Need(need) => {
                progress.need = need;
                break;
            }
            Step::Skip { used, numbers } => {
                progress.frames = progress.frames.saturating_add(numbers);
                at += used.min(rest.len());
                progress.skip = used.saturating_sub(rest.len());
                if progress.skip > 0 {
                    break;
                }
            }
            Step::Malformed(used) => {
                oddities.unreadable = oddities.unreadable.wrapping_add(1);
                oddities.push("capture-record", progress.offset + at as u64);
                at += used;
            }
            Step::Corrupt => {
                oddities.unreadable = oddities.unreadable.wrapping_add(1);
                oddities.push("capture-record", progress.offset + at as u64);
                progress.lost = true;
                at += 1;
            }
        }
    }
    progress.offset += at as u64;
    at
}

/// The next place where reading may resume, or where more bytes are needed to decide.
fn scan(format: &impl Format, bytes: &[u8], ended: bool) -> (usize, Fit) {
    for at in 0..bytes.len() {
        match format.fits(bytes.get(at..).unwrap_or_default(), ended) {
            Fit::No => {}
            Fit::Need(_) if ended => {}
            fit => return (at, fit),
        }
    }
    (bytes.len(), Fit::Need(1))
}

enum Told {
    Need(usize),
    /// With the length of the header of the file.
    Format(Stage, usize),
}

/// The first bytes of the formats that are read, by their name.
const MAGICS: [&[u8]; 8] = [
    &[0xa1, 0xb2, 0xc3, 0xd4],
    &[0xd4, 0xc3, 0xb2, 0xa1],
    &[0xa1, 0xb2, 0x3c, 0x4d],
    &[0x4d, 0x3c, 0xb2, 0xa1],
    &[0xa1, 0xb2, 0xcd, 0x34],
    &[0x34, 0xcd, 0xb2, 0xa1],
    pcapng::MAGIC,
    snoop::MAGIC,
];

fn may_be_capture(bytes: &[u8]) -> bool {
    MAGICS.iter().any(|magic| magic.iter().zip(bytes).all(|(magic, byte)| magic == byte))
}

fn tell(bytes: &[u8]) -> Result<Told, NotACapture> {
    if !may_be_capture(bytes) {
        return if bytes.len() < SIGNATURE { Ok(Told::Need(SIGNATURE)) } else { Err(refusal(bytes)) };
    }
    if bytes.len() < snoop::MAGIC.len() {
        return Ok(Told::Need(snoop::MAGIC.len()));
    }
    if bytes.starts_with(pcapng::MAGIC) {
        return Ok(Told::Format(Stage::Pcapng(Pcapng::default()), 0));
    }
    if bytes.starts_with(snoop::MAGIC) {
        let Some(header) = bytes.first_chunk() else { return Ok(Told::Need(snoop::HEADER)) };
        return Ok(Told::Format(Stage::Snoop(Snoop::new(header)?), snoop::HEADER));
    }
    let Some(header) = bytes.first_chunk() else { return Ok(Told::Need(pcap::HEADER)) };
    match Pcap::new(header) {
        Some(pcap) => Ok(Told::Format(Stage::Pcap(pcap), pcap::HEADER)),
        None => Err(refusal(bytes)),
    }
}

/// Captures that are recognised but not read: offset and bytes of a signature, and whose format it is.
const FOREIGN: [(usize, &[u8], &str); 14] = [
    (0, b"RTSS", "a Microsoft Network Monitor"),
    (0, b"GMBU", "a Microsoft Network Monitor"),
    (0, b"TRSNIFF data", "a Network General Sniffer (DOS)"),
    (0, b"XCP\0", "a Network General Sniffer (Windows) or NetXRay"),
    (6, b"Trace Display Trace File", "a Novell LANalyzer"),
    (0, b"\x05VNF", "a Visual Networks"),
    (0, b"TR\0d\0", "an HP-UX nettl"),
    (0, b"\0\0\0\x01\0\0\0\0\0\x07\xd0\0", "an HP-UX nettl"),
    (0, b"iptrace ", "an AIX iptrace"),
    (0, b"\x7fver", "an OmniPeek"),
    (0, b"ObserverPktBuffe", "a Network Instruments Observer"),
    (0, &[0x1c, 0, 1, 0xac], "an Ixia"),
    (0, &[0xac, 1, 0, 0x1c], "an Ixia"),
    (0, b"btsnoop\0", "a BTSnoop (Bluetooth)"),
];

/// Files that captures may be in: signature, what it is, and how to get them out.
const PACKED: [(&[u8], &str, &str); 7] = [
    (b"PK\x03\x04", "a zip archive", "unzip -p FILE | nfsrpc analyze -"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so FILE | nfsrpc analyze -"),
    (b"\x1f\x8b", "compressed twice", "zcat FILE | nfsrpc analyze -"),
    (b"\xfd7zXZ\0", "compressed twice", "xzcat FILE | nfsrpc analyze -"),
    (b"\x28\xb5\x2f\xfd", "compressed twice", "zstdcat FILE | nfsrpc analyze -"),
    (b"BZh", "compressed twice", "bzcat FILE | nfsrpc analyze -"),
    (b"\x04\x22\x4d\x18", "compressed twice", "lz4cat FILE | nfsrpc analyze -"),
];

/// Whether these may be the first bytes of a file of ERF (Endace), which has no signature: a record of it has a time
/// after the year 2000 with the seconds behind the fraction, a type, and a length that has room for its header.
fn may_be_erf(bytes: &[u8]) -> bool {
    const YEAR_2000: u32 = 946_684_800;
    const TYPES: std::ops::RangeInclusive<u8> = 1..=48;
    const HEADER: u16 = 16;
    let Some(header) = bytes.first_chunk::<16>() else { return false };
    let seconds = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let [record, wire] = [[header[10], header[11]], [header[14], header[15]]].map(u16::from_be_bytes);
    seconds > YEAR_2000 && TYPES.contains(&(header[8] & 0x7f)) && record > HEADER && wire > 0
}

fn refusal(bytes: &[u8]) -> NotACapture {
    let start = bytes.get(..SIGNATURE).unwrap_or(bytes);
    let foreign =
        FOREIGN.iter().find(|(at, signature, _)| start.get(*at..).is_some_and(|rest| rest.starts_with(signature)));
    if let Some((_, _, whose)) = foreign {
        return NotACapture(format!("this is {whose} capture; convert it with: editcap -F pcap IN OUT"));
    }
    if let Some((_, what, how)) = PACKED.iter().find(|(signature, ..)| start.starts_with(signature)) {
        return NotACapture(format!("this is {what}; unpack it: {how}"));
    }
    if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return NotACapture("this is text, not a capture".into());
    }
    if may_be_erf(start) {
        return NotACapture("this may be an ERF (Endace) capture; convert it with: editcap -F pcap IN OUT".into());
    }
    let hex: Vec<String> = start.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    NotACapture(format!("not a capture: no known format begins with the bytes {}", hex.join(" ")))
}

fn word(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
