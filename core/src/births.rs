//! When back ends gave numbers to exchanges, flows and strings: provisional ones, each with the event after which it had been
//! given. In the order of events, those of all back ends become the numbers that a single one would have given (`numbering`).

use crate::oddity::Place;

/// The first provisional number: final ones are lower.
pub const PROVISIONAL: u32 = 1 << 31;

/// So many had been numbered after this event.
#[derive(Clone, Copy, Debug)]
struct Run {
    event: u64,
    end: u32,
    place: Place,
}

/// Things of one kind that one back end has numbered.
#[derive(Debug)]
pub struct Numbered {
    runs: Vec<Run>,
    first: u32,
    end: u32,
}

impl Numbered {
    #[inline]
    fn note(&mut self, event: u64, end: u32, place: Place) {
        if end != self.end {
            self.end = end;
            self.runs.push(Run { event, end, place });
        }
    }

    /// Those to come begin with this number.
    fn from(first: u32) -> Numbered {
        Numbered { runs: Vec::new(), first, end: first }
    }
}

/// What one back end has numbered since its numbers were made final.
#[derive(Debug)]
pub struct Births {
    pub exchanges: Numbered,
    pub flows: Numbered,
    pub strings: Numbered,
    /// The final number of each string that was in use when numbers were made final.
    known: Vec<u32>,
}

impl Default for Births {
    fn default() -> Self {
        let (exchanges, flows) = (Numbered::from(PROVISIONAL), Numbered::from(PROVISIONAL));
        Births { exchanges, flows, strings: Numbered::from(0), known: Vec::new() }
    }
}

impl Births {
    /// Notes what had been numbered after this event.
    #[inline]
    pub fn note(&mut self, event: u64, place: Place, exchanges: u32, flows: u32, strings: u32) {
        self.exchanges.note(event, exchanges, place);
        self.flows.note(event, flows, place);
        self.strings.note(event, strings, place);
    }

    /// The final number of each string that was in use when numbers were made final.
    pub fn known(&self) -> &[u32] {
        &self.known
    }

    /// The strings in use have these final numbers.
    pub fn know(&mut self, known: Vec<u32>) {
        self.strings = Numbered::from(known.len() as u32);
        self.known = known;
    }
}

/// Hands out what the back ends have numbered in the order of events: of which, how many, where.
pub fn in_order(births: &[Births], kind: impl Fn(&Births) -> &Numbered, mut sink: impl FnMut(usize, u32, Place)) {
    let mut left: Vec<(&[Run], u32)> =
        births.iter().map(&kind).map(|numbered| (numbered.runs.as_slice(), numbered.first)).collect();
    loop {
        let heads = left.iter().enumerate().filter_map(|(at, (runs, _))| runs.first().map(|run| (run.event, at)));
        let Some((_, at)) = heads.min() else { return };
        let Some((runs, begin)) = left.get_mut(at) else { return };
        let Some((run, rest)) = runs.split_first() else { return };
        sink(at, run.end.wrapping_sub(*begin), run.place);
        (*runs, *begin) = (rest, run.end);
    }
}
