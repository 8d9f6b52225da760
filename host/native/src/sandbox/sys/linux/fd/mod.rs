//! Descriptors and the memory behind them, as a launch needs them.

pub(crate) mod cstrings;
pub(crate) mod memfd;
pub(crate) mod stdio;
