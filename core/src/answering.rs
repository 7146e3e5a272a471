//! Where programs have answered, so that a call at another port is known to follow its program there.

/// Places where programs answer that are known: what one capture has of them, with room.
const ANSWERING: usize = 1 << 8;

/// A server's address, program and port.
type Answered = (u32, u32, u16);

/// Each has one possible place, and takes it from the entry that was there before.
#[derive(Debug)]
pub struct Answering([Option<Answered>; ANSWERING]);

impl Default for Answering {
    fn default() -> Self {
        Answering([None; ANSWERING])
    }
}

impl Answering {
    fn place((server, prog, port): Answered) -> usize {
        (server.wrapping_mul(31) ^ prog ^ u32::from(port)) as usize % ANSWERING
    }

    #[inline]
    pub fn note(&mut self, answered: Answered) {
        if let Some(known) = self.0.get_mut(Answering::place(answered)) {
            *known = Some(answered);
        }
    }

    pub fn knows(&self, answered: Answered) -> bool {
        self.0.get(Answering::place(answered)) == Some(&Some(answered))
    }
}

#[cfg(test)]
mod tests {
    use super::Answering;

    #[test]
    fn a_place_is_known_until_another_takes_it() {
        let mut answering = Answering::default();
        let places = [(1, 100, 111), (1, 101, 111), (2, 100, 111), (1, 100, 112)];
        assert!(!answering.knows(places[0]));
        answering.note(places[0]);
        assert_eq!(places.map(|place| answering.knows(place)), [true, false, false, false]);
        answering.note(places[1]);
        assert_eq!(places.map(|place| answering.knows(place)), [true, true, false, false]);
        // The port of the first, 256 further, has its place.
        answering.note((1, 100, 111 + 256));
        assert_eq!(places.map(|place| answering.knows(place)), [false, true, false, false]);
    }

    #[test]
    fn what_one_capture_has_of_them_has_room() {
        let mut answering = Answering::default();
        (0..256).for_each(|port| answering.note((0, 0, port)));
        assert!((0..256).all(|port| answering.knows((0, 0, port))));
    }
}
