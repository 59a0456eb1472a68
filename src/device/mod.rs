//! Devices and dtypes: what is here, and what each may compute in.

mod dtype;

pub use dtype::Dtype;
