//! Tests of the registry once more, over scripted children: what holds of real processes holds of scripts, and the other way
//! round.
//!
//! The tests are those of the other files, unchanged. On the thread of such a test [`build`](crate::support::build) takes the
//! launcher from here, and a script stands for each text that a test gives to the shell. Left out are the tests that are about
//! something a script has not: process ids, `/proc`, a process tree, the sandbox, files, the memory of the host, handlers of
//! signals that print; and those that replace the launcher themselves.

use std::cell::RefCell;
use std::sync::Arc;

use capspawn_native::{RegistryBuilder, Signal};
use capspawn_testing::{Clock, ScriptedLauncher, VirtualClock};

/// What the shell receives in the tests below. The first word of each part, up to `; `, is the command.
const TEXTS: [&str; 23] = [
    "true",
    "exit 0",
    "exit 4",
    "exit 5",
    "exit 9",
    "exec sleep 600",
    "sleep 600",
    "sleep 600; true",
    "sleep 0.05; exit 6",
    "kill -TERM $$",
    "kill -KILL $$",
    "printf a",
    "printf b",
    "printf c",
    "printf d",
    "printf e",
    "printf hello; exit 3",
    "printf abc; exit 4",
    "printf a; exit 1",
    "printf b; exit 2",
    "printf c; exit 3",
    "printf piped; exit 2",
    "trap '' TERM; sleep 600",
];

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// What the registries of one test have in place of processes.
#[derive(Debug, Clone)]
struct World {
    scripts: ScriptedLauncher,
    clock: Clock,
}

impl World {
    fn new(clock: Clock) -> Self {
        let scripts = ScriptedLauncher::with_clock(clock.clone());
        TEXTS.iter().for_each(|text| add(&scripts, text));
        let of = |text: &str| scripts.on("sh").args(["-c", text]);
        of("echo hi; cat; exec sleep 600")
            .stdout("hi\n")
            .echo()
            .hang();
        of("read line; exit 4").read_stdin().exit(4);
        let asks = of("echo before; read line; echo after $line; exit 5").stdout("before\n");
        asks.expect("here\n").reply("after here\n").exit(5);
        let deaf = of("trap '' USR1; echo ready; exec sleep 600");
        deaf.ignore(Signal::User1).stdout("ready\n").hang();
        let deaf = of("trap '' TERM; echo ready; while :; do sleep 0.01; done");
        deaf.ignore(Signal::Terminate).stdout("ready\n").hang();
        let hangs_up = of("trap 'exit 4' HUP; echo ready; while :; do sleep 0.01; done");
        hangs_up.exit_on(Signal::Hangup, 4).stdout("ready\n").hang();
        let both = of("echo a; echo b >&2; echo c");
        both.stdout("a\n").stderr("b\n").stdout("c\n");
        of("echo a; echo b >&2").stdout("a\n").stderr("b\n");
        of("head -c 50000 /dev/zero").stdout([0; 50_000]);
        of("exec cat /dev/zero").flood([0]);
        scripts.on("cat").args([""; 0]).echo();
        Self { scripts, clock }
    }
}

/// Adds the script of a text of simple commands.
fn add(scripts: &ScriptedLauncher, text: &str) {
    let mut script = scripts.on("sh").args(["-c", text]);
    for part in text.split("; ") {
        let words: Vec<_> = part.split(' ').collect();
        script = match words[..] {
            ["true"] => script,
            ["exit", code] => script.exit(code.parse().expect("a number")),
            ["exec", "sleep", "600"] | ["sleep", "600"] => script.hang(),
            ["sleep", "0.05"] => script.pause(std::time::Duration::from_millis(50)),
            ["kill", "-TERM", "$$"] => script.signal(15),
            ["kill", "-KILL", "$$"] => script.signal(9),
            ["printf", word] => script.stdout(word),
            ["trap", "''", "TERM"] => script.ignore(Signal::Terminate),
            _ => panic!("no script for {part:?}"),
        };
    }
}

/// Sets the launcher and the clock of a registry, if the test of this thread is scripted.
pub(crate) fn scripted(builder: RegistryBuilder) -> RegistryBuilder {
    match WORLD.with_borrow(Clone::clone) {
        Some(world) => builder.launcher(Arc::new(world.scripts)).clock(world.clock),
        None => builder,
    }
}

/// Runs `test` over scripts, which must foresee every child.
fn over_scripts(clock: impl Into<Clock>, test: fn()) {
    let world = World::new(clock.into());
    let scripts = world.scripts.clone();
    WORLD.set(Some(world));
    test();
    WORLD.set(None);
    scripts.verify();
    assert!(!scripts.calls().is_empty(), "the test has used the scripts");
}

/// Makes a test of each of these, with the system's clock or with virtual time.
macro_rules! once_more {
    ($clock:expr; $($file:ident: $($test:ident),* $(,)?;)*) => {$($(
        #[test]
        fn $test() {
            over_scripts($clock, crate::$file::$test);
        }
    )*)*};
}

mod by_the_systems_clock {
    use super::*;

    once_more! { Clock::system();
        detached: a_detached_child_outlives_handle_and_guest_and_its_owner_gets_it_back,
            a_refused_detach_changes_nothing_and_the_event_names_what_would_allow_it,
            detached_children_are_bounded_and_only_ended_ones_are_evicted,
            the_handle_of_a_detached_child_still_works,
            an_attached_child_ends_with_its_new_guest,
            a_registry_that_ends_kills_its_detached_children,
            an_ended_detached_child_stays_until_it_is_evicted,
            an_untaken_pipe_can_be_taken_after_the_attach,
            detach_and_attach_are_events_that_do_not_contain_the_key;
        endings: a_dropped_guest_kills_children_whose_handles_were_leaked,
            a_child_that_exceeds_the_limit_on_output_is_killed,
            every_spawn_exit_and_denial_is_an_event_in_order;
        shutdown: an_async_shutdown_needs_no_timer_of_the_caller_and_may_be_repeated,
            a_shutdown_takes_any_timeout_and_several_callers_at_once,
            a_shutdown_keeps_its_timeout_while_the_event_hook_blocks,
            a_shutdown_from_the_event_hook_returns;
        verbs: poll_shows_partial_output_while_the_child_runs,
            an_async_wait_needs_no_timer_of_the_caller,
            stdin_bytes_reach_the_child_and_are_followed_by_end_of_file,
            a_child_that_does_not_read_its_input_still_ends,
            a_merged_stream_is_in_the_other_one_and_a_null_stream_is_discarded;
    }
}

mod in_virtual_time {
    use super::*;

    once_more! { VirtualClock::new();
        caps: the_65th_live_child_is_refused_and_no_other_child_is_affected,
            live_children_count_per_owner_and_total_children_per_guest,
            a_denied_request_is_charged_to_the_rate_only,
            an_ended_child_whose_handle_is_held_does_not_count_as_live,
            at_the_cap_ended_children_are_evicted_and_observed_ones_first,
            a_full_registry_of_running_children_refuses,
            the_oldest_receipts_are_dropped_at_their_cap;
        detached: a_key_works_for_its_owner_only_and_once,
            the_lifetime_ends_a_detached_child_unless_it_is_attached,
            the_wall_limit_applies_to_a_detached_child_too,
            a_detached_child_counts_as_live_until_it_ends;
        endings: a_signal_of_another_sender_is_neither_an_exit_nor_a_requested_kill,
            the_wall_limit_ends_the_child_with_the_reason_timeout,
            a_child_outlives_the_runtime_of_its_caller_and_still_wakes_waiters,
            a_shutdown_ends_all_children_and_refuses_new_ones,
            an_event_hook_that_panics_leaves_no_child_behind;
        shutdown: a_shutdown_with_a_timeout_of_zero_still_kills_every_child;
        verbs: spawn_wait_and_poll_return_output_and_exit_code,
            a_wait_that_times_out_leaves_the_child_running,
            kill_ends_a_child_that_ignores_sigterm,
            a_signal_that_ends_the_child_counts_as_a_requested_kill_and_a_handled_one_does_not,
            release_returns_the_status_and_frees_the_slot;
    }
}
