//! stoop

pub mod demo;
