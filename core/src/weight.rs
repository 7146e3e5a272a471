//! How much waits to be taken, in exchanges: what they, their fields and sums take in memory. It is the same for any number of
//! back ends, so that rows can be taken after the same frame.

use std::ops::AddAssign;

/// An exchange has two rows of its messages, and one or two short strings of its own. Where there are many more (entries of
/// lists, long names), these count as one exchange that waits.
pub const ROWS_OF_EXCHANGE: usize = 4;
pub const BYTES_OF_EXCHANGE: usize = 256;
/// A string is long beyond so many bytes, as the longest handle of a file has (RFC 1813 section 2.4).
pub const SHORT: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Those that are not counted elsewhere.
    pub exchanges: usize,
    /// Rows of fields of messages.
    pub messages: usize,
    /// Bytes of strings beyond those of short ones, as often as they come.
    pub long: usize,
    /// Rows of sums and of flows.
    pub sums: usize,
}

impl Weight {
    pub fn total(self) -> usize {
        let Weight { exchanges, messages, long, sums } = self;
        exchanges.max(messages / ROWS_OF_EXCHANGE).max(long / BYTES_OF_EXCHANGE) + sums
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Weight) {
        self.exchanges += other.exchanges;
        self.messages += other.messages;
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
        let weight = |exchanges, messages, long, sums| Weight { exchanges, messages, long, sums }.total();
        assert_eq!([weight(5, 23, 0, 0), weight(5, 24, 0, 0), weight(5, 24, 256 * 7, 3)], [5, 6, 10]);
        let parts = [Weight { exchanges: 1, messages: 2, long: 3, sums: 4 }; 2];
        assert_eq!(parts.into_iter().sum::<Weight>(), Weight { exchanges: 2, messages: 4, long: 6, sums: 8 });
    }
}
