//! The Python side of lock sessions, and nothing else: columns in, those that leave out.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use numpy::{Element, IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::arrays::{column, values};
use crate::lock_sessions::{
    Access, Beside, Claim, Sifted, Step, Steps, few as few_of, last_byte as last_byte_of, step_flag,
};
use crate::strings::NO_STRING;

/// Strings and addresses, by their numbers.
type RawNames<'py> = (Bound<'py, PyList>, Bound<'py, PyList>);
/// Accesses, moments when something was late, and restarts.
type RawBeside<'py> = (Bound<'py, PyDict>, PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, i64>);

#[pyclass]
pub struct LockSessions {
    sifted: Sifted,
}

/// What numbers of strings and addresses stand for, for hashes that stay the same whatever the numbers are.
struct Names<'py> {
    strings: Bound<'py, PyList>,
    addresses: Bound<'py, PyList>,
    /// Of addresses.
    hashes: HashMap<u32, u64>,
}

impl<'py> Names<'py> {
    fn new((strings, addresses): RawNames<'py>) -> Self {
        Names { strings, addresses, hashes: HashMap::new() }
    }

    /// A hash of the owner and the range of a step.
    fn owner(&mut self, step: &Step) -> PyResult<u64> {
        static HASHER: OnceLock<DefaultHashBuilder> = OnceLock::new();
        let hasher = HASHER.get_or_init(DefaultHashBuilder::default);
        let Claim { fh, oh, svid, offset, length, .. } = step.claim;
        let locker = self.locker(step.locker(), hasher)?;
        let [fh, oh] = [fh, oh].map(|number| self.strings.get_item(number as usize));
        let (fh, oh) = (fh?, oh?);
        let [fh, oh] = [fh.cast::<PyBytes>()?, oh.cast::<PyBytes>()?].map(|text| text.as_bytes());
        Ok(hasher.hash_one((locker, fh, oh, svid, offset, length)))
    }

    fn locker(&mut self, number: u32, hasher: &DefaultHashBuilder) -> PyResult<u64> {
        if let Some(known) = self.hashes.get(&number) {
            return Ok(*known);
        }
        let address = self.addresses.get_item(number as usize)?;
        let address = address.cast::<PyTuple>()?;
        let (text, domain) = (address.get_item(0)?, address.get_item(1)?.extract::<i64>()?);
        let hash = hasher.hash_one((text.cast::<PyString>()?.to_str()?, domain));
        self.hashes.insert(number, hash);
        Ok(hash)
    }
}

#[pymethods]
impl LockSessions {
    #[new]
    fn new(
        py: Python<'_>,
        steps: &Bound<'_, PyDict>,
        arguments: Vec<(u32, Bound<'_, PyDict>)>,
        beside: RawBeside<'_>,
        names: RawNames<'_>,
        known: Vec<PyReadonlyArray1<'_, u64>>,
        limits: (i64, i64, usize),
    ) -> PyResult<Self> {
        let steps = self::steps(steps, &arguments)?;
        let (accesses, moments, restarts) = beside;
        let (moments, restarts) = (moments.as_slice()?.to_vec(), restarts.as_slice()?.to_vec());
        let (until, pause, max_latest) = limits;
        let beside = Beside { accesses: self::accesses(&accesses)?, restarts, until, pause, max_latest };
        let steps = py.detach(|| Steps::new(steps, moments));
        let left_before = that_have_left(&steps, &known, Names::new(names))?;
        Ok(LockSessions { sifted: py.detach(|| steps.sift(&beside, &left_before)) })
    }

    /// The exchanges of the sessions that leave.
    fn exchanges<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        array(py, self.sifted.left().flat_map(|(lock, unlock)| [lock.exchange, unlock.exchange]))
    }

    /// Hashes of the owners and ranges of the sessions that leave, sorted.
    fn owners<'py>(&self, py: Python<'py>, names: RawNames<'py>) -> PyResult<Bound<'py, PyAny>> {
        owners(py, names, self.sifted.left().map(|(lock, _)| lock))
    }

    /// Hashes of the owners and ranges of the steps that are of these exchanges, which are sorted; sorted.
    fn owners_of<'py>(
        &self,
        py: Python<'py>,
        exchanges: PyReadonlyArray1<'py, u32>,
        names: RawNames<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let exchanges = exchanges.as_slice()?;
        owners(py, names, self.sifted.steps().iter().filter(|step| exchanges.binary_search(&step.exchange).is_ok()))
    }

    /// UNLOCKs of owners that had unlocked before, in a session that may have left.
    fn unlocked_again<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.sifted.unlocked_again.clone().into_pyarray(py).into_any()
    }

    /// The exchange of each step, the number of its stretch, and whether something about that, or next to it, is odd.
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Sifted { stretches, odd, .. } = &self.sifted;
        let is_odd = |stretch: &u32| odd.get(*stretch as usize).copied().unwrap_or_default();
        let rows = PyDict::new(py);
        rows.set_item("exchange", array(py, self.sifted.exchanges()))?;
        rows.set_item("stretch", stretches.clone().into_pyarray(py))?;
        rows.set_item("odd", array(py, stretches.iter().map(is_odd)))?;
        Ok(rows)
    }
}

fn array<'py, T: Element>(py: Python<'py>, values: impl Iterator<Item = T>) -> Bound<'py, PyAny> {
    values.collect::<Vec<T>>().into_pyarray(py).into_any()
}

/// Of the UNLOCKs that come first, the exchanges of those whose owners are known, by hashes that are sorted.
fn that_have_left(steps: &Steps, known: &[PyReadonlyArray1<'_, u64>], mut names: Names<'_>) -> PyResult<HashSet<u32>> {
    let known = known.iter().map(PyReadonlyArray1::as_slice).collect::<Result<Vec<_>, _>>()?;
    let mut found = HashSet::new();
    if known.iter().all(|owners| owners.is_empty()) {
        return Ok(found);
    }
    for step in steps.unlocking_first() {
        let owner = names.owner(&step)?;
        if known.iter().any(|owners| owners.binary_search(&owner).is_ok()) {
            found.insert(step.exchange);
        }
    }
    Ok(found)
}

fn owners<'py, 'a>(
    py: Python<'py>,
    names: RawNames<'py>,
    steps: impl Iterator<Item = &'a Step>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut names = Names::new(names);
    let mut owners = steps.map(|step| names.owner(step)).collect::<PyResult<Vec<_>>>()?;
    owners.sort_unstable();
    Ok(owners.into_pyarray(py).into_any())
}

/// Some of many moments: of those close to each other the first one.
#[pyfunction]
pub fn few<'py>(py: Python<'py>, moments: PyReadonlyArray1<'py, i64>) -> PyResult<Bound<'py, PyAny>> {
    Ok(few_of(moments.as_slice()?.to_vec()).into_pyarray(py).into_any())
}

/// The last byte of a range.
#[pyfunction]
pub fn last_byte(offset: u64, length: u64) -> u64 {
    last_byte_of(offset, length)
}

/// The last byte of each range.
#[pyfunction]
pub fn last_bytes<'py>(
    py: Python<'py>,
    offsets: PyReadonlyArray1<'py, u64>,
    lengths: PyReadonlyArray1<'py, u64>,
) -> PyResult<Bound<'py, PyAny>> {
    let ranges = offsets.as_slice()?.iter().zip(lengths.as_slice()?);
    Ok(array(py, ranges.map(|(offset, length)| last_byte_of(*offset, *length))))
}

/// Steps in order of time, as far as their arguments are known; each table has those of one version.
fn steps(table: &Bound<'_, PyDict>, arguments: &[(u32, Bound<'_, PyDict>)]) -> PyResult<Vec<Step>> {
    let (exchange, capture) = (values(table, "exchange")?, values(table, "capture")?);
    let (client, server) = (values(table, "client")?, values(table, "server")?);
    let (flow, vers) = (values(table, "flow")?, values(table, "vers")?);
    let (time, reply_time) = (values(table, "time")?, values(table, "reply_time")?);
    let flags = values(table, "flags")?;
    let step = |row: usize| {
        Some(Step {
            exchange: *exchange.get(row)?,
            capture: *capture.get(row)?,
            client: *client.get(row)?,
            server: *server.get(row)?,
            flow: *flow.get(row)?,
            vers: *vers.get(row)?,
            time: *time.get(row)?,
            reply_time: *reply_time.get(row)?,
            flags: *flags.get(row)?,
            claim: Claim::default(),
        })
    };
    let order = in_order(&time);
    let tables = arguments.iter().map(|(vers, table)| Arguments::of(*vers, table)).collect::<PyResult<Vec<_>>>()?;
    let mut arguments = AllArguments::of(&tables)?;
    let mut steps = Vec::with_capacity(order.len());
    for row in order {
        let Some(step) = step(row) else { continue };
        let Some((claim, reclaims)) = arguments.find(&step) else { continue };
        let flags = if reclaims { step.flags & !step_flag::USUAL } else { step.flags };
        steps.push(Step { claim, flags, ..step });
    }
    Ok(steps)
}

/// Rows in the order of times: those of a capture fit into one number with the row, which is sorted twice as fast.
fn in_order(times: &[i64]) -> Vec<usize> {
    let bits = usize::BITS - times.len().leading_zeros();
    let first = times.iter().min().copied().unwrap_or_default();
    let packed = |(row, time): (usize, &i64)| {
        let after = time.abs_diff(first);
        (after.leading_zeros() >= bits).then(|| after << bits | row as u64)
    };
    if let Some(mut order) = times.iter().enumerate().map(packed).collect::<Option<Vec<u64>>>() {
        order.sort_unstable();
        return order.into_iter().map(|packed| packed as usize & ((1 << bits) - 1)).collect();
    }
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|row| times.get(*row));
    order
}

fn accesses(table: &Bound<'_, PyDict>) -> PyResult<Vec<Access>> {
    let parties = values(table, "handle")?.into_iter().zip(values(table, "client")?);
    let times = values(table, "first")?.into_iter().zip(values(table, "last")?);
    let rows = parties.zip(times);
    Ok(rows.map(|((handle, client), (first, last))| Access { handle, client, first, last }).collect())
}

/// Something of each field that is read of arguments.
struct Fields<T> {
    fh: T,
    oh: T,
    svid: T,
    l_offset: T,
    l_len: T,
    caller_name: T,
    reclaim: T,
    exclusive: T,
}

impl<T> Fields<T> {
    fn of(field: impl Fn(&str) -> PyResult<T>) -> PyResult<Self> {
        Ok(Fields {
            fh: field("fh")?,
            oh: field("oh")?,
            svid: field("svid")?,
            l_offset: field("l_offset")?,
            l_len: field("l_len")?,
            caller_name: field("caller_name")?,
            reclaim: field("reclaim")?,
            exclusive: field("exclusive")?,
        })
    }

    fn map<'a, Other>(&'a self, change: impl Fn(&'a T) -> PyResult<Other>) -> PyResult<Fields<Other>> {
        Ok(Fields {
            fh: change(&self.fh)?,
            oh: change(&self.oh)?,
            svid: change(&self.svid)?,
            l_offset: change(&self.l_offset)?,
            l_len: change(&self.l_len)?,
            caller_name: change(&self.caller_name)?,
            reclaim: change(&self.reclaim)?,
            exclusive: change(&self.exclusive)?,
        })
    }
}

/// A table of arguments.
struct Arguments<'py> {
    vers: u32,
    exchange: PyReadonlyArray1<'py, u32>,
    copy: PyReadonlyArray1<'py, u16>,
    fields: Fields<Field<'py>>,
}

impl<'py> Arguments<'py> {
    fn of(vers: u32, table: &Bound<'py, PyDict>) -> PyResult<Self> {
        let fields = Fields::of(|name| Field::of(table, name))?;
        Ok(Arguments { vers, exchange: column(table, "exchange")?, copy: column(table, "copy")?, fields })
    }

    fn slices(&self) -> PyResult<(u32, Fields<Slices<'_>>)> {
        Ok((self.vers, self.fields.map(Field::slices)?))
    }
}

/// The rows of all tables, however many there are.
struct AllArguments<'a> {
    /// With the version of each.
    tables: Vec<(u32, Fields<Slices<'a>>)>,
    /// Exchange, table and row of first copies, sorted.
    rows: Vec<(u32, u32, u32)>,
    /// The one that was found last: steps come nearly in the order of their exchanges.
    at: usize,
}

impl<'a> AllArguments<'a> {
    fn of(tables: &'a [Arguments<'_>]) -> PyResult<Self> {
        let mut rows = Vec::new();
        for (number, table) in (0..).zip(tables) {
            let copies = table.exchange.as_slice()?.iter().zip(table.copy.as_slice()?).zip(0..);
            rows.extend(
                copies.filter(|((_, copy), _)| **copy == 0).map(|((exchange, _), row)| (*exchange, number, row)),
            );
        }
        rows.sort(); // which are sorted in each table, mostly
        Ok(AllArguments { tables: tables.iter().map(Arguments::slices).collect::<PyResult<_>>()?, rows, at: 0 })
    }

    /// What a step asks for, and whether it reclaims it.
    fn find(&mut self, step: &Step) -> Option<(Claim, bool)> {
        if self.rows.get(self.at + 1).is_some_and(|(next, ..)| *next == step.exchange) {
            self.at += 1;
        } else {
            self.at = self.rows.partition_point(|(known, ..)| *known < step.exchange);
        }
        let (exchange, table, row) = self.rows.get(self.at)?;
        let (vers, fields) = self.tables.get(*table as usize)?;
        let row = (*exchange == step.exchange && *vers == step.vers).then_some(*row as usize)?;
        Some((fields.claim(row)?, fields.reclaim.is_true(row)))
    }
}

impl Fields<Slices<'_>> {
    fn claim(&self, row: usize) -> Option<Claim> {
        let Fields { fh, oh, svid, l_offset, l_len, caller_name, exclusive, .. } = self;
        Some(Claim {
            fh: fh.string(row)?,
            oh: oh.string(row)?,
            svid: svid.get(row)?,
            offset: l_offset.get(row)? as u64,
            length: l_len.get(row)? as u64,
            caller_name: caller_name.string(row).unwrap_or(NO_STRING),
            exclusive: exclusive.is_true(row),
        })
    }
}

/// A column of a message's fields, each of which may be missing.
struct Field<'py>(Option<(Values<'py>, PyReadonlyArray1<'py, bool>)>);

enum Values<'py> {
    Bool(PyReadonlyArray1<'py, bool>),
    I32(PyReadonlyArray1<'py, i32>),
    U32(PyReadonlyArray1<'py, u32>),
    U64(PyReadonlyArray1<'py, u64>),
}

impl<'py> Field<'py> {
    fn of(table: &Bound<'py, PyDict>, name: &str) -> PyResult<Self> {
        let Some(column) = table.get_item(name)? else { return Ok(Field(None)) };
        let (values, valid) = column.extract::<(Bound<'py, PyAny>, PyReadonlyArray1<'py, bool>)>()?;
        let values = if let Ok(values) = values.extract() {
            Values::U32(values)
        } else if let Ok(values) = values.extract() {
            Values::I32(values)
        } else if let Ok(values) = values.extract() {
            Values::U64(values)
        } else {
            Values::Bool(values.extract()?)
        };
        Ok(Field(Some((values, valid))))
    }

    fn slices(&self) -> PyResult<Slices<'_>> {
        let Some((values, valid)) = &self.0 else { return Ok(Slices { values: Slice::U32(&[]), valid: &[] }) };
        let values = match values {
            Values::Bool(values) => Slice::Bool(values.as_slice()?),
            Values::I32(values) => Slice::I32(values.as_slice()?),
            Values::U32(values) => Slice::U32(values.as_slice()?),
            Values::U64(values) => Slice::U64(values.as_slice()?),
        };
        Ok(Slices { values, valid: valid.as_slice()? })
    }
}

struct Slices<'a> {
    values: Slice<'a>,
    valid: &'a [bool],
}

enum Slice<'a> {
    Bool(&'a [bool]),
    I32(&'a [i32]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}

impl Slices<'_> {
    fn get(&self, row: usize) -> Option<i64> {
        if !*self.valid.get(row)? {
            return None;
        }
        match self.values {
            Slice::Bool(values) => values.get(row).copied().map(i64::from),
            Slice::I32(values) => values.get(row).copied().map(i64::from),
            Slice::U32(values) => values.get(row).copied().map(i64::from),
            Slice::U64(values) => values.get(row).map(|value| *value as i64),
        }
    }

    /// The number of a string, if it has found room.
    fn string(&self, row: usize) -> Option<u32> {
        self.get(row).map(|number| number as u32).filter(|number| *number != NO_STRING)
    }

    fn is_true(&self, row: usize) -> bool {
        self.get(row).is_some_and(|value| value != 0)
    }
}
