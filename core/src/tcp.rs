//! TCP reassembly (RFC 9293): one direction of a connection becomes a stream of bytes in order, cut into records as it goes.
//!
//! A segment in order is handed on in place. One ahead of a hole waits; when the hole is filled, what waited goes on as of the
//! filling frame, since only then could the receiver read it. A hole that the other side acknowledges was lost by the capture
//! and not by the network: it is given up after a little patience, as it is when the room for waiting segments ends, and the
//! records resume behind it. Bytes that the snaplen cut off are a hole known at once. Sequence numbers are compared modulo
//! 2^32; a jump beyond any window is a break in the capture.

use std::collections::VecDeque;

use crate::oddity::Place;
use crate::rpc::{MAX_RECORD, Outlet, Records, Sink};

/// Bytes waiting ahead of one hole: the largest usual receive window (Linux's tcp_rmem maximum is 6 MiB).
const MAX_WAITING: usize = 6 << 20;
/// Segments waiting ahead of one hole: the same in segments of the smallest usual size.
const MAX_WAITING_SEGMENTS: usize = 4096;
/// Frames of the connection, and time, that an acknowledgement of bytes not yet captured is given, before they are given up:
/// several processors, or several interfaces, may write a handful of frames out of order, microseconds to milliseconds late.
const PATIENCE: u32 = 16;
pub const PATIENCE_NS: i64 = 100_000_000;
/// What a waiting segment costs beside its bytes: its place in the queue, which may be half empty, and its heap block.
const SEGMENT_COST: usize = 128;
/// The widest window that TCP can offer (RFC 7323 section 2.3). What lies further off is another place in the stream.
const WINDOW: i32 = 1 << 30;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment<'a> {
    pub seq: u32,
    pub payload: &'a [u8],
    /// Length on the wire; longer than `payload` where the snaplen cut it.
    pub length: usize,
}

#[derive(Debug)]
struct Waiting {
    seq: u32,
    data: Vec<u8>,
    length: usize,
    place: Place,
}

/// What a segment turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    InOrder,
    /// New, but a later part of the stream was seen before.
    Late,
    /// All of it had been seen before.
    Old,
}

#[derive(Debug)]
pub struct Stream {
    next: Option<u32>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Frames and time until which the present hole is waited for, once it is acknowledged.
    patience: u32,
    deadline: Option<i64>,
    acked_then: u32,
    /// End of the furthest segment seen.
    furthest: Option<u32>,
    /// The highest acknowledgement of the other side.
    pub acked: Option<u32>,
    /// Where it stood when first heard of, before any of its bytes were seen.
    origin: Option<u32>,
    pub lost_bytes: u64,
    /// In damaged segments, as far as they are not yet found to be missing: the capture did not lose them.
    pub damaged_bytes: u64,
    /// Its SYN came while another stream on the same ports was open: that may go on, and the SYN have been damaged.
    pub doubtful: bool,
    pub records: Records,
}

fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

impl Default for Stream {
    fn default() -> Self {
        Stream::new(None)
    }
}

impl Stream {
    /// `first`: the sequence number of the first byte, where the SYN was seen.
    pub fn new(first: Option<u32>) -> Self {
        Stream {
            next: first,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            patience: 0,
            deadline: None,
            acked_then: 0,
            furthest: None,
            acked: None,
            origin: None,
            lost_bytes: 0,
            damaged_bytes: 0,
            doubtful: false,
            records: Records::new(first.is_some()),
        }
    }

    #[inline(always)]
    pub fn segment<S: Sink>(&mut self, segment: Segment<'_>, outlet: &mut Outlet<'_, S>) -> Arrival {
        if self.next != Some(segment.seq) || !self.waiting.is_empty() {
            return self.unexpected(segment, outlet);
        }
        self.see(segment.seq.wrapping_add(segment.length as u32));
        self.hand_on(segment, outlet);
        Arrival::InOrder
    }

    /// Some segment ends there.
    #[inline(always)]
    fn see(&mut self, end: u32) {
        if self.furthest.is_none_or(|furthest| distance(furthest, end) > 0) {
            self.furthest = Some(end);
        }
    }

    /// A segment that is not the next one, or that other ones wait for.
    fn unexpected<S: Sink>(&mut self, segment: Segment<'_>, outlet: &mut Outlet<'_, S>) -> Arrival {
        self.run_out_of_patience(outlet);
        let next = *self.next.get_or_insert(segment.seq);
        let ahead = distance(next, segment.seq);
        let end = segment.seq.wrapping_add(segment.length as u32);
        let furthest = self.furthest;
        self.see(end);
        if ahead == 0 && self.waiting.is_empty() {
            self.deliver(segment, outlet);
            return Arrival::InOrder;
        }
        let astray = furthest.is_none() && self.is_astray(ahead);
        let late = furthest.is_some_and(|furthest| distance(segment.seq, furthest) > 0);
        if astray || ahead.checked_abs().is_none_or(|far| far > WINDOW) {
            if astray {
                outlet.sink.odd("corrupt-syn", next.into());
            }
            self.give_up_all(outlet);
            self.records.hole(MAX_RECORD, next, outlet);
            (self.next, self.furthest) = (Some(segment.seq), Some(end));
            self.deliver(segment, outlet);
            return Arrival::InOrder;
        }
        if ahead > 0 {
            self.wait(segment, outlet);
        } else if self.overlap(segment, ahead.unsigned_abs() as usize, outlet) == Arrival::Old {
            return Arrival::Old;
        }
        if late { Arrival::Late } else { Arrival::InOrder }
    }

    /// Whether the first data after a SYN, which this is, lies before it or beyond any first window.
    fn is_astray(&self, ahead: i32) -> bool {
        self.doubtful && !(-1..=MAX_WAITING as i32).contains(&ahead)
    }

    /// The other side acknowledged everything before `ack`. Returns whether anything waits for a hole, and may do so no longer
    /// ([`Self::run_out_of_patience`]).
    #[inline]
    pub fn acknowledge(&mut self, ack: u32) -> bool {
        if self.acked.is_none_or(|acked| distance(acked, ack) > 0) {
            self.acked = Some(ack);
        }
        !self.waiting.is_empty()
    }

    /// These bytes are missing.
    pub fn lose(&mut self, bytes: u64) {
        let damaged = bytes.min(self.damaged_bytes);
        self.damaged_bytes -= damaged;
        self.lost_bytes += bytes - damaged;
    }

    /// Bytes at its end that the other side acknowledged and that were not captured; one alone would be the FIN.
    pub fn unseen(&self) -> u64 {
        let (Some(seen), Some(acked)) = (self.furthest.or(self.next), self.acked) else { return 0 };
        let beyond = distance(seen, acked);
        if (2..=WINDOW).contains(&beyond) { u64::from(beyond.unsigned_abs()) } else { 0 }
    }

    /// Whether it went on, by a number of its own or an acknowledgement, before any of its bytes were seen. Those in between were
    /// in flight when the capture began, or the capture lost them. One byte is a FIN, or what a keepalive is short of, and both
    /// may come, so that the origin moves on by it.
    #[inline]
    pub fn has_skipped(&mut self, to: u32) -> bool {
        if self.begun() {
            return false;
        }
        let origin = self.origin.get_or_insert(to);
        let beyond = distance(*origin, to);
        if beyond == 1 {
            *origin = to;
        }
        (2..=WINDOW).contains(&beyond)
    }

    /// Whether any of its bytes were seen.
    pub fn begun(&self) -> bool {
        self.next.is_some()
    }

    /// Whether a sequence number is where the stream stands, within a window without scaling (RFC 9293 section 3.1). Linux opens
    /// a connection anew just beyond it (`tcp_timewait_state_process`).
    pub fn is_near(&self, seq: u32) -> bool {
        self.next.is_some_and(|next| distance(next, seq).unsigned_abs() <= u32::from(u16::MAX))
    }

    /// The stream has ended, or the capture has: what waits will wait no longer.
    pub fn give_up_all<S: Sink>(&mut self, outlet: &mut Outlet<'_, S>) {
        while !self.waiting.is_empty() {
            self.give_up(outlet);
        }
    }

    /// Begins at or before `next`: hands on what is new of it, then whatever it made contiguous.
    fn overlap<S: Sink>(&mut self, segment: Segment<'_>, old: usize, outlet: &mut Outlet<'_, S>) -> Arrival {
        if segment.length <= old && segment.length > 0 {
            return Arrival::Old;
        }
        let payload = segment.payload.get(old..).unwrap_or_default();
        let seq = segment.seq.wrapping_add(old as u32);
        let rest = Segment { seq, payload, length: segment.length - old.min(segment.length) };
        let part = self.before_the_cut(rest);
        self.deliver(part, outlet);
        if part.length < rest.length {
            self.skip_to_waiting(outlet);
        }
        let place = outlet.place;
        self.resume(place, outlet);
        Arrival::InOrder
    }

    /// What the snaplen cut off of this segment may wait in another: then only what was captured of this one counts.
    fn before_the_cut<'a>(&self, segment: Segment<'a>) -> Segment<'a> {
        let captured = segment.payload.len();
        let inside = |waiting: &Waiting| distance(segment.seq, waiting.seq) < segment.length as i32;
        let covered = captured < segment.length && self.waiting.front().is_some_and(inside);
        if covered { Segment { length: captured, ..segment } } else { segment }
    }

    /// The bytes up to the first that waits were on the wire, but cut off.
    fn skip_to_waiting<S: Sink>(&mut self, outlet: &mut Outlet<'_, S>) {
        let (Some(next), Some(first)) = (self.next, self.waiting.front()) else { return };
        let (hole, start) = (distance(next, first.seq), first.seq);
        if hole > 0 {
            self.records.hole(hole.unsigned_abs() as usize, next, outlet);
            self.next = Some(start);
        }
    }

    #[inline(never)]
    fn deliver<S: Sink>(&mut self, segment: Segment<'_>, outlet: &mut Outlet<'_, S>) {
        self.hand_on(segment, outlet);
    }

    #[inline(always)]
    fn hand_on<S: Sink>(&mut self, segment: Segment<'_>, outlet: &mut Outlet<'_, S>) {
        let captured = segment.payload.len().min(segment.length);
        self.next = Some(segment.seq.wrapping_add(segment.length as u32));
        self.records.push(segment.payload.get(..captured).unwrap_or_default(), segment.seq, outlet);
        if captured < segment.length {
            let at = segment.seq.wrapping_add(captured as u32);
            self.records.hole(segment.length - captured, at, outlet);
        }
    }

    fn wait<S: Sink>(&mut self, segment: Segment<'_>, outlet: &mut Outlet<'_, S>) {
        if segment.length == 0 || self.records.foreign() {
            return;
        }
        let size = segment.payload.len() + SEGMENT_COST;
        let full = |stream: &Stream, room: usize| {
            size > room || stream.waiting_bytes + size > MAX_WAITING || stream.waiting.len() >= MAX_WAITING_SEGMENTS
        };
        if full(self, *outlet.room) && !self.waiting.is_empty() {
            outlet.sink.odd("memory-limit", size as u64);
            while full(self, *outlet.room) && !self.waiting.is_empty() {
                self.give_up(outlet);
            }
            self.segment(segment, outlet);
            return;
        }
        let Some(next) = self.next else { return };
        if size > *outlet.room {
            outlet.sink.odd("memory-limit", size as u64);
            let ahead = distance(next, segment.seq).unsigned_abs() as usize;
            self.lose(ahead as u64);
            self.records.hole(ahead, next, outlet);
            self.deliver(segment, outlet);
            return;
        }
        if self.waiting.is_empty() {
            self.be_patient();
        }
        let place = outlet.place;
        let key = |waiting: &Waiting| distance(next, waiting.seq);
        let index = self.waiting.partition_point(|waiting| key(waiting) < distance(next, segment.seq));
        if self.waiting.get(index).is_some_and(|same| same.seq == segment.seq && same.length >= segment.length) {
            return;
        }
        *outlet.room -= size;
        self.waiting_bytes += size;
        let data = segment.payload.to_vec();
        self.waiting.insert(index, Waiting { seq: segment.seq, data, length: segment.length, place });
    }

    /// Hands on what waits and has become contiguous, each record as of the latest frame it needed: from `filled` on.
    fn resume<S: Sink>(&mut self, mut filled: Place, outlet: &mut Outlet<'_, S>) {
        while let Some(next) = self.next {
            let Some(first) = self.waiting.front() else { return };
            let ahead = distance(next, first.seq);
            if ahead > 0 {
                self.be_patient();
                return;
            }
            let Some(waiting) = self.waiting.pop_front() else { return };
            let size = waiting.data.len() + SEGMENT_COST;
            *outlet.room += size;
            self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
            let old = ahead.unsigned_abs() as usize;
            if waiting.length <= old {
                continue;
            }
            let payload = waiting.data.get(old..).unwrap_or_default();
            if waiting.place > filled {
                filled = waiting.place;
            }
            let here = std::mem::replace(&mut outlet.place, filled);
            self.deliver(Segment { seq: next, payload, length: waiting.length - old }, outlet);
            outlet.place = here;
        }
    }

    fn be_patient(&mut self) {
        (self.patience, self.deadline) = (PATIENCE, None);
    }

    /// A hole whose bytes the other side acknowledged cannot be filled any more but by frames written out of order. When it is
    /// given up, so are all that were acknowledged when the waiting began.
    pub fn run_out_of_patience<S: Sink>(&mut self, outlet: &mut Outlet<'_, S>) {
        let (Some(first), Some(acked)) = (self.waiting.front(), self.acked) else { return };
        if distance(first.seq, acked) < 0 {
            return;
        }
        let now = outlet.place.time;
        if self.deadline.is_none() {
            (self.deadline, self.acked_then) = (Some(now.saturating_add(PATIENCE_NS)), acked);
        }
        if self.patience > 0 && self.deadline.is_some_and(|deadline| now <= deadline) {
            self.patience -= 1;
            return;
        }
        let then = self.acked_then;
        while self.waiting.front().is_some_and(|first| distance(first.seq, then) >= 0) {
            self.give_up(outlet);
        }
        self.be_patient();
    }

    fn give_up<S: Sink>(&mut self, outlet: &mut Outlet<'_, S>) {
        let (Some(next), Some(first)) = (self.next, self.waiting.front()) else { return };
        let (hole, place) = (distance(next, first.seq).max(0) as usize, first.place);
        if hole > 0 {
            self.lose(hole as u64);
            let here = std::mem::replace(&mut outlet.place, place);
            self.records.hole(hole, next, outlet);
            outlet.place = here;
            self.next = Some(next.wrapping_add(hole as u32));
        }
        self.resume(place, outlet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{HEAD, MAX_STORED, Record};

    /// Takes everything, and notes what is odd.
    #[derive(Default)]
    struct Anywhere(Vec<&'static str>);

    impl Sink for Anywhere {
        fn keep(&mut self, _: &[u8]) -> usize {
            HEAD
        }

        fn most(&self, _: &[u8]) -> usize {
            usize::MAX
        }

        fn record(&mut self, _: Record<'_>) -> bool {
            true
        }

        fn awaits(&self, _: u32) -> bool {
            false
        }

        fn odd(&mut self, kind: &'static str, _: u64) {
            self.0.push(kind);
        }
    }

    /// A stream that begins at 0, and where it goes.
    struct Receiver {
        stream: Stream,
        sink: Anywhere,
        room: usize,
        time: i64,
    }

    impl Receiver {
        fn new() -> Receiver {
            Receiver { stream: Stream::new(Some(0)), sink: Anywhere::default(), room: MAX_STORED, time: 0 }
        }

        fn with<T>(&mut self, act: impl FnOnce(&mut Stream, &mut Outlet<'_, Anywhere>) -> T) -> T {
            let place = Place { time: self.time, ..Place::default() };
            act(&mut self.stream, &mut Outlet { sink: &mut self.sink, room: &mut self.room, place })
        }

        fn segment(&mut self, seq: u32, length: usize) -> Arrival {
            let payload = vec![0xff; length];
            self.with(|stream, outlet| stream.segment(Segment { seq, payload: &payload, length }, outlet))
        }

        /// How often an acknowledged hole of 100 bytes is passed over before it is given up.
        fn patience(&mut self, step: i64) -> usize {
            assert_eq!(self.segment(100, 10), Arrival::InOrder);
            assert!(self.stream.acknowledge(110));
            let mut count = 0;
            while self.stream.lost_bytes == 0 && count < 1_000 {
                self.with(Stream::run_out_of_patience);
                self.time += step;
                count += 1;
            }
            assert_eq!((self.stream.lost_bytes, self.room), (100, MAX_STORED));
            count - 1
        }
    }

    #[test]
    fn an_acknowledged_hole_waits_for_sixteen_frames_or_a_tenth_of_a_second() {
        assert_eq!(Receiver::new().patience(0), 16);
        assert_eq!(Receiver::new().patience(100_000_000), 2);
        assert_eq!(Receiver::new().patience(100_000_001), 1);
    }

    #[test]
    fn a_hole_that_is_not_acknowledged_waits() {
        let mut receiver = Receiver::new();
        receiver.segment(100, 10);
        receiver.stream.acknowledge(99);
        (0..100).for_each(|_| receiver.with(Stream::run_out_of_patience));
        assert_eq!(receiver.stream.lost_bytes, 0);
        assert!(receiver.stream.acknowledge(100));
        (0..17).for_each(|_| receiver.with(Stream::run_out_of_patience));
        assert_eq!(receiver.stream.lost_bytes, 100);
    }

    #[test]
    fn so_many_segments_wait() {
        let mut receiver = Receiver::new();
        for n in 1..=4_096 {
            receiver.segment(2 * n, 1);
        }
        assert_eq!((receiver.stream.lost_bytes, receiver.sink.0.len()), (0, 0));
        assert_eq!(MAX_STORED - receiver.room, 4_096 * (128 + 1));
        receiver.segment(9_000, 1);
        assert_eq!((receiver.stream.lost_bytes, receiver.sink.0.as_slice()), (2, ["memory-limit"].as_slice()));
    }

    #[test]
    fn so_many_bytes_wait() {
        let (size, mut receiver) = (65_536 - 128, Receiver::new());
        for n in 1..=96 {
            receiver.segment(n * 65_536, size);
        }
        assert_eq!((receiver.stream.lost_bytes, receiver.sink.0.len()), (0, 0));
        receiver.segment(97 * 65_536, 1);
        assert_eq!((receiver.stream.lost_bytes, receiver.sink.0.as_slice()), (65_536, ["memory-limit"].as_slice()));
    }

    #[test]
    fn a_jump_beyond_any_window_is_a_break() {
        let arrives = |seq| {
            let mut receiver = Receiver::new();
            receiver.segment(seq, 10);
            (receiver.stream.next, receiver.stream.waiting.len())
        };
        assert_eq!(arrives(1 << 30), (Some(0), 1));
        assert_eq!(arrives((1 << 30) + 1), (Some((1 << 30) + 11), 0));
    }

    #[test]
    fn bytes_acknowledged_and_not_seen_are_at_least_two_and_within_a_window() {
        let unseen = |ack| {
            let mut receiver = Receiver::new();
            receiver.segment(0, 10);
            receiver.stream.acknowledge(ack);
            receiver.stream.unseen()
        };
        assert_eq!([10, 11, 12].map(unseen), [0, 0, 2]);
        assert_eq!([10 + (1 << 30), 11 + (1 << 30)].map(unseen), [1 << 30, 0]);
    }

    #[test]
    fn a_stream_whose_beginning_was_not_captured_skips_at_least_two_bytes_within_a_window() {
        let skips = |to: u32| {
            let mut stream = Stream::new(None);
            assert!(!stream.has_skipped(10));
            stream.has_skipped(to)
        };
        assert_eq!([9, 10, 11, 12].map(skips), [false, false, false, true]);
        assert_eq!([10 + (1 << 30), 11 + (1 << 30)].map(skips), [true, false]);
        assert!(!Stream::new(Some(0)).has_skipped(12), "what is missing of it is counted");
        let mut idle = Stream::new(None);
        assert_eq!(
            [9, 10, 11, 13].map(|to| idle.has_skipped(to)),
            [false, false, false, true],
            "a keepalive, then a FIN"
        );
    }

    #[test]
    fn near_is_within_a_window_without_scaling() {
        let mut receiver = Receiver::new();
        receiver.segment(0, 100_000);
        let near = |seq: u32| receiver.stream.is_near(seq);
        assert_eq!([165_535, 165_536, 34_465, 34_464].map(near), [true, false, true, false]);
    }

    #[test]
    fn after_a_doubtful_syn_the_data_is_within_the_first_window() {
        let arrives = |seq: u32| {
            let mut receiver = Receiver::new();
            receiver.stream.doubtful = true;
            receiver.segment(seq, 10);
            receiver.sink.0.len()
        };
        assert_eq!([6 << 20, (6 << 20) + 1, u32::MAX, u32::MAX - 1].map(arrives), [0, 1, 0, 1]);
    }

    #[test]
    fn what_was_damaged_is_not_lost() {
        let mut stream = Stream::new(None);
        stream.damaged_bytes = 30;
        stream.lose(20);
        assert_eq!((stream.lost_bytes, stream.damaged_bytes), (0, 10));
        stream.lose(15);
        assert_eq!((stream.lost_bytes, stream.damaged_bytes), (5, 0));
    }
}
