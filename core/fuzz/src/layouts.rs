//! Layouts of protocols, as layouts.py writes them.

use std::sync::LazyLock;

use nfsrpc_core::tally::{Arguments, Fold};
use nfsrpc_core::xdr::{Kind, Layout, Layouts, RawOp, Table};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/layouts.txt");
/// Programs whose layouts are bounded apart.
const SECONDARY: [u32; 1] = [100_003];
/// Slower exchanges than this are listed even where they are folded.
const SLOW_NS: i64 = 1_000_000_000;

/// Program, version, procedure, and whether it is of the reply.
pub type Name = (u32, u32, u32, bool);

struct Known {
    tables: Vec<Table>,
    layouts: Vec<(Name, Layout)>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let text = std::fs::read_to_string(PATH).unwrap_or_else(|error| panic!("{PATH}: {error}; `make fuzz` writes it"));
    parse(&text).expect("layouts.txt is as layouts.py writes it")
});

fn parse(text: &str) -> Option<Known> {
    let mut known = Known { tables: Vec::new(), layouts: Vec::new() };
    let mut raw: Vec<(Vec<i64>, Vec<RawOp>)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        match words.next()? {
            "table" => known.tables.push(table(&mut words)?),
            "layout" => raw.push((words.map(|word| word.parse().ok()).collect::<Option<_>>()?, Vec::new())),
            _ => raw.last_mut()?.1.push(operation(&mut words)?),
        }
    }
    for (head, ops) in raw {
        let [prog, vers, proc, direction, table, keep, most] = *head.as_slice() else { return None };
        let mut layout = Layout::new(&ops, usize::try_from(table).ok(), keep as usize, &known.tables).ok()?;
        layout.most = most as usize;
        layout.secondary = SECONDARY.contains(&(prog as u32));
        known.layouts.push(((prog as u32, vers as u32, proc as u32, direction == 1), layout));
    }
    Some(known)
}

fn table<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Table> {
    let name = words.next()?;
    let column = |word: &str| word.split_once(':').and_then(|(name, kind)| Some((name.to_owned(), Kind::named(kind)?)));
    Some(Table::new(name, &words.map(column).collect::<Option<Vec<_>>>()?))
}

fn operation<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<RawOp> {
    let mut number = || words.next()?.parse::<i64>().ok();
    let (code, a, b, c) = (number()?, number()?, number()?, number()?);
    let pair = |word: &str| word.split_once(':').and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
    Some((code as u8, a, b, c, words.map(pair).collect::<Option<_>>()?))
}

pub fn tables() -> Vec<Table> {
    KNOWN.tables.clone()
}

pub fn all() -> Layouts {
    let mut layouts = Layouts::default();
    for ((prog, vers, proc, reply), layout) in &KNOWN.layouts {
        layouts.add(*prog, *vers, *proc, *reply, layout.clone());
    }
    layouts
}

/// One of the layouts, and what it is of; any number gives one.
pub fn one(number: u16) -> (Name, &'static Layout) {
    let (name, layout) = &KNOWN.layouts[usize::from(number) % KNOWN.layouts.len()];
    (*name, layout)
}

/// Every procedure that has a layout is counted instead of listed, and counted by handle.
pub fn fold() -> Fold {
    let procedures = KNOWN.layouts.iter().map(|((prog, vers, proc, _), _)| (*prog, *vers, *proc));
    let by_handle = procedures.clone().map(|procedure| (procedure, Arguments::default())).collect();
    Fold { procedures: procedures.collect(), slow_ns: SLOW_NS, by_handle }
}
