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

#[derive(Default)]
pub struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    taken: usize,
}

impl Strings {
    pub fn get(&self, number: u32) -> Option<&[u8]> {
        span(&self.ends, number).and_then(|span| self.bytes.get(span))
    }

    /// The number of `value`, or None when the pool is full: for `sparing` strings, which others must not starve for, when it
    /// is half full.
    pub fn intern(&mut self, value: &[u8], sparing: bool) -> Option<u32> {
        let share = if sparing { 2 } else { 1 };
        let hash = self.hasher.hash_one(value);
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        let stored = |number: &u32| span(ends, *number).and_then(|span| bytes.get(span)).unwrap_or_default();
        if let Some(number) = self.index.find(hash, |number| stored(number) == value) {
            return Some(*number);
        }
        if self.ends.len() >= MAX_STRINGS / share || self.bytes.len() + value.len() > MAX_BYTES / share {
            return None;
        }
        let number = self.ends.len() as u32;
        self.index.insert_unique(hash, number, |number| hasher.hash_one(stored(number)));
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
        Some(number)
    }

    /// Begins anew from number 0, unless some string has not been taken yet: then its number is still needed.
    pub fn forget(&mut self) -> bool {
        let all_taken = self.taken == self.ends.len();
        if all_taken {
            self.bytes.clear();
            self.ends.clear();
            self.index.clear();
            self.taken = 0;
        }
        all_taken
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
    fn strings_are_limited_in_number() {
        assert_eq!(room(4, false), 1 << 20);
    }

    #[test]
    fn strings_are_forgotten_when_all_were_taken() {
        let mut strings = Strings::default();
        assert_eq!([b"a", b"b", b"a"].map(|value| strings.intern(value, false)), [Some(0), Some(1), Some(0)]);
        assert!(!strings.forget());
        assert_eq!(strings.take_new(), [b"a", b"b"]);
        assert!(strings.forget());
        assert_eq!(strings.get(0), None);
        assert_eq!(strings.intern(b"b", false), Some(0));
    }
}
