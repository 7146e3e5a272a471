//! RPCSEC_GSS (RFC 2203): how it wraps the bodies of messages.

use crate::rpc::{Auth, RPCSEC_GSS, word};

/// How RPCSEC_GSS wraps a body (RFC 2203 section 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gss {
    #[default]
    Bare,
    Integrity,
    /// Encrypted, or the context's own messages.
    Opaque,
}

impl Gss {
    pub fn of(cred: &Auth<'_>) -> Gss {
        const DATA: u32 = 0;
        const NONE: u32 = 1;
        const INTEGRITY: u32 = 2;
        if cred.flavor != RPCSEC_GSS {
            return Gss::Bare;
        }
        match (word(cred.body, 4), word(cred.body, 12)) {
            (Some(DATA), Some(NONE)) => Gss::Bare,
            (Some(DATA), Some(INTEGRITY)) => Gss::Integrity,
            _ => Gss::Opaque,
        }
    }

    /// The arguments or results inside a body of `length` bytes, and their length.
    pub fn open(self, body: &[u8], length: usize) -> Option<(&[u8], usize)> {
        match self {
            Gss::Bare => Some((body, length)),
            Gss::Opaque => None,
            Gss::Integrity => {
                let inner = (word(body, 0)? as usize).checked_sub(4)?;
                let data = body.get(8..)?;
                Some((data.get(..inner).unwrap_or(data), inner))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gss;
    use crate::rpc::Auth;

    fn of(flavor: u32, procedure: u32, service: u32) -> Gss {
        let body = [1, procedure, 7, service].map(u32::to_be_bytes).concat();
        Gss::of(&Auth { flavor, body: &body })
    }

    #[test]
    fn only_data_may_be_read_and_by_its_service() {
        assert_eq!([1, 2, 3].map(|service| of(6, 0, service)), [Gss::Bare, Gss::Integrity, Gss::Opaque]);
        assert_eq!([of(6, 1, 1), of(6, 3, 2), of(1, 1, 3)], [Gss::Opaque, Gss::Opaque, Gss::Bare]);
        assert_eq!(Gss::of(&Auth { flavor: 6, body: &[0; 8] }), Gss::Opaque);
    }

    #[test]
    fn integrity_is_a_length_a_sequence_number_and_then_the_body() {
        let wrapped = [0, 0, 0, 7, 0, 0, 0, 1, 5, 6, 7, 8];
        assert_eq!(Gss::Integrity.open(&wrapped, 40), Some((&[5, 6, 7][..], 3)));
        let cut = [0, 0, 0, 20, 0, 0, 0, 1, 5];
        assert_eq!(Gss::Integrity.open(&cut, 40), Some((&[5][..], 16)));
        assert_eq!(Gss::Integrity.open(&[0, 0, 0, 3, 0, 0, 0, 1], 8), None);
        assert_eq!(Gss::Integrity.open(&wrapped[..7], 40), None);
        assert_eq!((Gss::Bare.open(&[1], 9), Gss::Opaque.open(&[1], 9)), (Some((&[1][..], 9)), None));
    }
}
