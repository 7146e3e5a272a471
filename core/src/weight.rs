//! How much waits to be taken, in exchanges: what they, their fields and sums take in memory. It is the same for any number of
//! back ends, so that rows can be taken after the same frame.

use std::ops::AddAssign;

/// An exchange has two rows of its messages, at most six strings in them, and one or two short ones of its own. Where there are
/// many more (entries of lists, long names, handles that are counted), these count as one exchange that waits.
pub const ROWS_OF_EXCHANGE: usize = 4;
const STRINGS_OF_EXCHANGE: usize = 8;
pub const BYTES_OF_EXCHANGE: usize = 256;
/// A string is long beyond so many bytes, as the longest handle of a file has (RFC 1813 section 2.4).
const SHORT: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Those that are not counted elsewhere.
    pub exchanges: usize,
    /// Rows of fields of messages, and of their copies.
    pub messages: usize,
    /// Strings, those of messages as often as they come, and their bytes beyond those of short ones: how many of them differ
    /// depends on which shards a back end has.
    pub strings: usize,
    pub long: usize,
    /// Rows of sums and of flows.
    pub sums: usize,
}

impl Weight {
    pub fn add_string(&mut self, size: usize) {
        self.strings += 1;
        self.long += size.saturating_sub(SHORT);
    }

    pub fn total(self) -> usize {
        let Weight { exchanges, messages, strings, long, sums } = self;
        let fields = [messages / ROWS_OF_EXCHANGE, strings / STRINGS_OF_EXCHANGE, long / BYTES_OF_EXCHANGE];
        fields.into_iter().fold(exchanges, usize::max) + sums
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Weight) {
        self.exchanges += other.exchanges;
        self.messages += other.messages;
        self.strings += other.strings;
        self.long += other.long;
        self.sums += other.sums;
    }
}

impl std::iter::Sum for Weight {
    fn sum<I: Iterator<Item = Weight>>(weights: I) -> Weight {
        weights.fold(Weight::default(), |mut sum, weight| {
            sum += weight;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_most_of_counts_and_sums_besides() {
        let weight =
            |exchanges, messages, strings, long, sums| Weight { exchanges, messages, strings, long, sums }.total();
        assert_eq!([weight(5, 23, 0, 0, 0), weight(5, 24, 0, 0, 0), weight(5, 24, 0, 256 * 7, 3)], [5, 6, 10]);
        assert_eq!([weight(5, 0, 47, 0, 0), weight(5, 0, 48, 0, 1)], [5, 7]);
        let long = [64, 65].map(|size| {
            let mut weight = Weight::default();
            weight.add_string(size);
            weight.long
        });
        assert_eq!(long, [0, 1], "the longest handle is short");
        let parts = [Weight { exchanges: 1, messages: 2, strings: 3, long: 4, sums: 5 }; 2];
        let sum = Weight { exchanges: 2, messages: 4, strings: 6, long: 8, sums: 10 };
        assert_eq!(parts.into_iter().sum::<Weight>(), sum);
    }

    #[test]
    fn a_string_is_long_beyond_a_handle() {
        let mut weight = Weight::default();
        [64, 65].into_iter().for_each(|size| weight.add_string(size));
        assert_eq!((weight.strings, weight.long), (2, 1));
    }
}
