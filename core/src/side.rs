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
/// waits at least 100 ms before a retransmission, TCP 200 ms (TCP_RTO_MIN) or, in fast retransmission, a round trip.
const TWICE_NS: i64 = 20_000_000;
/// The same where the identifications differ, or for a TCP segment without one, which may be retransmitted after a round trip.
/// Where no frame of the other side was captured twice, datagrams whose identifications differ are two: a server that goes on
/// after a stall answers all copies of a call at once.
const TWICE_ANEW_NS: i64 = 1_000_000;

/// A frame that was seen of late.
#[derive(Clone, Copy, Debug, Default)]
struct Sighting {
    mark: u64,
    id: u32,
    time: i64,
}

/// A stretch in which one side sent segments again, and nothing came back on its connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unheard {
    pub again: u32,
    pub first: i64,
    pub last: i64,
}

#[derive(Debug, Default)]
pub struct Side {
    pub stream: Stream,
    pub isn: Option<u32>,
    pub first_seq: Option<u32>,
    /// Sequence number of the first segment with data that was seen.
    pub first_data: Option<u32>,
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
    /// When it sent its first data since the other side was heard, how many segments again since, and the longest such stretch.
    pub unheard_since: Option<i64>,
    pub unheard: u32,
    longest_unheard: Unheard,
    pub loss: Option<i64>,
    pub newest_id: Option<u16>,
    pub newest_time: i64,
    recent: [Sighting; RECENT],
    next_recent: usize,
    /// Whether a datagram or SYN of it was captured twice.
    pub doubled: bool,
    /// Frames that were damaged, and when the last was: its messages may have been in them.
    pub damaged: u32,
    pub damage: Option<i64>,
}

impl Side {
    /// Whether this very datagram or SYN was captured a moment ago, on another interface. Of segments with data the stream
    /// tells. `other`: the other side.
    #[inline]
    pub fn captured_before(&mut self, packet: &Packet<'_>, time: i64, other: &Side) -> bool {
        if packet.transport == TCP && packet.tcp_flags & SYN == 0 {
            return false;
        }
        let mark = fingerprint(packet);
        let once = packet.transport != TCP && other.frames > 0 && !other.doubled;
        let again = self.recent.iter().any(|seen| {
            let unlike = seen.id != packet.ip_id && seen.id != 0 && packet.ip_id != 0;
            let limit = if unlike { TWICE_ANEW_NS } else { TWICE_NS };
            let at_once = !(unlike && once) && time.saturating_sub(seen.time).saturating_abs() <= limit;
            seen.mark == mark && (at_once || (seen.id == packet.ip_id && packet.ip_id != 0))
        });
        self.doubled |= again;
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

    pub fn count(&mut self, packet: &Packet<'_>, time: i64) {
        self.frames += 1;
        self.first_seq.get_or_insert(packet.seq);
        if packet.length > 0 {
            self.first_data.get_or_insert(packet.seq);
        }
        self.bytes += packet.length as u64;
        self.last = if self.frames == 1 { time } else { self.last.max(time) };
        if packet.payload.len() < packet.length {
            self.cut_frames += 1;
            self.loss = Some(time);
        }
    }

    /// A frame of the other side came.
    pub fn heard(&mut self, time: i64) {
        if self.unheard > 0 {
            self.longest_unheard = self.unheard_until(time);
            self.unheard = 0;
        }
        self.unheard_since = None;
    }

    /// The longest stretch in which nothing came back, where the present one, if there is one, lasts until then.
    pub fn unheard_until(&self, time: i64) -> Unheard {
        let longest = self.longest_unheard;
        let present = self.unheard_since.filter(|_| self.unheard > 0);
        let length = |stretch: &Unheard| stretch.last.saturating_sub(stretch.first);
        present
            .map(|first| Unheard { again: self.unheard, first, last: time })
            .filter(|present| longest.again == 0 || length(present) > length(&longest))
            .unwrap_or(longest)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ACK, UDP};

    const MILLISECOND: i64 = 1_000_000;

    fn packet(transport: u8, ip_id: u32, payload: &[u8]) -> Packet<'_> {
        let tcp_flags = if transport == TCP { ACK } else { 0 };
        Packet { transport, ip_id, tcp_flags, payload, length: payload.len(), ..Packet::default() }
    }

    /// Whether the second of two equal datagrams, so much later, is the first one once more.
    fn is_again((first, second): (u32, u32), later: i64) -> bool {
        let mut side = Side::default();
        assert!(!side.captured_before(&packet(UDP, first, b"datagram"), 50 * MILLISECOND, &Side::default()));
        side.captured_before(&packet(UDP, second, b"datagram"), 50 * MILLISECOND + later, &Side::default())
    }

    #[test]
    fn an_equal_datagram_is_captured_twice_within_twenty_milliseconds() {
        for ids in [(0, 0), (5, 0), (0, 5)] {
            assert!(is_again(ids, 20 * MILLISECOND) && is_again(ids, -20 * MILLISECOND));
            assert!(!is_again(ids, 20 * MILLISECOND + 1) && !is_again(ids, -20 * MILLISECOND - 1));
        }
    }

    #[test]
    fn one_of_the_same_identification_is_at_any_time() {
        assert!(is_again((5, 5), 60_000 * MILLISECOND));
    }

    #[test]
    fn one_of_another_identification_is_within_a_millisecond() {
        assert!(is_again((5, 6), MILLISECOND) && !is_again((5, 6), MILLISECOND + 1));
    }

    #[test]
    fn one_of_another_identification_is_another_where_frames_of_the_other_side_were_captured_once() {
        let is_again = |frames: u32, doubled: bool, ids: (u32, u32)| {
            let (mut side, other) = (Side::default(), Side { frames, doubled, ..Side::default() });
            side.captured_before(&packet(UDP, ids.0, b"reply"), 0, &other);
            side.captured_before(&packet(UDP, ids.1, b"reply"), 0, &other)
        };
        assert_eq!(
            [(0, false), (1, false), (1, true)].map(|(n, twice)| is_again(n, twice, (5, 6))),
            [true, false, true]
        );
        assert_eq!([(5, 5), (0, 6), (5, 0)].map(|ids| is_again(1, false, ids)), [true; 3]);
    }

    #[test]
    fn four_datagrams_are_remembered() {
        let after = |others: u8| {
            let mut side = Side::default();
            side.captured_before(&packet(UDP, 0, b"datagram"), 50 * MILLISECOND, &Side::default());
            for other in 0..others {
                assert!(!side.captured_before(&packet(UDP, 0, &[other; 8]), 50 * MILLISECOND, &Side::default()));
            }
            side.captured_before(&packet(UDP, 0, b"datagram"), 50 * MILLISECOND, &Side::default())
        };
        assert_eq!([0, 3, 4].map(after), [true, true, false]);
    }

    #[test]
    fn of_segments_with_data_the_stream_tells() {
        let mut side = Side::default();
        let twice =
            [(); 2].map(|()| side.captured_before(&packet(TCP, 1, b"data"), 50 * MILLISECOND, &Side::default()));
        assert_eq!(twice, [false, false]);
    }

    #[test]
    fn data_seen_before_is_captured_twice_at_once_or_by_its_identification() {
        let side = Side { newest_id: Some(7), newest_time: 50 * MILLISECOND, ..Side::default() };
        let had = |id: u32, later: i64| side.had(&packet(TCP, id, b"data"), 50 * MILLISECOND + later);
        assert!(had(8, MILLISECOND) && had(8, -MILLISECOND));
        assert!(!had(8, MILLISECOND + 1) && !had(8, -MILLISECOND - 1));
        assert!(had(7, 60_000 * MILLISECOND) && had(6, 60_000 * MILLISECOND));
        assert!(had(0, MILLISECOND) && !had(0, MILLISECOND + 1));
        // 16 bits: half of them are later.
        assert!(!had(7 + 0x7fff, 2 * MILLISECOND) && had(7 + 0x8000, 2 * MILLISECOND));
    }

    #[test]
    fn what_is_counted_of_frames() {
        let mut side = Side::default();
        side.count(&Packet { seq: 9, ..packet(TCP, 1, b"data") }, -5);
        side.count(&Packet { seq: 5, length: 10, ..packet(TCP, 1, b"cut") }, -7);
        assert_eq!((side.frames, side.bytes, side.first_seq, side.last), (2, 14, Some(9), -5));
        assert_eq!((side.cut_frames, side.loss), (1, Some(-7)));
    }
}
