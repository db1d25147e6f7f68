//! Configuration: from bytes on disk to plain typed settings.
//!
//! `file` mirrors the YAML as written, `diagnostic` says what is wrong with it and where. This
//! module reads; it never writes a configuration and holds nothing that changes at run time.

pub mod diagnostic;
pub mod file;
