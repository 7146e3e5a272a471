//! Layouts: any operations that `Layout::new` accepts, and those of the protocols, run over any body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nfsrpc_core::oddity::Oddities;
use nfsrpc_core::strings::Strings;
use nfsrpc_core::xdr::{Kind, Layout, Owner, RawOp, Run, Table};
use nfsrpc_fuzz::rows::check_table;
use nfsrpc_fuzz::{Result, Unstructured, layouts};

const KINDS: [Kind; 6] = [Kind::U32, Kind::I32, Kind::U64, Kind::I64, Kind::Bool, Kind::Bytes];
const MOST_OPS: usize = 64;
/// Items that one message may add to child tables, and its own row.
const MOST_ROWS: usize = 65_536 + 1;

fn tables(input: &mut Unstructured<'_>) -> Result<Vec<Table>> {
    let table = |_| {
        let kinds: u16 = input.arbitrary()?;
        let columns = (0..4).map(|at| (format!("c{at}"), KINDS[usize::from(kinds >> (4 * at) & 15) % KINDS.len()]));
        Ok(Table::new("t", &columns.collect::<Vec<_>>()))
    };
    (0..3).map(table).collect()
}

/// A number that is a column, a table, a size or a near operation more often than not.
fn operand(input: &mut Unstructured<'_>, at: usize) -> Result<i64> {
    let (kind, value) = (input.arbitrary::<u8>()?, input.arbitrary::<i8>()?);
    Ok(match kind % 8 {
        0 => -1,
        1 | 2 => i64::from(value & 3),
        3 | 4 => at as i64 + i64::from(value & 7),
        5 => i64::from(value).abs(),
        6 => i64::from(value) << 20,
        _ => input.arbitrary()?,
    })
}

fn operation(input: &mut Unstructured<'_>, at: usize) -> Result<RawOp> {
    let (code, count) = (input.arbitrary::<u8>()? % 18, input.arbitrary::<u8>()? % 4);
    let (a, b, c) = (operand(input, at)?, operand(input, at)?, operand(input, at)?);
    let pairs =
        (0..count).map(|_| Ok((input.arbitrary::<u8>()?.into(), operand(input, at)?))).collect::<Result<_>>()?;
    Ok((code, a, b, c, pairs))
}

fn run(layout: &Layout, mut tables: Vec<Table>, body: &[u8], missing: usize) {
    let (mut strings, mut oddities) = (Strings::default(), Oddities::default());
    let (owner, rows) = (Owner::default(), &mut 0);
    let mut run = Run { tables: &mut tables, strings: &mut strings, oddities: &mut oddities, owner, rows };
    let outcome = run.run(layout, body, body.len() + missing);
    assert!(missing > 0 || !outcome.cut, "cut, though nothing is missing");
    assert!(tables.iter().map(|table| table.owners.len()).sum::<usize>() <= MOST_ROWS, "rows without end");
    let strings = strings.take_new();
    assert!(strings.iter().map(|value| value.len()).sum::<usize>() <= body.len(), "strings are of the body");
    tables.iter().for_each(|table| check_table(table, strings.len()));
}

fn fuzz(input: &mut Unstructured<'_>) -> Result<()> {
    let (number, missing) = (input.arbitrary::<u16>()?, usize::from(input.arbitrary::<u16>()?));
    if number & 1 != 0 {
        let (_, layout) = layouts::one(number >> 1);
        run(layout, layouts::tables(), rest(input), missing);
        return Ok(());
    }
    let (tables, count) = (tables(input)?, usize::from(input.arbitrary::<u8>()?) % MOST_OPS);
    let ops = (0..count).map(|at| operation(input, at)).collect::<Result<Vec<_>>>()?;
    if let Ok(layout) = Layout::new(&ops, Some(0), 1024, &tables) {
        run(&layout, tables, rest(input), missing);
    }
    Ok(())
}

fn rest<'a>(input: &mut Unstructured<'a>) -> &'a [u8] {
    input.bytes(input.len()).unwrap_or_default()
}

fuzz_target!(|data: &[u8]| {
    let _ = fuzz(&mut Unstructured::new(data));
});
