//! What every broker gets from the pump, with the clock paused.

mod backpressure;
mod ending;
mod retrying;
mod rig;
