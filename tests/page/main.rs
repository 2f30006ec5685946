//! The page on the control port, in a real browser, and what the port says to whoever asks as a browser would.
//!
//! The worker is the real program on a journal, against the in-memory Kubernetes API. The browser is Chromium without a
//! window, driven over its debugging pipe.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod browser;
mod looks;
mod pipe;
mod port;
mod stage;
mod views;
