//! Frames are in order of time, or nearly so. One whose time is far from those of both its neighbours has a corrupt time stamp,
//! which nothing else in a capture would show: it gets the time of the frame before.
//!
//! A frame that comes long after the one before it, or before it, waits for the next one, which tells: if that goes on where the
//! time was before, the stamp is wrong; else the capture was silent meanwhile, or the clock was set.

use crate::batch::NO_TIME;
use crate::capture::Frame;
use crate::oddity::Oddities;

/// Frames of several processors and interfaces are written out of order by less (reading.py: RING_OVERLAP).
const NEAR: i64 = 1_000_000_000;
/// The last frame of a file is followed by none. A silence longer than all before it, and than this, was none: RPC's clients and
/// TCP have called again by then.
const SILENCE: i64 = 600_000_000_000;

/// The frame that waits.
struct Held {
    number: u32,
    time: i64,
    interface: u32,
    link_type: u32,
    data: Vec<u8>,
    wire_len: u32,
}

/// Of one file.
#[derive(Default)]
pub struct Order {
    first: Option<i64>,
    before: Option<i64>,
    held: Option<Held>,
}

impl Order {
    #[inline]
    pub fn take(&mut self, frame: &Frame<'_>, oddities: &mut Oddities, sink: &mut impl FnMut(&Frame<'_>, &mut Oddities)) {
        if self.held.is_none() && self.before.is_some_and(|before| is_near(before, frame.time)) {
            self.before = Some(frame.time);
            return sink(frame, oddities);
        }
        self.unusual(frame, oddities, sink);
    }

    #[cold]
    fn unusual(&mut self, frame: &Frame<'_>, oddities: &mut Oddities, sink: &mut impl FnMut(&Frame<'_>, &mut Oddities)) {
        if frame.time == NO_TIME {
            self.release(oddities, sink);
            return sink(frame, oddities);
        }
        if let Some(held) = self.held.take() {
            let time = self.told(held.time, frame.time);
            self.hand_out(&held, time, oddities, sink);
        }
        if self.before.is_some_and(|before| is_near(before, frame.time)) {
            self.before = Some(frame.time);
            return sink(frame, oddities);
        }
        let Frame { number, time, interface, link_type, data, wire_len } = *frame;
        self.held = Some(Held { number, time, interface, link_type, data: data.to_vec(), wire_len });
    }

    /// The time of the frame that waits, told by the next one's.
    fn told(&self, time: i64, next: i64) -> i64 {
        match self.before {
            // It is the first.
            None => if next.saturating_add(NEAR) < time { next } else { time },
            Some(before) => {
                let goes_on = next.saturating_add(NEAR) >= before && !is_near(time, next);
                let ahead = time > before && next < time;
                let behind = time < before && next > time;
                if goes_on && (ahead || behind) { before } else { time }
            }
        }
    }

    fn hand_out(
        &mut self,
        held: &Held,
        time: i64,
        oddities: &mut Oddities,
        sink: &mut impl FnMut(&Frame<'_>, &mut Oddities),
    ) {
        let now = oddities.place;
        (oddities.place.frame, oddities.place.time) = (held.number, time);
        if time != held.time {
            oddities.push("frame-time", held.time.abs_diff(time));
        }
        self.before = Some(time);
        self.first = self.first.or(self.before);
        let Held { number, interface, link_type, wire_len, .. } = *held;
        sink(&Frame { number, time, interface, link_type, data: &held.data, wire_len }, oddities);
        oddities.place = now;
    }

    /// Hands out the frame that waits, with the time that it has.
    pub fn release(&mut self, oddities: &mut Oddities, sink: &mut impl FnMut(&Frame<'_>, &mut Oddities)) {
        if let Some(held) = self.held.take() {
            self.hand_out(&held, held.time, oddities, sink);
        }
    }

    /// The file has ended.
    pub fn end(&mut self, oddities: &mut Oddities, sink: &mut impl FnMut(&Frame<'_>, &mut Oddities)) {
        let Order { first, before, held } = std::mem::take(self);
        self.before = before;
        let Some(held) = held else { return };
        let time = match (first, before) {
            (Some(first), Some(before)) => {
                let lasted = before.saturating_sub(first).max(SILENCE);
                if before.saturating_sub(held.time).saturating_abs() > lasted { before } else { held.time }
            }
            _ => held.time,
        };
        self.hand_out(&held, time, oddities, sink);
        *self = Order::default();
    }
}

fn is_near(one: i64, other: i64) -> bool {
    one.abs_diff(other) < NEAR.unsigned_abs()
}
