//! The journal on storage that the tests hold in their hands.

mod bench;
mod conformance;
mod disk;
mod failing;
mod power_cut;
