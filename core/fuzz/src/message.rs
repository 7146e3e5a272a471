//! RPC messages that the input chooses: valid headers, any bodies.

use crate::{Result, Unstructured, layouts};

const AUTH_NONE: [u32; 2] = [0, 0];
/// stamp, a machine's name of one letter, uid, gid, no more groups.
const AUTH_SYS: [u32; 8] = [1, 24, 0, 1, 0x6100_0000, 0, 0, 0];
const LAST_STATUS: u8 = 5;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// RPCSEC_GSS (RFC 2203): version 1, DATA, a sequence number, the service, a handle of one word.
fn gss(service: u8) -> Vec<u8> {
    words(&[6, 24, 1, 0, 1, service.into(), 4, 7])
}

fn credential(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match input.arbitrary::<u8>()? {
        kind @ 1..=3 => gss(kind),
        4..=15 => words(&AUTH_SYS),
        _ => words(&AUTH_NONE),
    })
}

/// As many bytes as the input says and has.
pub fn bytes<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let size = usize::from(input.arbitrary::<u16>()? % 4096);
    input.bytes(size.min(input.len()))
}

pub fn call(input: &mut Unstructured<'_>, xid: u32) -> Result<Vec<u8>> {
    let ((prog, vers, proc, _), _) = layouts::one(input.arbitrary()?);
    let (credential, args) = (credential(input)?, bytes(input)?);
    Ok([&words(&[xid, 0, 2, prog, vers, proc]), &credential, &words(&AUTH_NONE), args].concat())
}

pub fn reply(input: &mut Unstructured<'_>, xid: u32) -> Result<Vec<u8>> {
    let status = input.arbitrary::<u8>()?.saturating_sub(u8::MAX - LAST_STATUS);
    Ok([&words(&[xid, 1, 0, 0, 0, status.into()]), bytes(input)?].concat())
}

/// A record of one fragment, or of several, of which the input chooses the sizes.
pub fn record(input: &mut Unstructured<'_>, message: &[u8]) -> Result<Vec<u8>> {
    const LAST: u32 = 1 << 31;
    let (mut record, mut rest) = (Vec::new(), message);
    for _ in 0..input.arbitrary::<u8>()?.saturating_sub(250) {
        let (fragment, later) = rest.split_at(usize::from(input.arbitrary::<u8>()?).min(rest.len()));
        record.extend([&words(&[fragment.len() as u32]), fragment].concat());
        rest = later;
    }
    record.extend([&words(&[LAST | rest.len() as u32]), rest].concat());
    Ok(record)
}
