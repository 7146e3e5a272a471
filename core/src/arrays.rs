//! Columns as numpy's arrays, and the other way.

use numpy::{Element, IntoPyArray, PyReadonlyArray1};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::batch::{Columns, Values};

fn array(py: Python<'_>, values: Values) -> Bound<'_, PyAny> {
    match values {
        Values::U8(values) => values.into_pyarray(py).into_any(),
        Values::U16(values) => values.into_pyarray(py).into_any(),
        Values::U32(values) => values.into_pyarray(py).into_any(),
        Values::U64(values) => values.into_pyarray(py).into_any(),
        Values::I32(values) => values.into_pyarray(py).into_any(),
        Values::I64(values) => values.into_pyarray(py).into_any(),
    }
}

pub fn columns(py: Python<'_>, columns: Columns) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    for (name, values) in columns {
        result.set_item(name, array(py, values))?;
    }
    Ok(result)
}

/// A column of a table, whose dtype must be this.
pub fn column<'py, T: Element>(table: &Bound<'py, PyDict>, name: &str) -> PyResult<PyReadonlyArray1<'py, T>> {
    let column = table.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
    column.extract()
}

/// The values of such a column.
pub fn values<T: Element + Copy>(table: &Bound<'_, PyDict>, name: &str) -> PyResult<Vec<T>> {
    Ok(column(table, name)?.as_slice()?.to_vec())
}
