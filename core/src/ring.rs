//! Frames to be kept on disk while a capture goes on, as blocks of pcapng: those of flows whose program is wanted, TCP's
//! handshakes and resets, ICMP errors, and all frames of some ports.
//!
//! The program of a flow is known by its first call. Frames before it wait in a queue until it is known, or until they are
//! too old; frames behind them wait too, so that what is handed out is in the order of the capture. IP fragments wait for
//! the datagram that they are part of. Programs and their limits come in as numbers.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::capture::{CapturedFrame, NO_TIME};
use crate::flow_table::FlowTable;
use crate::ip::Key;
use crate::oddity::Place;
use crate::packets::Addressed;
use crate::protocol::{RST, SYN, TCP};
use crate::select::Terms;
use crate::shard::At;

/// How long a frame waits for its flow's program: a handshake over a slow path and the first call.
const HELD_NS: i64 = 2_000_000_000;
/// Bytes that wait at most; a frame is counted with what it costs beside its bytes.
const MAX_HELD: usize = 8 << 20;
const HELD_COST: usize = 64;
/// Frames of a flow without a call that may wait: after a handshake the first record has a few segments. Others carry no RPC.
const MAX_FRAMES: u32 = 64;
/// Datagrams of which fragments were joined (ip.rs holds as many).
const MAX_JOINED: usize = 1_024;
/// Interfaces told apart; a node with a pod network has dozens. Frames of more count as one with the same link type.
const MAX_INTERFACES: usize = 256;

const ENHANCED_PACKET: u32 = 6;
const BLOCK: usize = 32;

/// What is to become of a frame.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Keep(usize),
    /// As the program of the flow at this place, with this number, says.
    Flow(At, u32),
    /// As the datagram that it is a fragment of.
    Fragment(Key),
}

struct Waiting {
    fate: Fate,
    time: i64,
    interface: u32,
    wire_len: u32,
    data: Vec<u8>,
}

/// The blocks that are ready.
#[derive(Debug, Default)]
pub struct Blocks {
    pub bytes: Vec<u8>,
    pub frames: u64,
    /// Times of the first and the last frame.
    pub first: i64,
    pub last: i64,
}

pub struct Ring {
    terms: Terms,
    waiting: VecDeque<Waiting>,
    held: usize,
    /// Of the frame at hand, once a packet was seen in it.
    fate: Option<Fate>,
    joined: HashMap<Key, Fate>,
    now: i64,
    ready: Blocks,
    /// Interface of the capture and link type, by the number in the blocks.
    pub interfaces: Vec<(u32, u32)>,
}

impl Ring {
    pub fn new(terms: Terms) -> Ring {
        Ring {
            terms,
            waiting: VecDeque::new(),
            held: 0,
            fate: None,
            joined: HashMap::new(),
            now: 0,
            ready: Blocks::default(),
            interfaces: Vec::new(),
        }
    }

    /// A packet of the frame at hand, after the flow at this place has taken it; none of one that is damaged.
    #[inline]
    pub fn packet(&mut self, addressed: &Addressed<'_>, at: Option<At>, flows: &FlowTable) {
        let Addressed { src_port, dst_port, packet, .. } = addressed;
        let Terms { programs, others, ports } = &self.terms;
        let opens = packet.transport == TCP && packet.tcp_flags & (SYN | RST) != 0;
        self.fate = if opens || ports.contains(src_port) || ports.contains(dst_port) {
            Some(Fate::Keep(usize::MAX))
        } else if let Some((at, flow)) = at.and_then(|at| Some((at, flows.get(at)?))) {
            match flow.program() {
                Some(program) => Some(Fate::Keep(programs.get(&program).copied().unwrap_or(*others))),
                None if flow.frames() <= MAX_FRAMES => Some(Fate::Flow(at, flow.id)),
                None => flow.has_replies().then_some(Fate::Keep(*others)),
            }
        } else {
            self.fate
        };
    }

    /// Something of the frame at hand is to be kept whatever its flow: an ICMP error, a damaged packet.
    pub fn keep(&mut self) {
        self.fate = Some(Fate::Keep(self.terms.others));
    }

    /// The frame at hand, after all that is in it; `fragment` is the key of the datagram of which it holds a part.
    #[inline]
    pub fn frame(&mut self, frame: &CapturedFrame<'_>, fragment: Option<Key>, place: Place, flows: &FlowTable) {
        let fate = self.fate.take();
        if place.time == NO_TIME {
            return; // pcapng has no such block for each interface
        }
        self.now = place.time.max(0);
        let fate = match (fate, fragment) {
            (Some(fate), Some(key)) => {
                if self.joined.len() >= MAX_JOINED {
                    self.joined.clear();
                }
                self.joined.insert(key, fate);
                Some(fate)
            }
            (None, Some(key)) => Some(Fate::Fragment(key)),
            (fate, None) => fate,
        };
        let Some(fate) = fate.filter(|fate| !matches!(fate, Fate::Keep(0))) else { return self.advance(flows, false) };
        let limit = if let Fate::Keep(limit) = fate { limit } else { usize::MAX };
        let Some(interface) = self.interface(frame.interface, frame.link_type) else { return };
        let data = frame.data.get(..limit).unwrap_or(frame.data);
        if let (Fate::Keep(_), true) = (fate, self.waiting.is_empty()) {
            return self.ready.push(self.now, interface, frame.wire_len, data);
        }
        self.held += HELD_COST + data.len();
        let (time, wire_len, data) = (self.now, frame.wire_len, data.to_vec());
        self.waiting.push_back(Waiting { fate, time, interface, wire_len, data });
        self.advance(flows, false);
    }

    /// The blocks that are ready. With `all`, what waits is decided by what is known now.
    pub fn take(&mut self, flows: &FlowTable, all: bool) -> Blocks {
        self.advance(flows, all);
        std::mem::take(&mut self.ready)
    }

    /// Decides what waits by what is known now.
    pub fn decide_all(&mut self, flows: &FlowTable) {
        self.advance(flows, true);
    }

    fn advance(&mut self, flows: &FlowTable, all: bool) {
        while let Some(first) = self.waiting.front() {
            let limit = match self.limit(first.fate, flows) {
                Some(limit) => limit,
                None if all || self.now.saturating_sub(first.time) > HELD_NS || self.held > MAX_HELD => 0,
                None => return,
            };
            let Some(first) = self.waiting.pop_front() else { return };
            self.held -= HELD_COST + first.data.len();
            if limit > 0 {
                let data = first.data.get(..limit).unwrap_or(&first.data);
                self.ready.push(first.time, first.interface, first.wire_len, data);
            }
        }
    }

    /// How much of a frame of this fate is kept; none if that is not known yet.
    fn limit(&self, fate: Fate, flows: &FlowTable) -> Option<usize> {
        let fate = if let Fate::Fragment(key) = fate { *self.joined.get(&key)? } else { fate };
        match fate {
            Fate::Keep(limit) => Some(limit),
            Fate::Flow(at, number) => {
                let program = flows.program(at, number)?;
                Some(self.terms.programs.get(&program).copied().unwrap_or(self.terms.others))
            }
            Fate::Fragment(_) => None,
        }
    }

    fn interface(&mut self, number: u32, link_type: u32) -> Option<u32> {
        let known = self.interfaces.iter().position(|known| *known == (number, link_type));
        let known = known.or_else(|| {
            if self.interfaces.len() < MAX_INTERFACES {
                self.interfaces.push((number, link_type));
                return Some(self.interfaces.len() - 1);
            }
            self.interfaces.iter().position(|known| known.1 == link_type)
        });
        known.map(|at| at as u32)
    }
}

impl Blocks {
    /// Appends an enhanced packet block (draft-ietf-opsawg-pcapng section 4.3), with its time in ns.
    fn push(&mut self, time: i64, interface: u32, wire_len: u32, data: &[u8]) {
        if self.frames == 0 {
            self.first = time;
        }
        self.frames += 1;
        self.last = time;
        let padded = data.len().next_multiple_of(4);
        let size = (BLOCK + padded) as u32;
        let stamp = time.cast_unsigned();
        let words = [ENHANCED_PACKET, size, interface, (stamp >> 32) as u32, stamp as u32, data.len() as u32, wire_len];
        for word in words {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len() + padded - data.len(), 0);
        self.bytes.extend_from_slice(&size.to_le_bytes());
    }
}
