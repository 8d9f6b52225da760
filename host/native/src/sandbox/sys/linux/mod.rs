//! Linux: pidfds and process groups.

mod process;
mod spawn;

pub use spawn::NativeLauncher;
