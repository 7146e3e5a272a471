//! Container formats to frames: pcap, pcapng and snoop, told by content.
//!
//! A format is a `Format`: shown the bytes at the front of what is left of a file, it says what they are, or how many it
//! needs to tell. The answer never depends on bytes beyond those, so any chunking of a file gives the same frames. One
//! driver, `walk`, runs every format over the caller's bytes in place; only a unit that straddles two chunks is copied, into
//! `pending`. Where a file makes no sense, the driver looks for the next place that does and goes on from there.

mod pcap;

use crate::oddity::Oddities;
use pcap::Pcap;

/// The time of a frame that has none: pcapng's simple packet blocks.
pub const NO_TIME: i64 = i64::MIN;

/// The longest frame taken for real. tcpdump writes at most 256 KiB of a frame (`MAXIMUM_SNAPLEN`), Linux joins segments to
/// at most 512 KiB (`GRO_MAX_SIZE`); a longer one is a corrupt length, and would be held in memory.
pub const MAX_FRAME: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// From 1, over the whole file.
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
    /// Frames that the capture itself says it lost.
    pub drops: u64,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Complete,
    /// Within a record: the frame it held or stood before, and how many bytes are missing at least (0: it ends in bytes that
    /// are no record).
    Cut {
        missing: u64,
        frame: u32,
    },
    /// No byte at all.
    Empty,
    /// Before the end of the header of the file.
    CutHeader,
}

/// Why a file is no capture that can be read, as a clause: "this is …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotACapture(pub String);

/// What the bytes at the front are.
enum Step<'a> {
    /// Not to be told from fewer than this many bytes.
    Need(usize),
    /// Nothing to hand out in this many bytes; not all need be there yet.
    Skip(usize),
    /// A frame (its number is the driver's), in a record of `used` bytes.
    Frame { frame: Frame<'a>, used: usize },
    /// No record of this format.
    Corrupt,
}

/// Whether reading may resume here after a corrupt record.
enum Fit {
    Yes,
    No,
    Need(usize),
}

trait Format {
    fn next<'a>(&mut self, bytes: &'a [u8], oddities: &mut Oddities) -> Step<'a>;
    fn fits(&self, bytes: &[u8]) -> Fit;
}

enum Stage {
    Telling,
    Pcap(Pcap),
}

/// Where the driver stands.
#[derive(Default)]
struct Progress {
    /// In the file.
    offset: u64,
    frames: u32,
    /// Bytes needed at `offset`.
    need: usize,
    /// Bytes to be skipped, still to come.
    skip: usize,
    /// Looking for the next record after a corrupt one.
    lost: bool,
}

/// The front of the rest of the file, as long as it is shorter than what is needed.
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

    /// Hands out every frame that is complete with these bytes. `oddities.place` stands at the frame handed out.
    pub fn feed(
        &mut self,
        mut data: &[u8],
        sink: &mut impl FnMut(Frame<'_>, &mut Oddities),
        oddities: &mut Oddities,
    ) -> Result<(), NotACapture> {
        while !data.is_empty() {
            let (now, later) = data.split_at(self.progress.skip.min(data.len()));
            self.progress.skip -= now.len();
            self.progress.offset += now.len() as u64;
            data = later;
            if self.pending.rest().is_empty() {
                let used = self.step(data, sink, oddities)?;
                data = data.get(used..).unwrap_or_default();
                if self.progress.skip > 0 {
                    continue;
                }
                self.pending.bytes.extend_from_slice(data);
                return Ok(());
            }
            let lacking = self.progress.need.saturating_sub(self.pending.rest().len());
            let (now, later) = data.split_at(lacking.min(data.len()));
            self.pending.bytes.extend_from_slice(now);
            data = later;
            if now.len() == lacking {
                let mut pending = std::mem::take(&mut self.pending);
                pending.consume(self.step(pending.rest(), sink, oddities)?);
                self.pending = pending;
            }
        }
        Ok(())
    }

    /// The file has no more bytes.
    pub fn finish(&mut self) -> Result<Ending, NotACapture> {
        let Progress { offset, frames, need, skip, lost } = self.progress;
        let held = self.pending.rest().len();
        Ok(match (offset, held, skip) {
            (0, 0, _) => Ending::Empty,
            (0, _, _) => Ending::CutHeader,
            (_, 0, 0) if !lost => Ending::Complete,
            _ if lost => Ending::Cut { missing: 0, frame: frames.saturating_add(1) },
            _ => Ending::Cut { missing: (need.saturating_sub(held) + skip) as u64, frame: frames.saturating_add(1) },
        })
    }

    pub fn interfaces(&self) -> &[Interface] {
        match &self.stage {
            Stage::Telling => &[],
            Stage::Pcap(pcap) => std::slice::from_ref(&pcap.interface),
        }
    }

    pub fn format(&self) -> &'static str {
        match &self.stage {
            Stage::Telling => "unknown",
            Stage::Pcap(pcap) => pcap.name,
        }
    }

    /// Runs the format over `bytes`; how many were used up.
    fn step(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(Frame<'_>, &mut Oddities),
        oddities: &mut Oddities,
    ) -> Result<usize, NotACapture> {
        match &mut self.stage {
            Stage::Telling => {
                if bytes.len() < pcap::HEADER {
                    self.progress.need = pcap::HEADER;
                    return Ok(0);
                }
                let pcap = Pcap::tell(bytes).ok_or_else(|| NotACapture("this is no capture".into()))?;
                self.stage = Stage::Pcap(pcap);
                self.progress.offset += pcap::HEADER as u64;
                let used = self.step(bytes.get(pcap::HEADER..).unwrap_or_default(), sink, oddities)?;
                Ok(used + pcap::HEADER)
            }
            Stage::Pcap(pcap) => Ok(walk(pcap, &mut self.progress, bytes, sink, oddities)),
        }
    }
}

fn walk(
    format: &mut impl Format,
    progress: &mut Progress,
    bytes: &[u8],
    sink: &mut impl FnMut(Frame<'_>, &mut Oddities),
    oddities: &mut Oddities,
) -> usize {
    let begin = progress.offset;
    let mut at = 0;
    loop {
        progress.offset = begin + at as u64;
        let rest = bytes.get(at..).unwrap_or_default();
        if progress.lost {
            let (skipped, fit) = scan(format, rest);
            at += skipped;
            match fit {
                Fit::Need(need) => {
                    progress.need = need;
                    progress.offset = begin + at as u64;
                    return at;
                }
                _ => progress.lost = false,
            }
            continue;
        }
        oddities.place.frame = progress.frames.saturating_add(1);
        match format.next(rest, oddities) {
            Step::Need(need) => {
                progress.need = need;
                return at;
            }
            Step::Skip(skip) => {
                at += skip.min(rest.len());
                progress.skip = skip.saturating_sub(rest.len());
                if progress.skip > 0 {
                    progress.offset = begin + at as u64;
                    return at;
                }
            }
            Step::Frame { frame, used } => {
                at += used;
                progress.frames = oddities.place.frame;
                oddities.place.time = frame.time;
                sink(Frame { number: progress.frames, ..frame }, oddities);
            }
            Step::Corrupt => {
                oddities.push("capture-record", progress.offset);
                progress.lost = true;
                at += 1;
            }
        }
    }
}

/// The next place where reading may resume, or where more bytes are needed to tell.
fn scan(format: &impl Format, bytes: &[u8]) -> (usize, Fit) {
    for at in 0..bytes.len() {
        match format.fits(bytes.get(at..).unwrap_or_default()) {
            Fit::No => {}
            fit => return (at, fit),
        }
    }
    (bytes.len(), Fit::Need(1))
}
