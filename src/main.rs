//! stoop
fn main() {}
