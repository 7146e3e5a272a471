//! Frames are in order of time, or nearly so. One whose time is far from those of both its neighbours has a corrupt time stamp,
//! which nothing else in a capture would show: it gets the time of the frame before.
//!
//! A frame that comes long after the one before it, or before it, waits for the next one, which tells: if that goes on where the
//! time was before, the stamp is wrong; else the capture was silent meanwhile, or the clock was set.

use crate::batch::NO_TIME;
use crate::capture::CapturedFrame;
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
pub struct TimeOrder {
    first: Option<i64>,
    before: Option<i64>,
    /// One frame, or the first two of the file.
    held: Vec<Held>,
}

impl TimeOrder {
    /// Whether a frame comes about the time of the one before, so that its time is right. Any other one is to be given to
    /// [`Self::unusual`].
    #[inline(always)]
    pub fn follows(&mut self, frame: &CapturedFrame<'_>) -> bool {
        let follows = self.held.is_empty() && self.before.is_some_and(|before| is_near(before, frame.time));
        if follows {
            self.before = Some(frame.time);
        }
        follows
    }

    #[cold]
    pub fn unusual(
        &mut self,
        frame: &CapturedFrame<'_>,
        oddities: &mut Oddities,
        sink: &mut impl FnMut(&CapturedFrame<'_>, &mut Oddities),
    ) {
        if frame.time == NO_TIME {
            self.release(oddities, sink);
            return sink(frame, oddities);
        }
        let second = self.before.is_none() && self.held.len() == 1;
        if !second || self.held.iter().any(|first| is_near(first.time, frame.time)) {
            self.tell(frame.time, oddities, sink);
        }
        if self.follows(frame) {
            return sink(frame, oddities);
        }
        let CapturedFrame { number, time, interface, link_type, data, wire_len } = *frame;
        self.held.push(Held { number, time, interface, link_type, data: data.to_vec(), wire_len });
    }

    /// Hands out what waits, now that the time of the next frame is known.
    fn tell(&mut self, next: i64, oddities: &mut Oddities, sink: &mut impl FnMut(&CapturedFrame<'_>, &mut Oddities)) {
        let held = std::mem::take(&mut self.held);
        for (at, frame) in held.iter().enumerate() {
            let time = match (self.before, held.get(at + 1)) {
                (None, Some(second)) if second.time < frame.time && is_near(second.time, next) => second.time,
                (None, _) => frame.time,
                (Some(before), _) if is_wrong(before, frame.time, next) => before,
                (Some(_), _) => frame.time,
            };
            self.hand_out(frame, time, oddities, sink);
        }
    }

    fn hand_out(
        &mut self,
        held: &Held,
        time: i64,
        oddities: &mut Oddities,
        sink: &mut impl FnMut(&CapturedFrame<'_>, &mut Oddities),
    ) {
        let now = oddities.place;
        (oddities.place.frame, oddities.place.time) = (held.number, time);
        if time != held.time {
            oddities.push("frame-time", held.time.abs_diff(time));
        }
        self.before = Some(time);
        self.first = self.first.or(self.before);
        let Held { number, interface, link_type, wire_len, .. } = *held;
        sink(&CapturedFrame { number, time, interface, link_type, data: &held.data, wire_len }, oddities);
        oddities.place = now;
    }

    /// Hands out what waits, with the times that it has.
    pub fn release(&mut self, oddities: &mut Oddities, sink: &mut impl FnMut(&CapturedFrame<'_>, &mut Oddities)) {
        for held in std::mem::take(&mut self.held) {
            self.hand_out(&held, held.time, oddities, sink);
        }
    }

    /// The file has ended.
    pub fn end(&mut self, oddities: &mut Oddities, sink: &mut impl FnMut(&CapturedFrame<'_>, &mut Oddities)) {
        if let (Some(first), Some(before)) = (self.first, self.before)
            && let Some(last) = self.held.pop()
        {
            let lasted = before.saturating_sub(first).max(SILENCE);
            let wrong = before.abs_diff(last.time) > lasted.unsigned_abs();
            self.hand_out(&last, if wrong { before } else { last.time }, oddities, sink);
        }
        self.release(oddities, sink);
        *self = TimeOrder::default();
    }
}

/// Whether the time goes on behind this frame where it was before it.
fn is_wrong(before: i64, time: i64, next: i64) -> bool {
    let goes_on = next.saturating_add(NEAR) >= before && !is_near(time, next);
    goes_on && ((time > before && next < time) || (time < before && next > time))
}

fn is_near(one: i64, other: i64) -> bool {
    one.abs_diff(other) < NEAR.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The times that a file's frames get.
    fn told(times: &[i64]) -> Vec<i64> {
        let (mut order, mut oddities, mut told) = (TimeOrder::default(), Oddities::default(), Vec::new());
        let mut sink = |frame: &CapturedFrame<'_>, _: &mut Oddities| told.push(frame.time);
        for (time, number) in times.iter().zip(1..) {
            let frame = CapturedFrame { number, time: *time, interface: 0, link_type: 1, data: &[], wire_len: 0 };
            if order.follows(&frame) {
                sink(&frame, &mut oddities);
            } else {
                order.unusual(&frame, &mut oddities, &mut sink);
            }
        }
        order.end(&mut oddities, &mut sink);
        told
    }

    #[test]
    fn a_second_from_both_neighbours_is_far() {
        let near = [0, 0, SECOND - 1, 0, 0];
        assert_eq!(told(&near), near);
        assert_eq!(told(&[0, 0, SECOND, 0, 0]), [0; 5]);
        assert_eq!(told(&[SECOND, SECOND, 0, SECOND, SECOND]), [SECOND; 5]);
    }

    #[test]
    fn the_time_goes_on_where_it_was_to_a_second() {
        // The frame after it lies before the one before it, by less than a second, and by more: then the clock was set.
        let (before, far) = (9 * SECOND, 20 * SECOND);
        assert_eq!(told(&[before, before, far, 8 * SECOND]), [before, before, before, 8 * SECOND]);
        let set = [before, before, far, 8 * SECOND - 1];
        assert_eq!(told(&set), set);
    }

    #[test]
    fn a_last_frame_may_come_ten_minutes_later_or_as_long_as_all_before() {
        let last = |time| told(&[0, 1, time]).last().copied();
        assert_eq!(last(600 * SECOND + 1), Some(600 * SECOND + 1));
        assert_eq!(last(600 * SECOND + 2), Some(1));
        let hour = [0, 3_600 * SECOND, 3_600 * SECOND, 7_200 * SECOND];
        assert_eq!(told(&hour), hour);
        assert_eq!(told(&[0, hour[1], hour[1], hour[3] + 1]).last(), Some(&hour[1]));
    }
}
