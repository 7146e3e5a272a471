//! When back ends gave numbers to exchanges, flows and strings: provisional ones, each with the event after which it had been
//! given. In the order of events, those of all back ends become the numbers that a single one would have given (`numbering`).

use std::sync::Arc;

use crate::oddity::Place;

/// The first provisional number: final ones are lower.
pub const PROVISIONAL: u32 = 1 << 31;

/// Things of one kind that one back end has numbered: the event after which each had its number.
#[derive(Debug)]
pub struct Numbered {
    events: Vec<u64>,
    first: u32,
}

impl Numbered {
    #[inline]
    fn note(&mut self, event: u64, end: u32) {
        let count = end.wrapping_sub(self.first) as usize;
        if count != self.events.len() {
            self.events.resize(count, event);
        }
    }

    /// Those to come begin with this number.
    fn from(first: u32) -> Numbered {
        Numbered { events: Vec::new(), first }
    }

    fn len(&self) -> usize {
        self.events.len()
    }
}

/// What one back end has numbered since its numbers were made final.
#[derive(Debug)]
pub struct Births {
    exchanges: Numbered,
    flows: Numbered,
    strings: Numbered,
    /// Where each of these strings was first seen.
    places: Vec<Place>,
    /// The final number of each string that was in use when numbers were made final.
    known: Vec<u32>,
}

impl Default for Births {
    fn default() -> Self {
        let (exchanges, flows) = (Numbered::from(PROVISIONAL), Numbered::from(PROVISIONAL));
        Births { exchanges, flows, strings: Numbered::from(0), places: Vec::new(), known: Vec::new() }
    }
}

impl Births {
    /// Notes what had been numbered after this event.
    #[inline]
    pub fn note(&mut self, event: u64, place: Place, exchanges: u32, flows: u32, strings: u32) {
        self.exchanges.note(event, exchanges);
        self.flows.note(event, flows);
        self.strings.note(event, strings);
        if self.places.len() != self.strings.len() {
            self.places.resize(self.strings.len(), place);
        }
    }

    /// Exchanges and flows that have provisional numbers, which begin anew.
    pub fn take(&mut self) -> (Numbered, Numbered) {
        let take = |kind: &mut Numbered| std::mem::replace(kind, Numbered::from(PROVISIONAL));
        (take(&mut self.exchanges), take(&mut self.flows))
    }

    /// How many exchanges and flows have provisional numbers.
    pub fn numbered(&self) -> usize {
        self.exchanges.len() + self.flows.len()
    }

    /// The final number of each string that was in use when numbers were made final.
    pub fn known(&self) -> &[u32] {
        &self.known
    }

    /// The strings in use have these final numbers.
    pub fn know(&mut self, known: Vec<u32>) {
        self.strings = Numbered::from(known.len() as u32);
        self.places.clear();
        self.known = known;
    }
}

/// Things of one kind that all back ends have numbered.
#[derive(Clone, Debug)]
pub struct InOrder {
    all: Arc<Vec<Numbered>>,
    /// The first of the numbers that a single back end would have given them.
    first: u32,
}

impl InOrder {
    pub fn new(all: Vec<Numbered>, first: u32) -> InOrder {
        InOrder { all: Arc::new(all), first }
    }

    /// The number that comes after all of them.
    pub fn next(&self) -> u32 {
        let count: usize = self.all.iter().map(Numbered::len).sum();
        ((u64::from(self.first) + count as u64) % u64::from(PROVISIONAL)) as u32
    }

    /// The numbers that a single back end would have given to what this one of several has numbered.
    pub fn numbers_of(&self, own: usize) -> Vec<u32> {
        let Some(numbered) = self.all.get(own) else { return Vec::new() };
        let others = self.all.iter().enumerate().filter(|(at, _)| *at != own);
        let mut others: Vec<&[u64]> = others.map(|(_, other)| other.events.as_slice()).collect();
        let mut next = self.first;
        let number = |event: &u64| {
            for other in &mut others {
                while let Some((head, rest)) = other.split_first()
                    && head < event
                {
                    *other = rest;
                    next = following(next);
                }
            }
            let number = next;
            next = following(next);
            number
        };
        numbered.events.iter().map(number).collect()
    }
}

/// The final number after this one: all stay lower than provisional ones.
fn following(number: u32) -> u32 {
    (number + 1) % PROVISIONAL
}

/// Hands out the strings that back ends have numbered in the order of events: of which back end, where.
pub fn strings_in_order(births: &[&Births], mut sink: impl FnMut(usize, Place)) {
    let mut left: Vec<_> = births.iter().map(|one| one.strings.events.iter().zip(&one.places).peekable()).collect();
    loop {
        let heads = left.iter_mut().enumerate().filter_map(|(at, rest)| rest.peek().map(|(event, _)| (**event, at)));
        let Some((_, at)) = heads.min() else { return };
        let Some((_, place)) = left.get_mut(at).and_then(Iterator::next) else { return };
        sink(at, *place);
    }
}
