//! Things to hand out besides the tables, for who looks closer: the raw messages and frames of some frame numbers, and the
//! frames of some flows. Frames and flows are numbered alike in every run over the same bytes, so that a first run finds the
//! numbers and a second one asks for them.

use hashbrown::{HashMap, HashSet};

use crate::batch::Packets;
use crate::capture::CapturedFrame;
use crate::oddity::Place;

/// Bytes kept of each frame, by the program of its flow; 0 is none.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub programs: HashMap<u32, usize>,
    /// Of programs that are not named, and where there are replies alone.
    pub others: usize,
    /// TCP and UDP ports of which everything is kept.
    pub ports: HashSet<u16>,
}

/// The selection.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Capture and frame.
    pub frames: HashSet<(u16, u32)>,
    pub flows: HashSet<u32>,
    /// Frames to be kept on disk, as far as they go.
    pub kept: Option<Terms>,
}

/// An RPC message that is complete in one of the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    pub place: Place,
    pub exchange: u32,
    pub reply: bool,
    /// 0 for the first call or reply of its exchange, n for the n-th further one.
    pub copy: u16,
    pub length: usize,
    pub lost: bool,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    pub place: Place,
    pub interface: u32,
    pub link_type: u32,
    pub wire_len: u32,
    pub bytes: Vec<u8>,
}

impl RawFrame {
    pub fn of(frame: &CapturedFrame<'_>, place: Place) -> RawFrame {
        let CapturedFrame { interface, link_type, wire_len, .. } = *frame;
        RawFrame { place, interface, link_type, wire_len, bytes: frame.data.to_vec() }
    }
}

/// What was found of it.
#[derive(Debug, Default)]
pub struct Selected {
    pub messages: Vec<RawMessage>,
    pub frames: Vec<RawFrame>,
    pub packets: Packets,
}
