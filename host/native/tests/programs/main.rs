//! Real programs do in the sandbox what they do outside.
//!
//! A row states a program, a job, and what the job prints in tiers A and B: what it prints
//! outside, or a limit with its reason. A limit states how the job fails, so its row fails
//! once the limit has gone. Rows are data, in `rows/*.toml`; [`row`] describes the format.
//! `host/PROGRAMS.md` is written from them, and a test compares it. The other way, a test
//! function for each program, hides in code what a reader of the table looks for.
//!
//! Each row runs under a grant as an operator would write it, by the registry. The rows run in
//! the tier that `CAPSPAWN_REQUIRE_TIER` demands, or in the best one of this machine. As root
//! they run twice: once more as an unprivileged user, of the bounded set some. A program that is not installed fails the
//! test if a tier is demanded; otherwise a line states that its row did not run.
//! `tests/programs/install` installs the programs.
//!
//! - `CAPSPAWN_PROGRAMS=all` runs all rows. Without it those that have `full = true` are left out.
//! - `CAPSPAWN_PROGRAMS=outside` runs all rows without a sandbox: each has to do its job.
//! - `CAPSPAWN_PROGRAMS_WALL=10min` is `limits.wall` of each grant, 110 s without it.
//! - `CAPSPAWN_PROGRAMS_ROW=TEXT` runs the rows whose program or job contains the text.

#![expect(
    clippy::disallowed_types,
    reason = "the tests prepare workspaces with programs, and run programs outside the sandbox"
)]

mod chosen;
mod document;
mod installed;
mod job;
mod row;
mod table;
mod workspace;

use test_kit::{Readable, TOOLCHAIN, assert_passes_unprivileged, is_root};

use crate::table::{
    BUILDS, DATABASES, FILES, GIT, JAVASCRIPT, LANGUAGES, MEDIA, PYTHON, SELF, SERVERS, SESSIONS,
    TESTS,
};

#[test]
fn sessions_and_process_groups_are_as_their_rows_state() {
    SESSIONS.check();
}

#[test]
fn build_tools_are_as_their_rows_state() {
    BUILDS.check();
}

#[test]
fn test_runners_are_as_their_rows_state() {
    TESTS.check();
}

#[test]
fn git_is_as_its_rows_state() {
    GIT.check();
}

#[test]
fn programs_that_copy_and_pack_files_are_as_their_rows_state() {
    FILES.check();
}

#[test]
fn python_is_as_its_rows_state() {
    PYTHON.check();
}

#[test]
fn javascript_is_as_its_rows_state() {
    JAVASCRIPT.check();
}

#[test]
fn languages_and_compilers_are_as_their_rows_state() {
    LANGUAGES.check();
}

#[test]
fn databases_are_as_their_rows_state() {
    DATABASES.check();
}

#[test]
fn media_programs_and_browsers_are_as_their_rows_state() {
    MEDIA.check();
}

#[test]
fn language_servers_are_as_their_rows_state() {
    SERVERS.check();
}

#[test]
fn programs_that_change_themselves_are_as_their_rows_state() {
    SELF.check();
}

/// The launcher works without root privileges too, and then without `capspawn-init`.
#[test]
fn all_rows_hold_for_the_host_of_an_unprivileged_user() {
    if !is_root() {
        return;
    }
    let toolchain = Readable::toolchain();
    let folder = installed::folder();
    assert_passes_unprivileged(|command| {
        if let Some(toolchain) = &toolchain {
            command.env(TOOLCHAIN, toolchain.path());
        }
        if let Some(folder) = &folder {
            command.env(installed::FOLDER, folder.path());
        }
        command.args(["--test-threads=2", "--skip", "unprivileged_user"]);
        command.args(["--skip", "document"]);
        if !chosen::is_whole_set() {
            command.args(["sessions", "git", "files", "themselves"]);
        }
    });
}
