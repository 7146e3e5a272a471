//! Malformed, lost or given up: everything in a capture that is not as it should be becomes a row here, never silence and
//! never a panic. Incomplete input is a state of its stage and is not recorded; reaching a limit is.

use hashbrown::HashMap;

/// Rows kept for one kind. A capture of rubbish makes one a frame; the count goes on, the rows do not.
pub const MAX_ROWS_PER_KIND: u64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    pub kind: &'static str,
    pub capture: u16,
    pub frame: u32,
    pub time: i64,
    pub detail: u64,
}

/// Where decoding stands, so that a stage names only what it saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub capture: u16,
    pub frame: u32,
    pub time: i64,
}

#[derive(Default)]
pub struct Oddities {
    pub place: Place,
    /// Places in a file where frames may have been that cannot be read.
    pub unreadable: u32,
    rows: Vec<Oddity>,
    counts: HashMap<&'static str, u64>,
}

impl Oddities {
    /// Records one oddity at the current place; `detail` is a number that the kind's documentation explains.
    pub fn push(&mut self, kind: &'static str, detail: u64) {
        let count = self.counts.entry(kind).or_insert(0);
        *count += 1;
        if *count <= MAX_ROWS_PER_KIND {
            let Place { capture, frame, time } = self.place;
            self.rows.push(Oddity { kind, capture, frame, time, detail });
        }
    }

    pub fn take(&mut self) -> Vec<Oddity> {
        std::mem::take(&mut self.rows)
    }

    /// Details that are numbers of something get other ones.
    pub fn renumber(&mut self, number: impl Fn(&str, u32) -> u32) {
        self.rows.iter_mut().for_each(|row| {
            if let Ok(detail) = u32::try_from(row.detail) {
                row.detail = number(row.kind, detail).into();
            }
        });
    }

    /// Each kind may have all its rows again.
    pub fn forget(&mut self) {
        self.counts.clear();
    }

    pub fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Oddities;

    #[test]
    fn a_kind_has_a_thousand_rows_and_is_counted_further() {
        let mut oddities = Oddities::default();
        (0..1_000).for_each(|detail| oddities.push("some", detail));
        assert_eq!((oddities.take().len(), oddities.count("some")), (1_000, 1_000));
        oddities.push("some", 0);
        oddities.push("other", 7);
        let rows = oddities.take();
        assert_eq!(rows.iter().map(|row| (row.kind, row.detail)).collect::<Vec<_>>(), [("other", 7)]);
        assert_eq!((oddities.count("some"), oddities.count("none")), (1_001, 0));
        oddities.forget();
        oddities.push("some", 3);
        assert_eq!((oddities.take().len(), oddities.count("some")), (1, 1));
    }
}
