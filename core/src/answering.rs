//! Where programs have answered, so that a call at another port is known to follow its program there.

/// Places where programs answer that are known: what one capture has of them, with room.
const ANSWERING: usize = 1 << 8;

/// A server's address, program and port.
type Answered = (u32, u32, u16);

/// Each in the one place that it may have, whoever stood there before.
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
