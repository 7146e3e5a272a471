//! What the fuzz targets share: layouts of protocols, captures built from packets, and a decoder's whole output as
//! columns of numbers, of which the same must hold whatever the input was.

pub mod layouts;
pub mod message;
pub mod rows;
pub mod wire;

pub use libfuzzer_sys::arbitrary::{Result, Unstructured};
