//! One command of a grant, compiled: what a request must be, and the plan it becomes.

pub(super) mod any_program;
pub(super) mod command;
pub(super) mod compile;
pub(super) mod environment;
pub(super) mod executable;
pub(super) mod matcher;
pub(super) mod settings;
pub(super) mod shebang;
