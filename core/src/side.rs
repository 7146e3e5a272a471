//! One side of a flow: the stream that it sends, what was counted of it, and whether a frame of it was captured twice.
//!
//! The same frame is captured twice on several interfaces, or on both sides of a tunnel. It is told from a retransmission by
//! its IP identification, which a retransmission draws anew, or where there is none by coming at once.

use crate::packets::Packet;
use crate::protocol::{SYN, TCP};
use crate::tcp::Stream;

/// Frames of one direction compared to find a second capture of the same frame.
const RECENT: usize = 4;
/// A second capture of an equal frame comes within this: interfaces of one host, or of two whose clocks agree. RPC over UDP
/// waits at least 100 ms before it sends again, TCP 200 ms (TCP_RTO_MIN) or, in fast retransmission, a round trip.
const TWICE_NS: i64 = 20_000_000;
/// The same where the identifications differ, or for a TCP segment without one, which may be sent again after a round trip.
const TWICE_ANEW_NS: i64 = 1_000_000;

/// A frame that was seen of late.
#[derive(Clone, Copy, Debug, Default)]
struct Sighting {
    mark: u64,
    id: u32,
    time: i64,
}

#[derive(Debug, Default)]
pub struct Side {
    pub stream: Stream,
    pub isn: Option<u32>,
    pub first_seq: Option<u32>,
    pub frames: u32,
    pub bytes: u64,
    pub retransmitted: u32,
    pub out_of_order: u32,
    pub cut_frames: u32,
    pub fin: u16,
    pub rst: u16,
    pub calls: u32,
    pub replies: u32,
    pub last: i64,
    pub loss: Option<i64>,
    pub newest_id: Option<u16>,
    pub newest_time: i64,
    recent: [Sighting; RECENT],
    next_recent: usize,
    /// Frames with a right checksum.
    right: u32,
    /// Frames that were damaged, and when the last was: its messages may have been in them.
    pub damaged: u32,
    pub damage: Option<i64>,
}

impl Side {
    /// Whether this very datagram or SYN was captured a moment ago, on another interface. Of segments with data the stream
    /// tells.
    #[inline]
    pub fn captured_before(&mut self, packet: &Packet<'_>, time: i64) -> bool {
        if packet.transport == TCP && packet.tcp_flags & SYN == 0 {
            return false;
        }
        let mark = fingerprint(packet);
        let again = self.recent.iter().any(|seen| {
            let unlike = seen.id != packet.ip_id && seen.id != 0 && packet.ip_id != 0;
            let limit = if unlike { TWICE_ANEW_NS } else { TWICE_NS };
            let at_once = time.saturating_sub(seen.time).saturating_abs() <= limit;
            seen.mark == mark && (at_once || (seen.id == packet.ip_id && packet.ip_id != 0))
        });
        if !again {
            if let Some(slot) = self.recent.get_mut(self.next_recent) {
                *slot = Sighting { mark, id: packet.ip_id, time };
            }
            self.next_recent = (self.next_recent + 1) % RECENT;
        }
        again
    }

    /// Whether data seen before is a second capture: a retransmission has a later identification than what was sent last, and
    /// where there is none does not come at once.
    pub fn had(&self, packet: &Packet<'_>, time: i64) -> bool {
        let newest = self.newest_id.filter(|_| packet.ip_id != 0);
        let at_once = time.saturating_sub(self.newest_time).saturating_abs() <= TWICE_ANEW_NS;
        at_once || newest.is_some_and(|newest| (packet.ip_id as u16).wrapping_sub(newest) as i16 <= 0)
    }

    /// Counts a frame with a right checksum; at times returns how many more there were than it returned before.
    pub fn verified(&mut self) -> Option<u32> {
        self.right = self.right.saturating_add(1);
        self.right.is_power_of_two().then(|| self.right.div_ceil(2))
    }

    pub fn count(&mut self, packet: &Packet<'_>, time: i64) {
        self.frames += 1;
        self.first_seq.get_or_insert(packet.seq);
        self.bytes += packet.length as u64;
        self.last = if self.frames == 1 { time } else { self.last.max(time) };
        if packet.payload.len() < packet.length {
            self.cut_frames += 1;
            self.loss = Some(time);
        }
    }

    /// Something was damaged at this time, which may have held messages of this side.
    pub fn note_damage(&mut self, time: i64) {
        self.damage = self.damage.max(Some(time));
    }
}

/// What two captures of one datagram have in common and two datagrams have not.
fn fingerprint(packet: &Packet<'_>) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let add = |sum: u64, value: u64| (sum ^ value).wrapping_mul(MIX).rotate_left(29);
    let head = packet.payload.chunks_exact(8).take(32);
    let words = head.map(|chunk| chunk.try_into().map_or(0, u64::from_be_bytes));
    let numbers = u64::from(packet.seq) << 32 | u64::from(packet.tcp_flags);
    words.fold(add(numbers, packet.length as u64), add)
}
