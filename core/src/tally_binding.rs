//! The Python side of the sums of exchanges that were listed, and nothing else: columns in, sums out.

use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{columns, values};
use crate::batch::ExchangeRow;
use crate::tally::Listed;

/// Columns of exchanges, and which of their rows.
type Part<'py> = (Bound<'py, PyDict>, PyReadonlyArray1<'py, i64>);
type Sums<'py> = (Bound<'py, PyDict>, Bound<'py, PyDict>);

/// Sums of exchanges that were answered in time, in intervals of this length, and of their latencies.
#[pyfunction]
pub fn summed<'py>(py: Python<'py>, parts: Vec<Part<'py>>, length: i64) -> PyResult<Sums<'py>> {
    let mut listed = Listed::default();
    for (table, rows) in &parts {
        add(&mut listed, table, rows.as_slice()?, length)?;
    }
    let (tallies, intervals, latencies) = listed.take();
    let latencies = columns(py, latencies.into_columns())?;
    latencies.set_item("interval", intervals.into_pyarray(py))?;
    Ok((columns(py, tallies.into_columns())?, latencies))
}

fn add(listed: &mut Listed, table: &Bound<'_, PyDict>, rows: &[i64], length: i64) -> PyResult<()> {
    let (capture, transport) = (values(table, "capture")?, values(table, "transport")?);
    let (client, server) = (values(table, "client")?, values(table, "server")?);
    let (prog, vers) = (values(table, "prog")?, values(table, "vers")?);
    let (proc, status) = (values(table, "proc")?, values(table, "status")?);
    let (machine, time) = (values(table, "machine")?, values(table, "time")?);
    let (reply_time, call_frame) = (values(table, "reply_time")?, values(table, "call_frame")?);
    let (call_bytes, reply_bytes) = (values(table, "call_bytes")?, values(table, "reply_bytes")?);
    let exchange = |row: usize| {
        Some(ExchangeRow {
            capture: *capture.get(row)?,
            transport: *transport.get(row)?,
            client: *client.get(row)?,
            server: *server.get(row)?,
            prog: *prog.get(row)?,
            vers: *vers.get(row)?,
            proc: *proc.get(row)?,
            status: *status.get(row)?,
            machine: *machine.get(row)?,
            time: *time.get(row)?,
            reply_time: *reply_time.get(row)?,
            call_frame: *call_frame.get(row)?,
            call_bytes: *call_bytes.get(row)?,
            reply_bytes: *reply_bytes.get(row)?,
            ..ExchangeRow::default()
        })
    };
    for row in rows.iter().filter_map(|row| exchange(usize::try_from(*row).ok()?)) {
        listed.add(&row, length);
    }
    Ok(())
}
