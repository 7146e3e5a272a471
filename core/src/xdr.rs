//! XDR (RFC 4506) by layout: a flat list of operations, compiled from a declaration outside this crate, run over a message
//! body and appending to typed columns.
//!
//! Targets point forward only, items take at least four bytes, so that a run ends with the body. A body shorter than its
//! layout leaves the rest null: cut where the capture is to blame, an oddity where the message is. Values that a declaration
//! does not know are kept and reported.

use crate::oddity::Oddities;
use crate::procedures::ByProcedure;
use crate::rpc::word;
use crate::strings::{NO_STRING, Strings};
use crate::weight::Weight;

/// Rows of child tables that one message may add: a READDIRPLUS reply of 1 MiB holds fewer than 10,000 entries.
const MAX_ITEMS: u32 = 65_536;
/// Rows of secondary layouts, in a shard: names of files, which are many, must not take the room of locks, which are few.
pub const MAX_SECONDARY_ROWS: u32 = 1 << 18;
/// Nesting of lists; protocols here have two.
const MAX_DEPTH: usize = 8;

/// The place of an item that is in no list.
pub const NO_ITEM: u32 = u32::MAX;

pub type Column = Option<usize>;

macro_rules! codes {
    ($($(#[$what:meta])* $name:ident = $code:literal,)*) => {
        /// The operations as they come in: each name with its number, of which the declaration's compiler has them too.
        pub mod code {
            $($(#[$what])* pub const $name: u8 = $code;)*

            pub const ALL: &[(&str, u8)] = &[$((stringify!($name), $name),)*];
        }
    };
}

// Operands a, b, c: `a` is the column to fill, -1 for none, or where it says so a table or a target, which is the index of the
// operation to go on with, always further on.
codes! {
    /// What follows is not looked at.
    END = 0,
    INT32 = 1,
    INT64 = 2,
    /// Another value than 0 and 1 is malformed.
    BOOL = 3,
    /// With the values allowed, none for all; another one is kept and reported.
    ENUM = 4,
    /// Also a string; b: the longest.
    OPAQUE = 5,
    /// b: the length.
    FIXED = 6,
    /// As OPAQUE, but the column is of the length, and the bytes are not stored and need not be captured.
    DATA = 7,
    /// a: column of the discriminant; b: 1 if a value in no arm is reported; c: target of the default, -1 for malformed; with
    /// (value, target) for the arms.
    UNION = 8,
    /// a: target.
    JUMP = 9,
    /// a: target where the item is absent.
    OPTIONAL = 10,
    /// a: child table, -1 for none; b: most items; c: target after the last item; the body ends with ITEM_END.
    ARRAY = 11,
    /// As ARRAY, of items that a TRUE announces each.
    LIST = 12,
    ITEM_END = 13,
    /// As ARRAY; b: the number of items.
    FIXED_ARRAY = 14,
    /// Reads nothing: the last 32 bits read are the procedure's status.
    STATUS = 15,
    /// As END, but bytes left over are reported.
    DONE = 16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    End,
    Int32 {
        column: Column,
    },
    Int64 {
        column: Column,
    },
    Bool {
        column: Column,
    },
    Enum {
        column: Column,
        values: Vec<u32>,
    },
    Opaque {
        column: Column,
        max: usize,
    },
    Fixed {
        column: Column,
        size: usize,
    },
    Data {
        column: Column,
        max: usize,
    },
    /// `closed`: what is in no arm goes to the default, and is reported.
    Union {
        column: Column,
        default: Option<usize>,
        closed: bool,
        arms: Vec<(u32, usize)>,
    },
    Jump {
        target: usize,
    },
    Optional {
        absent: usize,
    },
    Array {
        table: Option<usize>,
        max: u32,
        after: usize,
    },
    List {
        table: Option<usize>,
        after: usize,
    },
    ItemEnd,
    FixedArray {
        table: Option<usize>,
        size: u32,
        after: usize,
    },
    Status,
    Done,
}

/// An operation as the declaration's compiler writes it: code, three numbers, and the pairs of a union or values of an enum.
pub type RawOp = (u8, i64, i64, i64, Vec<(i64, i64)>);

#[derive(Clone, Debug)]
pub struct Layout {
    pub table: Option<usize>,
    pub keep: usize,
    /// The longest that a body can be.
    pub most: usize,
    /// Of use, but not to be had at the cost of others: its rows and strings are bounded apart.
    pub secondary: bool,
    /// Whether rows come of it, which refer to their exchange.
    pub fills: bool,
    ops: Vec<Op>,
}

impl Layout {
    /// Checks every operand once, so that running needs no trust. The error names the operation.
    pub fn new(ops: &[RawOp], table: Option<usize>, keep: usize, tables: &[Table]) -> Result<Layout, String> {
        let mut children = vec![table];
        let mut fills = table.is_some();
        let mut checked = Vec::with_capacity(ops.len());
        let bodies = bodies(ops);
        for (at, raw) in ops.iter().enumerate() {
            let table = children.last().copied().flatten();
            let op = Check { at, bodies: &bodies, tables, table }.op(raw)?;
            match &op {
                Op::Array { table, .. } | Op::List { table, .. } | Op::FixedArray { table, .. } => {
                    fills |= table.is_some();
                    children.push(*table);
                }
                Op::ItemEnd if children.len() > 1 => drop(children.pop()),
                Op::ItemEnd => return Err(format!("operation {at} ends an item that was not begun")),
                _ => {}
            }
            if children.len() > MAX_DEPTH {
                return Err(format!("operation {at} nests lists too deep"));
            }
            checked.push(op);
        }
        Ok(Layout { table, keep, most: usize::MAX, secondary: false, fills, ops: checked })
    }
}

impl Layout {
    /// The outcome of a layout that asks for no more than the status, or for nothing, as most do. Any other one, and what is not
    /// as usual, is to be run ([`Run::run`]).
    #[inline(always)]
    pub fn brief(&self, body: &[u8], length: usize) -> Option<Outcome> {
        if self.table.is_some() || body.len() > length {
            return None;
        }
        match self.ops.as_slice() {
            [Op::End] => Some(Outcome::default()),
            [Op::Enum { column: None, values }, Op::Status, Op::End] => {
                let status = word(body, 0).filter(|status| values.first() == Some(status))?;
                Some(Outcome { status: Some(status), ..Outcome::default() })
            }
            _ => None,
        }
    }
}

/// Which list's body each operation is in, by the number of the operation that begins it, and what follows the last one.
fn bodies(ops: &[RawOp]) -> Vec<Option<usize>> {
    let mut open = Vec::new();
    let mut bodies = Vec::with_capacity(ops.len() + 1);
    for (at, (code, ..)) in ops.iter().enumerate() {
        bodies.push(open.last().copied());
        match *code {
            code::ARRAY | code::LIST | code::FIXED_ARRAY => open.push(at),
            code::ITEM_END => drop(open.pop()),
            _ => {}
        }
    }
    bodies.push(None);
    bodies
}

struct Check<'a> {
    at: usize,
    bodies: &'a [Option<usize>],
    tables: &'a [Table],
    table: Option<usize>,
}

impl Check<'_> {
    fn op(&self, (code, a, b, c, pairs): &RawOp) -> Result<Op, String> {
        use Kind::{Bool, Bytes};
        const INTEGERS: [Kind; 4] = [Kind::U32, Kind::I32, Kind::U64, Kind::I64];
        Ok(match *code {
            code::END => Op::End,
            code::INT32 => Op::Int32 { column: self.column(*a, &INTEGERS)? },
            code::INT64 => Op::Int64 { column: self.column(*a, &INTEGERS)? },
            code::BOOL => Op::Bool { column: self.column(*a, &[Bool])? },
            code::ENUM => {
                let mut values: Vec<u32> = pairs.iter().map(|(value, _)| *value as u32).collect();
                values.sort_unstable();
                Op::Enum { column: self.column(*a, &INTEGERS)?, values }
            }
            code::OPAQUE => Op::Opaque { column: self.column(*a, &[Bytes])?, max: self.size(*b)? },
            code::FIXED => Op::Fixed { column: self.column(*a, &[Bytes])?, size: self.size(*b)? },
            code::DATA => Op::Data { column: self.column(*a, &INTEGERS)?, max: self.size(*b)? },
            code::UNION => {
                let arm = |(value, target): &(i64, i64)| Ok((*value as u32, self.target(*target)?));
                let arms = pairs.iter().map(arm).collect::<Result<_, String>>()?;
                let default = if *c < 0 { None } else { Some(self.target(*c)?) };
                let column = self.column(*a, &[INTEGERS.as_slice(), &[Bool]].concat())?;
                Op::Union { column, default, closed: *b != 0, arms }
            }
            code::JUMP => Op::Jump { target: self.target(*a)? },
            code::OPTIONAL => Op::Optional { absent: self.target(*a)? },
            code::ARRAY => Op::Array { table: self.child(*a)?, max: self.size(*b)? as u32, after: self.target(*c)? },
            code::LIST => Op::List { table: self.child(*a)?, after: self.target(*c)? },
            code::ITEM_END => Op::ItemEnd,
            code::FIXED_ARRAY => {
                Op::FixedArray { table: self.child(*a)?, size: self.size(*b)? as u32, after: self.target(*c)? }
            }
            code::STATUS => Op::Status,
            code::DONE => Op::Done,
            _ => return Err(format!("operation {} has the unknown code {code}", self.at)),
        })
    }

    fn target(&self, target: i64) -> Result<usize, String> {
        let further = usize::try_from(target).ok().filter(|target| *target > self.at);
        let body = self.bodies.get(self.at);
        let inside = further.filter(|target| self.bodies.get(*target) == body);
        inside
            .ok_or_else(|| format!("operation {} jumps to {target}, which is not further on in the same list", self.at))
    }

    fn size(&self, size: i64) -> Result<usize, String> {
        u32::try_from(size).map(|size| size as usize).map_err(|_| format!("operation {} has the size {size}", self.at))
    }

    fn child(&self, table: i64) -> Result<Option<usize>, String> {
        let Ok(index) = usize::try_from(table) else { return Ok(None) };
        let known = self.tables.get(index).map(|_| Some(index));
        known.ok_or_else(|| format!("operation {} names table {table}, which is not declared", self.at))
    }

    fn column(&self, column: i64, kinds: &[Kind]) -> Result<Column, String> {
        let Ok(index) = usize::try_from(column) else { return Ok(None) };
        let found = self.table.and_then(|table| self.tables.get(table)).and_then(|table| table.columns.get(index));
        match found {
            Some(column) if kinds.contains(&column.kind) => Ok(Some(index)),
            Some(column) => {
                Err(format!("operation {} cannot fill column {} of kind {:?}", self.at, column.name, column.kind))
            }
            None => Err(format!("operation {} names column {index}, which its table has not", self.at)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    U32,
    I32,
    U64,
    I64,
    Bool,
    /// A number into [`Strings`].
    Bytes,
}

impl Kind {
    pub fn named(name: &str) -> Option<Kind> {
        const NAMES: [(&str, Kind); 6] = [
            ("u32", Kind::U32),
            ("i32", Kind::I32),
            ("u64", Kind::U64),
            ("i64", Kind::I64),
            ("bool", Kind::Bool),
            ("bytes", Kind::Bytes),
        ];
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

#[derive(Clone, Debug)]
pub enum ColumnValues {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

/// Values as they stand on the wire, widened to the column; the kind says how they are to be read.
#[derive(Clone, Debug)]
pub struct ColumnData {
    pub name: String,
    pub kind: Kind,
    pub values: ColumnValues,
    pub valid: Vec<bool>,
}

impl ColumnData {
    fn new(name: &str, kind: Kind) -> Self {
        let values = match kind {
            Kind::U64 | Kind::I64 => ColumnValues::Wide(Vec::new()),
            _ => ColumnValues::Narrow(Vec::new()),
        };
        ColumnData { name: name.to_owned(), kind, values, valid: Vec::new() }
    }

    fn open(&mut self) {
        self.valid.push(false);
        match &mut self.values {
            ColumnValues::Narrow(values) => values.push(0),
            ColumnValues::Wide(values) => values.push(0),
        }
    }

    fn set(&mut self, row: usize, value: u64) {
        match &mut self.values {
            ColumnValues::Narrow(values) => values.get_mut(row).map(|slot| *slot = value as u32),
            ColumnValues::Wide(values) => values.get_mut(row).map(|slot| *slot = value),
        };
        if let Some(valid) = self.valid.get_mut(row) {
            *valid = true;
        }
    }
}

/// Where a row belongs: the exchange, which of its replies, the frame, and for a child table the item's place in its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub exchange: u32,
    pub copy: u16,
    pub frame: u32,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<ColumnData>,
    pub owners: Vec<Owner>,
    pub indices: Vec<u32>,
    /// Of an item of a list within a list, the place of the outer item in its list; else `NO_ITEM`.
    pub outers: Vec<u32>,
}

impl Table {
    pub fn new(name: &str, columns: &[(String, Kind)]) -> Self {
        let columns = columns.iter().map(|(name, kind)| ColumnData::new(name, *kind)).collect();
        Table { name: name.to_owned(), columns, owners: Vec::new(), indices: Vec::new(), outers: Vec::new() }
    }

    fn open(&mut self, owner: Owner, index: u32, outer: u32) -> usize {
        self.owners.push(owner);
        self.indices.push(index);
        self.outers.push(outer);
        self.columns.iter_mut().for_each(ColumnData::open);
        self.owners.len() - 1
    }

    /// Appends the rows of a table of the same shape.
    pub fn append(&mut self, mut rows: Table) {
        self.owners.append(&mut rows.owners);
        self.indices.append(&mut rows.indices);
        self.outers.append(&mut rows.outers);
        for (column, mut more) in self.columns.iter_mut().zip(rows.columns) {
            match (&mut column.values, &mut more.values) {
                (ColumnValues::Narrow(values), ColumnValues::Narrow(more)) => values.append(more),
                (ColumnValues::Wide(values), ColumnValues::Wide(more)) => values.append(more),
                _ => {}
            }
            column.valid.append(&mut more.valid);
        }
    }

    /// Keeps the rows of some owners.
    pub fn retain(&mut self, stays: impl Fn(&Owner) -> bool) {
        let mask: Vec<bool> = self.owners.iter().map(stays).collect();
        keep(&mut self.owners, &mask);
        keep(&mut self.indices, &mask);
        keep(&mut self.outers, &mask);
        for column in &mut self.columns {
            match &mut column.values {
                ColumnValues::Narrow(values) => keep(values, &mask),
                ColumnValues::Wide(values) => keep(values, &mask),
            }
            keep(&mut column.valid, &mask);
        }
    }

    /// The rows so far, leaving an empty table of the same shape.
    pub fn take(&mut self) -> Table {
        let shape: Vec<_> = self.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        let empty = Table::new(&self.name, &shape);
        std::mem::replace(self, empty)
    }
}

/// Keeps the values that the mask has true.
fn keep<T>(values: &mut Vec<T>, mask: &[bool]) {
    let mut stays = mask.iter();
    values.retain(|_| stays.next().copied().unwrap_or(true));
}

#[derive(Default)]
pub struct Layouts {
    layouts: Vec<Layout>,
    index: ByProcedure<Numbers>,
}

/// The numbers of the layouts of one procedure, to [`Layouts::get`] them by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    pub args: Option<u16>,
    pub results: Option<u16>,
}

impl Layouts {
    pub fn add(&mut self, prog: u32, vers: u32, proc: u32, reply: bool, layout: Layout) {
        if let Some(numbers) = self.index.entry((prog, vers, proc), |_| Numbers::default()) {
            *(if reply { &mut numbers.results } else { &mut numbers.args }) = u16::try_from(self.layouts.len()).ok();
        }
        self.layouts.push(layout);
    }

    pub fn find(&self, prog: u32, vers: u32, proc: u32) -> Numbers {
        self.index.get((prog, vers, proc)).copied().unwrap_or_default()
    }

    #[inline]
    pub fn get(&self, number: Option<u16>) -> Option<&Layout> {
        number.and_then(|at| self.layouts.get(usize::from(at)))
    }
}

/// How a run ended before its layout did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The captured bytes end here.
    Short,
    Malformed(&'static str),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub status: Option<u32>,
    /// The capture ends before the layout does.
    pub cut: bool,
    /// The body contradicts the layout.
    pub malformed: bool,
}

#[derive(Clone, Copy)]
struct Row {
    table: usize,
    row: usize,
}

struct Level {
    begin: usize,
    after: usize,
    left: u32,
    linked: bool,
    table: Option<usize>,
    outer: Option<Row>,
    item: u32,
    started_at: usize,
}

/// One run of a layout over a body.
pub struct Run<'a> {
    pub tables: &'a mut [Table],
    pub strings: &'a mut Strings,
    pub oddities: &'a mut Oddities,
    pub owner: Owner,
    /// Rows of secondary layouts so far.
    pub rows: &'a mut u32,
    /// Of the strings.
    pub weight: &'a mut Weight,
}

impl Run<'_> {
    /// `length` is the body's on the wire; `body` is shorter where bytes were skipped or not captured.
    pub fn run(&mut self, layout: &Layout, body: &[u8], length: usize) -> Outcome {
        let cut = body.len() < length;
        let secondary = layout.secondary;
        let row = layout.table.and_then(|table| self.open(table, 0, NO_ITEM, secondary));
        let mut machine =
            Machine { run: self, secondary, body, at: 0, last: 0, status: None, row, levels: Vec::new(), items: 0 };
        let stop = machine.execute(&layout.ops);
        let (at, status) = (machine.at, machine.status);
        match stop {
            Ok(()) if at <= length.next_multiple_of(4) => Outcome { status, ..Outcome::default() },
            Err(Stop::Short) if cut => Outcome { status, cut: true, malformed: false },
            Ok(()) | Err(Stop::Short) => {
                self.oddities.push("xdr-short", at as u64);
                Outcome { status, cut: false, malformed: true }
            }
            Err(Stop::Malformed("xdr-trailing")) if cut => Outcome { status, ..Outcome::default() },
            Err(Stop::Malformed(kind)) => {
                self.oddities.push(kind, at as u64);
                Outcome { status, cut: false, malformed: true }
            }
        }
    }

    fn open(&mut self, table: usize, index: u32, outer: u32, secondary: bool) -> Option<Row> {
        if secondary {
            if *self.rows >= MAX_SECONDARY_ROWS {
                self.oddities.push("rows-full", u64::from(MAX_SECONDARY_ROWS));
                return None;
            }
            *self.rows += 1;
        }
        let row = self.tables.get_mut(table)?.open(self.owner, index, outer);
        Some(Row { table, row })
    }
}

struct Machine<'a, 'b> {
    run: &'a mut Run<'b>,
    secondary: bool,
    body: &'a [u8],
    at: usize,
    last: u32,
    status: Option<u32>,
    row: Option<Row>,
    levels: Vec<Level>,
    items: u32,
}

impl Machine<'_, '_> {
    fn execute(&mut self, ops: &[Op]) -> Result<(), Stop> {
        let mut pc = 0;
        while let Some(op) = ops.get(pc) {
            pc += 1;
            match op {
                Op::End => return Ok(()),
                Op::Int32 { column } => {
                    let value = self.word()?;
                    self.set(*column, u64::from(value));
                }
                Op::Int64 { column } => {
                    let value = u64::from(self.word()?) << 32 | u64::from(self.word()?);
                    self.set(*column, value);
                }
                Op::Bool { column } => {
                    let value = self.boolean()?;
                    self.set(*column, u64::from(value));
                }
                Op::Enum { column, values } => {
                    let value = self.word()?;
                    // The lowest is success, or granted, which nearly all are.
                    let known = values.first().is_none_or(|first| *first == value);
                    if !known && values.binary_search(&value).is_err() {
                        self.run.oddities.push("xdr-enum", u64::from(value));
                    }
                    self.set(*column, u64::from(value));
                }
                Op::Opaque { column, max } => {
                    let size = self.length(*max)?;
                    self.bytes(*column, size)?;
                }
                Op::Fixed { column, size } => self.bytes(*column, *size)?,
                Op::Data { column, max } => {
                    let size = self.length(*max)?;
                    self.set(*column, size as u64);
                    self.at += size.next_multiple_of(4);
                }
                Op::Union { column, default, closed, arms } => {
                    let value = self.word()?;
                    self.set(*column, u64::from(value));
                    let arm = arms.iter().find(|(known, _)| *known == value).map(|(_, target)| *target);
                    if arm.is_none() && *closed && default.is_some() {
                        self.run.oddities.push("xdr-enum", u64::from(value));
                    }
                    pc = arm.or(*default).ok_or(Stop::Malformed("xdr-union"))?;
                }
                Op::Jump { target } => pc = *target,
                Op::Optional { absent } => {
                    if !self.boolean()? {
                        pc = *absent;
                    }
                }
                Op::Array { table, max, after } => {
                    let count = self.length(*max as usize)? as u32;
                    pc = self.enter(pc, *after, count, false, *table)?;
                }
                Op::FixedArray { table, size, after } => pc = self.enter(pc, *after, *size, false, *table)?,
                Op::List { table, after } => pc = self.enter(pc, *after, u32::MAX, true, *table)?,
                Op::ItemEnd => pc = self.next_item()?,
                Op::Status => self.status = Some(self.last),
                Op::Done if self.at < self.body.len() => return Err(Stop::Malformed("xdr-trailing")),
                Op::Done => return Ok(()),
            }
        }
        Ok(())
    }

    fn word(&mut self) -> Result<u32, Stop> {
        let value = word(self.body, self.at).ok_or(Stop::Short)?;
        self.at += 4;
        self.last = value;
        Ok(value)
    }

    fn boolean(&mut self) -> Result<bool, Stop> {
        match self.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Stop::Malformed("xdr-bool")),
        }
    }

    fn length(&mut self, max: usize) -> Result<usize, Stop> {
        let size = self.word()? as usize;
        if size > max { Err(Stop::Malformed("xdr-length")) } else { Ok(size) }
    }

    fn bytes(&mut self, column: Column, size: usize) -> Result<(), Stop> {
        let body = self.body;
        let value = self.at.checked_add(size).and_then(|end| body.get(self.at..end)).ok_or(Stop::Short)?;
        self.at += size.next_multiple_of(4);
        if column.is_some() && self.row.is_some() {
            let number = self.run.strings.intern(value, self.secondary);
            self.run.weight.add_string(size);
            if number.is_none() && self.run.strings.is_first_refusal(self.secondary) {
                self.run.oddities.push("strings-full", size as u64);
            }
            self.set(column, u64::from(number.unwrap_or(NO_STRING)));
        }
        Ok(())
    }

    fn set(&mut self, column: Column, value: u64) {
        let (Some(column), Some(Row { table, row })) = (column, self.row) else { return };
        if let Some(column) = self.run.tables.get_mut(table).and_then(|table| table.columns.get_mut(column)) {
            column.set(row, value);
        }
    }

    /// Begins an array or list, and returns where to go on.
    fn enter(&mut self, pc: usize, after: usize, left: u32, linked: bool, table: Option<usize>) -> Result<usize, Stop> {
        let outer = self.row;
        self.levels.push(Level { begin: pc, after, left, linked, table, outer, item: 0, started_at: usize::MAX });
        self.next_item()
    }

    fn next_item(&mut self) -> Result<usize, Stop> {
        let at = self.at;
        let Some(level) = self.levels.last_mut() else { return Err(Stop::Malformed("xdr-length")) };
        if level.started_at == at {
            return Err(Stop::Malformed("xdr-length"));
        }
        level.started_at = at;
        let more = if level.linked { self.boolean()? } else { level.left > 0 };
        self.items += 1;
        if self.items > MAX_ITEMS {
            return Err(Stop::Malformed("xdr-items"));
        }
        let Some(level) = self.levels.last_mut() else { return Err(Stop::Malformed("xdr-length")) };
        if !more {
            let (after, outer) = (level.after, level.outer);
            self.levels.pop();
            self.row = outer;
            return Ok(after);
        }
        level.left = level.left.saturating_sub(1);
        let (begin, table, item) = (level.begin, level.table, level.item);
        level.item += 1;
        // The level's own item has been counted already.
        let outer = self.levels.iter().rev().nth(1).map_or(NO_ITEM, |outer| outer.item.wrapping_sub(1));
        self.row = table.and_then(|table| self.run.open(table, item, outer, self.secondary));
        Ok(begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: u8, a: i64, b: i64, c: i64) -> RawOp {
        (code, a, b, c, Vec::new())
    }

    /// What is odd in a body, after so many secondary rows.
    fn odd(layout: &Layout, tables: &mut [Table], body: &[u8], mut rows: u32) -> u64 {
        let (mut strings, mut oddities) = (Strings::default(), Oddities::default());
        let (strings, owner) = (&mut strings, Owner::default());
        let weight = &mut Weight::default();
        Run { tables, strings, oddities: &mut oddities, owner, rows: &mut rows, weight }.run(layout, body, body.len());
        oddities.take().len() as u64
    }

    #[test]
    fn every_operation_is_known_and_has_a_number_of_its_own() {
        let check = Check { at: 0, bodies: &[None; 3], tables: &[], table: None };
        let known = |code: u8| {
            let refused = check.op(&op(code, -1, 0, 1)).err();
            refused.is_none_or(|reason| !reason.contains("unknown code"))
        };
        assert_eq!(code::ALL.len(), 17);
        for (at, (name, code)) in code::ALL.iter().enumerate() {
            assert!(known(*code), "{name}");
            assert!(code::ALL.iter().skip(at + 1).all(|(_, other)| other != code), "{name}");
        }
        assert!(!known(17));
    }

    #[test]
    fn lists_nest_seven_deep() {
        let nested = |depth: i64| {
            let begin = (0..depth).map(|level| op(code::LIST, -1, 0, 2 * depth - level + 1));
            let end = (0..depth).map(|_| op(code::ITEM_END, 0, 0, 0));
            let inside = [op(code::INT32, -1, 0, 0)];
            let ops: Vec<_> = begin.chain(inside).chain(end).chain([op(code::DONE, 0, 0, 0)]).collect();
            Layout::new(&ops, None, 0, &[]).map(|_| ())
        };
        assert_eq!(nested(7), Ok(()));
        assert_eq!(nested(8), Err("operation 7 nests lists too deep".to_owned()));
    }

    #[test]
    fn a_message_has_so_many_items() {
        let ops = [
            op(code::ARRAY, -1, i64::from(u32::MAX), 3),
            op(code::INT32, -1, 0, 0),
            op(code::ITEM_END, 0, 0, 0),
            op(code::DONE, 0, 0, 0),
        ];
        let layout = Layout::new(&ops, None, 0, &[]).expect("a layout");
        let items = |count: u32| [count.to_be_bytes().to_vec(), vec![0; 4 * count as usize]].concat();
        // The end of a list counts as one of its items.
        assert_eq!(odd(&layout, &mut [], &items(65_535), 0), 0);
        assert_eq!(odd(&layout, &mut [], &items(65_536), 0), 1);
    }

    #[test]
    fn there_are_so_many_secondary_rows() {
        let mut tables = [Table::new("names", &[("size".to_owned(), Kind::U32)])];
        let mut layout = Layout::new(&[op(code::INT32, 0, 0, 0)], Some(0), 0, &tables).expect("a layout");
        let full = 1 << 18;
        assert_eq!(odd(&layout, &mut tables, &[0; 4], full), 0);
        layout.secondary = true;
        assert_eq!(odd(&layout, &mut tables, &[0; 4], full - 1), 0);
        assert_eq!(odd(&layout, &mut tables, &[0; 4], full), 1);
        assert_eq!(tables[0].owners.len(), 2);
    }
}
