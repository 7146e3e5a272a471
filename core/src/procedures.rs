//! What is declared of procedures, found by their numbers. A table is made once, of declarations, and only looked into by what
//! captures hold: so it needs no keyed hash, and no lookup passes more places than the longest run that the declarations make.

/// Program, version, procedure.
pub type Procedure = (u32, u32, u32);

/// Places for each entry, so that most lookups see one.
const SPARSENESS: usize = 4;

#[derive(Clone, Debug)]
pub struct ByProcedure<T> {
    /// A power of two of places, of which at least one is free.
    places: Vec<Option<(Procedure, T)>>,
    count: usize,
}

impl<T> Default for ByProcedure<T> {
    fn default() -> Self {
        ByProcedure { places: vec![None], count: 0 }
    }
}

impl<T> ByProcedure<T> {
    /// Where the search for a procedure begins in a table of so many places.
    #[inline(always)]
    fn first((prog, vers, proc): Procedure, places: usize) -> usize {
        const MIX: u32 = 0x9e37_79b9;
        let mixed = (prog ^ vers.rotate_left(16)).wrapping_mul(MIX).rotate_left(8).wrapping_add(proc);
        mixed as usize & (places - 1)
    }

    #[inline(always)]
    pub fn get(&self, procedure: Procedure) -> Option<&T> {
        let mut at = Self::first(procedure, self.places.len());
        loop {
            let (known, value) = self.places.get(at)?.as_ref()?;
            if *known == procedure {
                return Some(value);
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    /// What is known of a procedure, or what is made of nothing.
    pub fn entry(&mut self, procedure: Procedure, value: impl FnOnce(usize) -> T) -> Option<&mut T> {
        if self.places.len() < SPARSENESS * (self.count + 1) {
            let size = (SPARSENESS * (self.count + 1)).next_power_of_two();
            let places = std::mem::replace(&mut self.places, (0..size).map(|_| None).collect());
            for known in places.into_iter().flatten() {
                let at = self.place(known.0);
                if let Some(place) = self.places.get_mut(at) {
                    *place = Some(known);
                }
            }
        }
        let at = self.place(procedure);
        let place = self.places.get_mut(at)?;
        if place.is_none() {
            *place = Some((procedure, value(self.count)));
            self.count += 1;
        }
        place.as_mut().map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Procedure, &T)> {
        self.places.iter().flatten().map(|(procedure, value)| (*procedure, value))
    }

    /// Where a procedure is, or has room.
    fn place(&self, procedure: Procedure) -> usize {
        let mask = self.places.len() - 1;
        let mut at = Self::first(procedure, self.places.len());
        while self.places.get(at).and_then(Option::as_ref).is_some_and(|(known, _)| *known != procedure) {
            at = (at + 1) & mask;
        }
        at
    }
}

impl<T> FromIterator<(Procedure, T)> for ByProcedure<T> {
    fn from_iter<I: IntoIterator<Item = (Procedure, T)>>(entries: I) -> Self {
        let mut table = ByProcedure::default();
        for (procedure, value) in entries {
            table.entry(procedure, |_| value);
        }
        table
    }
}

impl<T, const N: usize> From<[(Procedure, T); N]> for ByProcedure<T> {
    fn from(entries: [(Procedure, T); N]) -> Self {
        entries.into_iter().collect()
    }
}

/// Procedures, each with its place among them.
impl FromIterator<Procedure> for ByProcedure<usize> {
    fn from_iter<I: IntoIterator<Item = Procedure>>(procedures: I) -> Self {
        let mut table = ByProcedure::default();
        for procedure in procedures {
            table.entry(procedure, |number| number);
        }
        table
    }
}

impl<const N: usize> From<[Procedure; N]> for ByProcedure<usize> {
    fn from(procedures: [Procedure; N]) -> Self {
        procedures.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_procedure_has_what_was_declared_of_it() {
        let all = || (0..300).map(|n| (100_000 + n / 30, n / 10 % 3, n % 10));
        let table: ByProcedure<usize> = all().collect();
        assert!(all().enumerate().all(|(number, procedure)| table.get(procedure) == Some(&number)));
        assert_eq!([(100_000, 0, 10), (100_000, 3, 0), (99_999, 0, 0)].map(|other| table.get(other)), [None; 3]);
        assert_eq!(ByProcedure::<u8>::default().get((0, 0, 0)), None);
    }

    #[test]
    fn what_was_declared_first_stays() {
        let table = ByProcedure::from([((1, 2, 3), 'a'), ((1, 2, 3), 'b'), ((1, 2, 4), 'c')]);
        assert_eq!([(1, 2, 3), (1, 2, 4)].map(|procedure| table.get(procedure)), [Some(&'a'), Some(&'c')]);
    }
}
