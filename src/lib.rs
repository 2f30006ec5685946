//! stoop: the response fleet for Falco.
pub mod demo;
