//! The Python side of the sums of exchanges that were listed, and nothing else: columns in, sums out.

use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{column, columns};
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
    let (capture, transport) = (column::<u16>(table, "capture")?, column::<u8>(table, "transport")?);
    let (client, server) = (column::<u32>(table, "client")?, column::<u32>(table, "server")?);
    let (prog, vers, proc) =
        (column::<u32>(table, "prog")?, column::<u32>(table, "vers")?, column::<u32>(table, "proc")?);
    let (status, machine) = (column::<i32>(table, "status")?, column::<u32>(table, "machine")?);
    let (time, reply_time) = (column::<i64>(table, "time")?, column::<i64>(table, "reply_time")?);
    let (call_bytes, reply_bytes) = (column::<u32>(table, "call_bytes")?, column::<u32>(table, "reply_bytes")?);
    let call_frame = column::<u32>(table, "call_frame")?;
    let (capture, transport, client, server) =
        (capture.as_slice()?, transport.as_slice()?, client.as_slice()?, server.as_slice()?);
    let (prog, vers, proc, status, machine) =
        (prog.as_slice()?, vers.as_slice()?, proc.as_slice()?, status.as_slice()?, machine.as_slice()?);
    let (time, reply_time, call_frame) = (time.as_slice()?, reply_time.as_slice()?, call_frame.as_slice()?);
    let (call_bytes, reply_bytes) = (call_bytes.as_slice()?, reply_bytes.as_slice()?);
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
