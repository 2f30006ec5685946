//! The journal on storage that the tests hold in their hands.

mod conformance;
mod disk;
