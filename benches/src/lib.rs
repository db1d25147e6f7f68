//! What the benchmarks share: questions, answers and stream pieces in the four formats.
//!
//! The benchmark of the running gateway is the binary (`cargo run --release -p cliproxy-bench`), that of the codecs
//! alone is `cargo bench -p cliproxy-bench`.

pub mod sample;
