//! Byte strings of message bodies (handles, names, owners), each stored once and known by its number. One pool serves every
//! column, so that a handle in a LOCK and the same handle in a LOOKUP have the same number.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct strings kept; a server of a million files in one capture is beyond any seen.
pub const MAX_STRINGS: usize = 1 << 20;
/// Bytes kept of them all: handles are at most 64 bytes, netobjs 1024.
pub const MAX_BYTES: usize = 48 << 20;
/// The number of a string that found no room.
pub const NO_STRING: u32 = u32::MAX;

/// A string as the index has it: all that is needed to compare it, and to find another place for it.
#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    number: u32,
    start: u32,
    length: u32,
}

impl Entry {
    #[inline(always)]
    fn is(&self, hash: u32, value: &[u8], bytes: &[u8]) -> bool {
        let start = self.start as usize;
        self.hash == hash && bytes.get(start..start + self.length as usize) == Some(value)
    }

    /// As many bits as the index needs.
    #[inline(always)]
    fn place(hash: u32) -> u64 {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        u64::from(hash).wrapping_mul(SPREAD)
    }
}

#[derive(Default)]
pub struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    index: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    taken: usize,
    /// Where strings of several back ends become those of one, what finds no room is decided there: here all have room, and
    /// which of them have been sparing only is kept.
    sparing: Option<Vec<bool>>,
    /// Whether a sparing string, and another one, has been refused.
    refused: [bool; 2],
}

impl Strings {
    /// Strings of one back end of several.
    pub fn apart() -> Strings {
        Strings { sparing: Some(Vec::new()), ..Strings::default() }
    }

    pub fn get(&self, number: u32) -> Option<&[u8]> {
        span(&self.ends, number).and_then(|span| self.bytes.get(span))
    }

    pub fn is_sparing(&self, number: u32) -> bool {
        self.sparing.as_ref().and_then(|sparing| sparing.get(number as usize)).is_some_and(|sparing| *sparing)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many there are, where each KiB counts as one more.
    pub fn weight(&self) -> usize {
        self.ends.len() + (self.bytes.len() >> 10)
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of `value`, or None when the pool is full: for `sparing` strings, which others must not starve for, when it
    /// is half full.
    pub fn intern(&mut self, value: &[u8], sparing: bool) -> Option<u32> {
        let hash = self.hasher.hash_one(value) as u32;
        let bytes = &self.bytes;
        if let Some(known) = self.index.find(Entry::place(hash), |known| known.is(hash, value, bytes)) {
            let number = known.number;
            if let Some(kind) = self.sparing.as_mut().and_then(|kinds| kinds.get_mut(number as usize)) {
                *kind &= sparing;
            }
            return Some(number);
        }
        let share = if sparing { 2 } else { 1 };
        let full = self.ends.len() >= MAX_STRINGS / share || bytes.len() + value.len() > MAX_BYTES / share;
        if full && self.sparing.is_none() {
            return None;
        }
        let (number, start, length) = (self.ends.len() as u32, bytes.len() as u32, value.len() as u32);
        let entry = Entry { hash, number, start, length };
        self.index.insert_unique(Entry::place(hash), entry, |known| Entry::place(known.hash));
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
        if let Some(kinds) = &mut self.sparing {
            kinds.push(sparing);
        }
        Some(number)
    }

    /// Whether a string found no room for the first time. One row about it is enough.
    pub fn is_first_refusal(&mut self, sparing: bool) -> bool {
        let refused = self.refused.get_mut(usize::from(sparing));
        refused.is_some_and(|refused| !std::mem::replace(refused, true))
    }

    /// Whether every string has been taken.
    pub fn all_taken(&self) -> bool {
        self.taken == self.ends.len()
    }

    /// The strings that are new since the last call.
    pub fn take_new(&mut self) -> Vec<&[u8]> {
        let first = std::mem::replace(&mut self.taken, self.ends.len());
        (first..self.ends.len()).filter_map(|number| self.get(number as u32)).collect()
    }
}

fn span(ends: &[usize], number: u32) -> Option<std::ops::Range<usize>> {
    let index = number as usize;
    let end = *ends.get(index)?;
    let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::Strings;

    #[test]
    fn of_several_back_ends_a_string_is_sparing_while_it_was_that_only() {
        let mut strings = Strings::apart();
        let numbers = [(&b"a handle"[..], true), (b"a name", false)].map(|(value, kind)| strings.intern(value, kind));
        let [handle, name] = numbers.map(Option::unwrap_or_default);
        assert!(strings.is_sparing(handle) && !strings.is_sparing(name));
        strings.intern(b"a name", true);
        strings.intern(b"a handle", false);
        assert!(!strings.is_sparing(handle) && !strings.is_sparing(name));
    }

    /// How many strings of this size find room.
    fn room(size: usize, sparing: bool) -> u32 {
        let mut strings = Strings::default();
        let string = |n: u32| [n.to_be_bytes().to_vec(), vec![0; size - 4]].concat();
        let count = (0..).find(|n| strings.intern(&string(*n), sparing).is_none()).unwrap_or_default();
        assert_eq!(strings.intern(&string(0), sparing), Some(0), "one that is there is found");
        assert_eq!(strings.take_new().len(), count as usize);
        count
    }

    #[test]
    fn strings_are_limited_in_bytes() {
        assert_eq!(room(1 << 20, false), 48);
        assert_eq!(room(1 << 20, true), 24);
    }

    #[test]
    fn a_long_string_weighs_more() {
        let mut strings = Strings::apart();
        let weights = [1, 1_022, 1, 2_048].map(|size| {
            strings.intern(&vec![size as u8; size], false);
            strings.weight()
        });
        assert_eq!(weights, [1, 2, 2, 5]);
    }

    #[test]
    fn strings_are_limited_in_number() {
        assert_eq!(room(4, false), 1 << 20);
    }
}
