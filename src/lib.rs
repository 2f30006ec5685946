//! stoop
