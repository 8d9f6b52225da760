//! One command of a grant, compiled: which requests it allows, and the plans they become.

pub(super) mod any_program;
pub(super) mod command;
pub(super) mod compile;
mod env_split;
pub(super) mod environment;
pub(super) mod executable;
pub(super) mod matcher;
mod root_check;
pub(super) mod settings;
pub(super) mod shebang;
mod stream_files;
pub(super) mod system_files;
mod warnings;
mod written;
