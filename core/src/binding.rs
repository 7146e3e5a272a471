//! The Python side of the decoder, and nothing else: layouts in, arrays out. Decoding releases the interpreter.

use std::collections::BTreeMap;
use std::sync::Arc;

use numpy::IntoPyArray;
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::arrays::columns;
use crate::backends::Chunk;
use crate::capture::{Ending, NotACapture as Refusal};
use crate::decoder::{Batch, Decoder as Core, InterfaceRow};
use crate::lock_binding::{LockSessions, few, last_byte, last_bytes};
use crate::lock_sessions::{MOMENT, TO_THE_END, step_flag};
use crate::select::{Select, Selected, Terms};
use crate::tally::{Arguments, Fold};
use crate::tally_binding::summed;
use crate::weight::{BYTES_OF_EXCHANGE, ROWS_OF_EXCHANGE};
use crate::xdr::{ColumnData, ColumnValues, Kind, Layout, Layouts, RawOp, Table, code};

create_exception!(nfsrpc._core, NotACapture, PyValueError, "The bytes are no capture that can be read; says why.");

type RawLayout<'py> = (u32, u32, u32, u8, i64, Vec<Bound<'py, PyTuple>>, usize, usize);
type RawArguments = (usize, usize, bool, usize);
type RawTerms = (Vec<(u32, usize)>, usize, Vec<u16>);
type RawTable = (String, Vec<(String, String)>);

/// Layouts and their tables, for any number of decoders: they take 140 KiB, and half a millisecond to be made.
#[pyclass(frozen, name = "Layouts")]
struct SharedLayouts {
    layouts: Arc<Layouts>,
    tables: Vec<Table>,
}

#[pymethods]
impl SharedLayouts {
    #[new]
    #[pyo3(signature = (layouts, tables, secondary = Vec::new()))]
    fn new(layouts: Vec<RawLayout<'_>>, tables: Vec<RawTable>, secondary: Vec<u32>) -> PyResult<Self> {
        let tables = tables.iter().map(table).collect::<PyResult<Vec<_>>>()?;
        let mut known = Layouts::default();
        for (prog, vers, proc, direction, table, ops, keep, most) in layouts {
            let ops = ops.iter().map(operation).collect::<PyResult<Vec<_>>>()?;
            let table = usize::try_from(table).ok().filter(|table| *table < tables.len());
            let mut layout = Layout::new(&ops, table, keep, &tables)
                .map_err(|reason| PyValueError::new_err(format!("layout of {prog}/{vers}/{proc}: {reason}")))?;
            layout.secondary = secondary.contains(&prog);
            layout.most = most;
            known.add(prog, vers, proc, direction != 0, layout);
        }
        Ok(SharedLayouts { layouts: Arc::new(known), tables })
    }
}

#[pyclass]
struct Decoder {
    core: Core,
    /// Whether threads hold the chunks that are fed.
    shares: bool,
    /// The chunk of which a part is to be decoded once rows are taken, and from where.
    rest: Option<(Chunk, usize)>,
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (layouts = None, domain = 0, fold = Vec::new(), slow_ns = 1_000_000_000, keep = Vec::new(),
        follow = Vec::new(), by_handle = Vec::new(), ring = None, jobs = 1, threads_from = None, stop_at = None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        layouts: Option<PyRef<'_, SharedLayouts>>,
        domain: u32,
        fold: Vec<(u32, u32, u32)>,
        slow_ns: i64,
        keep: Vec<(u16, u32)>,
        follow: Vec<u32>,
        by_handle: Vec<((u32, u32, u32), RawArguments)>,
        ring: Option<RawTerms>,
        jobs: usize,
        threads_from: Option<u64>,
        stop_at: Option<(usize, u32)>,
    ) -> Self {
        let (layouts, tables) =
            layouts.map(|shared| (Arc::clone(&shared.layouts), shared.tables.clone())).unwrap_or_default();
        let arguments = |(handle, offset, is_wide, count)| Arguments { handle, offset, is_wide, count };
        let by_handle = by_handle.into_iter().map(|(procedure, raw)| (procedure, arguments(raw))).collect();
        let fold = Fold { procedures: fold.into_iter().collect(), slow_ns, by_handle };
        let kept = ring.map(|(programs, others, ports)| Terms {
            programs: programs.into_iter().collect(),
            others,
            ports: ports.into_iter().collect(),
        });
        let select = Select { frames: keep.into_iter().collect(), flows: follow.into_iter().collect(), kept };
        let mut core = Core::with_jobs(jobs, layouts, tables, domain, fold, select);
        if let Some(bytes) = threads_from {
            core.begin_threads_from(bytes);
        }
        if let Some((full, frames)) = stop_at {
            core.stop_at(full, frames);
        }
        Decoder { core, shares: jobs > 1, rest: None }
    }

    fn feed(&mut self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<bool> {
        self.ready()?;
        let bytes = data.as_bytes();
        let core = &mut self.core;
        let (used, chunk) = if self.shares {
            let chunk: Chunk = Arc::new(PyBackedBytes::from(data.clone()));
            (py.detach(|| core.feed_chunk(&chunk, 0)), Some(chunk))
        } else {
            (py.detach(|| core.feed(bytes)), None)
        };
        let chunk = || chunk.unwrap_or_else(|| Arc::new(PyBackedBytes::from(data.clone())));
        self.rest = used.map_err(refused)?.map(|used| (chunk(), used));
        Ok(self.rest.is_some())
    }

    fn go_on(&mut self, py: Python<'_>) -> PyResult<bool> {
        let Some((chunk, from)) = self.rest.take() else { return Ok(false) };
        let core = &mut self.core;
        let used = py.detach(|| core.feed_chunk(&chunk, from)).map_err(refused)?;
        self.rest = used.map(|used| (chunk, from + used));
        Ok(self.rest.is_some())
    }

    fn next_capture(&mut self, py: Python<'_>) -> PyResult<&'static str> {
        self.ready()?;
        let core = &mut self.core;
        py.detach(|| core.next_capture()).map(ending).map_err(refused)
    }

    fn undrained(&self) -> usize {
        self.core.undrained()
    }

    fn drain<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = &mut self.core;
        let rows = py.detach(|| core.drain());
        batch(py, rows)
    }

    /// Takes a frame whose time was to be judged by the next one; before `drain`, where a capture goes on.
    fn release(&mut self) {
        self.core.release();
    }

    fn snapshot<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.core.snapshot();
        let result = PyDict::new(py);
        result.set_item("exchanges", columns(py, snapshot.exchanges.into_columns())?)?;
        result.set_item("flows", columns(py, snapshot.flows.into_columns())?)?;
        result.set_item("captures", columns(py, snapshot.captures.into_columns())?)?;
        result.set_item("capture_formats", snapshot.formats)?;
        result.set_item("interfaces", interfaces(py, snapshot.interfaces)?)?;
        Ok(result)
    }

    fn exchanges_in_reach<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        columns(py, self.core.exchanges_in_reach().into_columns())
    }

    fn take_kept<'py>(&mut self, py: Python<'py>, all: bool) -> (Bound<'py, PyBytes>, u64, i64, i64) {
        let blocks = self.core.take_kept(all);
        (PyBytes::new(py, &blocks.bytes), blocks.frames, blocks.first, blocks.last)
    }

    fn kept_interfaces(&self, from: usize) -> Vec<(u32, String, u32)> {
        let rows = self.core.kept_interfaces(from).into_iter();
        rows.map(|interface| (interface.link_type, interface.name, interface.snaplen)).collect()
    }

    fn forget(&mut self) {
        self.core.forget();
    }

    fn forget_strings(&mut self) {
        self.core.forget_strings();
    }

    fn begin_to_know_names(&mut self, lookups: Vec<((u32, u32, u32), usize)>) {
        self.core.begin_to_know_names(&lookups.into_iter().collect());
    }

    fn forget_addresses<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.core.forget_addresses().into_pyarray(py).into_any()
    }

    fn close<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.ready()?;
        let core = &mut self.core;
        let (end, last) = py.detach(|| core.close()).map_err(refused)?;
        let result = batch(py, last)?;
        result.set_item("ending", ending(end))?;
        Ok(result)
    }
}

impl Decoder {
    /// Refuses what is to come after all that was fed while there is a rest of it.
    fn ready(&self) -> PyResult<()> {
        let reason = "decoding has stopped: take rows, and go on, first";
        self.rest.as_ref().map_or(Ok(()), |_| Err(PyValueError::new_err(reason)))
    }
}

fn refused(reason: Refusal) -> PyErr {
    NotACapture::new_err(reason.0)
}

fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::Cut { .. } => "cut",
        Ending::Empty => "empty",
        Ending::CutHeader => "cut-header",
    }
}

fn table((name, columns): &RawTable) -> PyResult<Table> {
    let kind = |(column, kind): &(String, String)| {
        let known = Kind::named(kind).map(|kind| (column.clone(), kind));
        known.ok_or_else(|| PyValueError::new_err(format!("column {name}.{column} has the unknown kind {kind}")))
    };
    Ok(Table::new(name, &columns.iter().map(kind).collect::<PyResult<Vec<_>>>()?))
}

fn operation(raw: &Bound<'_, PyTuple>) -> PyResult<RawOp> {
    let number = |at: usize| raw.get_item(at)?.extract::<i64>();
    let code = raw.get_item(0)?.extract::<u8>()?;
    let pairs = match raw.get_item(4) {
        Err(_) => Vec::new(),
        Ok(extra) => match extra.extract::<Vec<(i64, i64)>>() {
            Ok(pairs) => pairs,
            Err(_) => extra.extract::<Vec<i64>>()?.into_iter().map(|value| (value, 0)).collect(),
        },
    };
    Ok((code, number(1)?, number(2)?, number(3)?, pairs))
}

/// The wire's 32 or 64 bits, read according to the kind of the column.
fn typed(py: Python<'_>, column: ColumnValues, kind: Kind) -> PyResult<Bound<'_, PyAny>> {
    let view = |array: Bound<'_, PyAny>, dtype: &str| array.call_method1("view", (dtype,)).map(Bound::unbind);
    let typed = match column {
        ColumnValues::Narrow(values) => {
            let array = values.into_pyarray(py);
            match kind {
                Kind::I32 => view(array.into_any(), "i4")?,
                Kind::Bool => array.call_method1("astype", ("?",))?.unbind(),
                _ => array.into_any().unbind(),
            }
        }
        ColumnValues::Wide(values) => {
            let array = values.into_pyarray(py).into_any();
            if kind == Kind::I64 { view(array, "i8")? } else { array.unbind() }
        }
    };
    Ok(typed.into_bound(py))
}

fn decoded(py: Python<'_>, table: Table) -> PyResult<Bound<'_, PyDict>> {
    let rows = PyDict::new(py);
    let owners = table.owners.iter();
    rows.set_item("exchange", owners.clone().map(|owner| owner.exchange).collect::<Vec<_>>().into_pyarray(py))?;
    rows.set_item("copy", owners.clone().map(|owner| owner.copy).collect::<Vec<_>>().into_pyarray(py))?;
    rows.set_item("frame", owners.map(|owner| owner.frame).collect::<Vec<_>>().into_pyarray(py))?;
    rows.set_item("index", table.indices.into_pyarray(py))?;
    rows.set_item("outer", table.outers.into_pyarray(py))?;
    for ColumnData { name, kind, values, valid } in table.columns {
        rows.set_item(name, (typed(py, values, kind)?, valid.into_pyarray(py)))?;
    }
    Ok(rows)
}

fn interfaces(py: Python<'_>, rows: Vec<InterfaceRow>) -> PyResult<Bound<'_, PyList>> {
    let result = PyList::empty(py);
    for row in rows {
        let fields = PyDict::new(py);
        fields.set_item("capture", row.capture)?;
        fields.set_item("interface", row.number)?;
        fields.set_item("link_type", row.interface.link_type)?;
        fields.set_item("name", row.interface.name)?;
        fields.set_item("snaplen", row.interface.snaplen)?;
        fields.set_item("drops", row.interface.drops)?;
        result.append(fields)?;
    }
    Ok(result)
}

fn batch(py: Python<'_>, batch: Batch) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("exchanges", columns(py, batch.exchanges.into_columns())?)?;
    result.set_item("copies", columns(py, batch.copies.into_columns())?)?;
    result.set_item("flows", columns(py, batch.flows.into_columns())?)?;
    result.set_item("captures", columns(py, batch.captures.into_columns())?)?;
    result.set_item("tallies", columns(py, batch.tallies.into_columns())?)?;
    result.set_item("latencies", columns(py, batch.latencies.into_columns())?)?;
    result.set_item("accesses", columns(py, batch.accesses.into_columns())?)?;
    result.set_item("capture_formats", batch.formats)?;
    result.set_item("interfaces", interfaces(py, batch.interfaces)?)?;
    let oddities = PyDict::new(py);
    let odd = &batch.oddities;
    oddities.set_item("kind", odd.iter().map(|row| row.kind).collect::<Vec<_>>())?;
    oddities.set_item("capture", odd.iter().map(|row| row.capture).collect::<Vec<_>>().into_pyarray(py))?;
    oddities.set_item("frame", odd.iter().map(|row| row.frame).collect::<Vec<_>>().into_pyarray(py))?;
    oddities.set_item("time", odd.iter().map(|row| row.time).collect::<Vec<_>>().into_pyarray(py))?;
    oddities.set_item("detail", odd.iter().map(|row| row.detail).collect::<Vec<_>>().into_pyarray(py))?;
    result.set_item("oddities", oddities)?;
    let addresses = batch.addresses.iter().map(|(ip, domain)| (ip.to_string(), *domain)).collect::<Vec<_>>();
    result.set_item("addresses", addresses)?;
    result.set_item("strings", PyList::new(py, batch.strings.iter().map(|value| PyBytes::new(py, value)))?)?;
    let locals =
        batch.locals.iter().map(|local| (local.capture, local.interface, local.address.to_string(), local.forwarded));
    result.set_item("locals", locals.collect::<Vec<_>>())?;
    selected(py, batch.selected, &result)?;
    let tables = PyDict::new(py);
    for table in batch.decoded {
        let name = table.name.clone();
        tables.set_item(name, decoded(py, table)?)?;
    }
    result.set_item("decoded", tables)?;
    Ok(result)
}

/// Raw messages and frames as lists of dicts: there are few.
fn selected(py: Python<'_>, selected: Selected, result: &Bound<'_, PyDict>) -> PyResult<()> {
    let messages = PyList::empty(py);
    for raw in selected.messages {
        let row = PyDict::new(py);
        row.set_item("capture", raw.place.capture)?;
        row.set_item("frame", raw.place.frame)?;
        row.set_item("exchange", raw.exchange)?;
        row.set_item("reply", raw.reply)?;
        row.set_item("copy", raw.copy)?;
        row.set_item("length", raw.length)?;
        row.set_item("lost", raw.lost)?;
        row.set_item("bytes", PyBytes::new(py, &raw.bytes))?;
        messages.append(row)?;
    }
    let frames = PyList::empty(py);
    for raw in selected.frames {
        let row = PyDict::new(py);
        row.set_item("capture", raw.place.capture)?;
        row.set_item("frame", raw.place.frame)?;
        row.set_item("time", raw.place.time)?;
        row.set_item("interface", raw.interface)?;
        row.set_item("link_type", raw.link_type)?;
        row.set_item("wire_len", raw.wire_len)?;
        row.set_item("bytes", PyBytes::new(py, &raw.bytes))?;
        frames.append(row)?;
    }
    result.set_item("messages", messages)?;
    result.set_item("frames", frames)?;
    result.set_item("packets", columns(py, selected.packets.into_columns())?)
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SharedLayouts>()?;
    module.add_class::<Decoder>()?;
    module.add_class::<LockSessions>()?;
    module.add_function(wrap_pyfunction!(few, module)?)?;
    module.add_function(wrap_pyfunction!(last_byte, module)?)?;
    module.add_function(wrap_pyfunction!(last_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(summed, module)?)?;
    module.add("OPERATIONS", code::ALL.iter().copied().collect::<BTreeMap<_, _>>())?;
    module.add("STEP_FLAGS", BTreeMap::from(step_flag::ALL))?;
    module.add("MOMENT", MOMENT)?;
    module.add("TO_THE_END", TO_THE_END)?;
    module.add("ROWS_OF_EXCHANGE", ROWS_OF_EXCHANGE)?;
    module.add("BYTES_OF_EXCHANGE", BYTES_OF_EXCHANGE)?;
    module.add("NotACapture", module.py().get_type::<NotACapture>())
}
