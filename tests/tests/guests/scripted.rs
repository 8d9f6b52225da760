//! Guests without programs: the example `format-changes` with a scripted git and a scripted formatter, and what a test
//! host provides.

use std::time::{Duration, SystemTime};

use capspawn_testing::{Failure, Outcome, Parts, Report, TestHost, TestState, any, rest};
use e2e::guests;

/// The grant of the plugin, as it would be delivered. No machine has these programs.
const GRANT: &str = r#"
    version = 1

    [component.format-changes]
    max-live = 2
    limits = { wall = "10min" }

    [[component.format-changes.command]]
    name = "git"
    program = "/opt/no-such-folder/bin/git"
    args = ["diff", "--name-only", "--diff-filter=d", "-z"]

    [[component.format-changes.command]]
    name = "neat"
    program = "/opt/no-such-folder/bin/neat"
    args = ["--write", { re = "[a-z/]+\\.rs" }]
    env = { set = { NEAT_STYLE = "2024" } }
"#;

fn plugin() -> TestHost {
    let host = TestHost::new()
        .grant(GRANT)
        .guest(guests::FORMAT_CHANGES.path);
    host.args(["neat", "--write"])
}

#[test]
pub(crate) fn format_changes() {
    let host = plugin();
    host.on("git")
        .args(["diff", rest()])
        .stdout("src/a.rs\0src/b.rs\0")
        .once();
    host.on("neat").args(["--write", any()]);
    let scripts = host.scripts().clone();
    let report = host.run();
    report
        .assert_success()
        .assert_stdout("formatted src/a.rs\nformatted src/b.rs\n2 of 2 files\n")
        .assert_endings([
            "git diff --name-only --diff-filter=d -z: exited with 0",
            "neat --write src/a.rs: exited with 0",
            "neat --write src/b.rs: exited with 0",
        ])
        .assert_denials([])
        .assert_quota_refusals([]);
    scripts.verify();
    let [git, neat, _] = &report.children[..] else {
        panic!("{report}");
    };
    assert_eq!(git.stdout_bytes, 18);
    assert!(
        neat.call.env_names.contains(&"NEAT_STYLE".to_owned()),
        "{report}"
    );
    assert!(neat.call.program.ends_with("bin/neat"), "{report}");
}

/// Ten minutes of a formatter that hangs pass at once: the guest allows it one, the grant ten.
#[test]
fn a_formatter_that_hangs_is_killed_after_the_time_that_the_guest_allows() {
    let host = plugin();
    host.on("git").stdout("src/a.rs\0src/b.rs\0");
    host.on("neat")
        .args([any(), "src/a.rs"])
        .stderr("parsing\n")
        .hang();
    host.on("neat").after(Duration::from_secs(59));
    let start = host.clock().wall();
    let report = host.run();
    report.assert_exit(1).assert_endings([
        "git diff --name-only --diff-filter=d -z: exited with 0",
        "neat --write src/a.rs: killed: timeout",
        "neat --write src/b.rs: exited with 0",
    ]);
    assert_eq!(report.elapsed, Duration::from_secs(60 + 59));
    let times: Vec<_> = report.events.iter().map(|event| event.time).collect();
    assert_eq!(times.first(), Some(&start));
    assert_eq!(times.last(), Some(&(start + Duration::from_secs(119))));
    let begins = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    assert_eq!(start, begins, "it is the same on every day");
}

#[test]
fn failures_of_every_kind_reach_the_guest() {
    let ran = |script: fn(&TestHost)| {
        let host = plugin();
        host.on("git").stdout("src/a.rs\0");
        script(&host);
        host.run()
    };
    let fails = |script: fn(&TestHost), text: &str| {
        let report = ran(script);
        report.assert_exit(1).assert_no_faults();
        assert!(report.stdout_text().contains(text), "{text}\n{report}");
        report
    };
    fails(
        |host| drop(host.on("neat").stderr("error: unbalanced\nmore").exit(3)),
        "unbalanced",
    );
    fails(|host| drop(host.on("neat").signal(11)), "signal: 11");
    fails(|host| drop(host.on("neat").out_of_memory()), "memory");
    let absent = fails(
        |host| drop(host.on("neat").fail(Failure::NotFound)),
        "did not run",
    );
    assert_eq!(absent.failed_launches.len(), 1, "{absent}");
    assert_eq!(absent.children.len(), 1, "{absent}");
    let full = fails(
        |host| drop(host.on("neat").fail(Failure::NoProcesses)),
        "did not run",
    );
    full.assert_quota_refusals(["neat --write src/a.rs: host capacity"]);
    ran(|host| drop(host.on("neat"))).assert_success();
}

#[test]
fn what_the_grant_refuses_is_reported_with_its_reason() {
    let host = plugin().args(["neat", "--delete"]);
    host.on("git").stdout("src/a.rs\0");
    let report = host.run();
    report
        .assert_exit(1)
        .assert_children(["git diff --name-only --diff-filter=d -z"])
        .assert_denials(["neat --delete src/a.rs: argument"]);
    assert_eq!(report.denials[0].by, "grant");
    assert!(report.denials[0].reason.contains("--delete"), "{report}");
}

fn panic_of(assertion: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(assertion).expect_err("the assertion fails");
    *panic.downcast::<String>().expect("it has a message")
}

#[test]
fn an_unexpected_call_fails_and_names_the_nearest_script() {
    let host = plugin();
    host.on("git").stdout("src/a.rs\0");
    host.on("neat").args(["--write", "src/b.rs"]);
    let report = host.run();
    report.assert_exit(1);
    let text = panic_of(|| {
        let _ = report.assert_no_faults();
    });
    for part in [
        r#"no script for neat ["--write", "src/a.rs"]"#,
        r#"nearest script: neat ["--write", "src/b.rs"]"#,
        r#"argument 2: expected "src/b.rs", found "src/a.rs""#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // What the grant would never let the plugin do, a test says with a difference that is readable.
    let text = panic_of(|| {
        let wrong = ["git diff --name-only --diff-filter=d -z", "neat src/a.rs"];
        let _ = report.assert_children(wrong);
    });
    assert!(text.contains("\n    git diff --name-only"), "{text}");
    assert!(text.contains("\n  - neat src/a.rs"), "{text}");
}

#[test]
fn a_guest_of_version_0_3_runs_too() {
    let grant = r#"
        version = 1
        [[component.any.command]]
        name = "uname"
        program = "/opt/no-such-folder/bin/uname"
        args = ["-s"]
    "#;
    let host = TestHost::new()
        .grant(grant)
        .guest(guests::P3_RUN.path)
        .args(["uname", "-s"]);
    host.on("uname")
        .args(["-s"])
        .stdout("Plan 9\n")
        .after(Duration::from_secs(1));
    let report = host.run();
    report.assert_success().assert_children(["uname -s"]);
    assert!(report.stdout_text().contains("Plan 9"), "{report}");
}

#[test]
fn half_an_hour_passes_for_the_guest_and_its_child() {
    let grant = r#"
        version = 1
        [[component.any.command]]
        name = "sleep"
        program = "/opt/no-such-folder/bin/sleep"
        args = ["*"]
        limits = { wall = "1h" }
    "#;
    let ran = |child: Duration| {
        let host = TestHost::new()
            .grant(grant)
            .guest(guests::WITH_TIMEOUT.path);
        let host = host.args(["1800000", "sleep", "3600"]);
        host.on("sleep").args(["3600"]).after(child);
        host.run()
    };
    let late = ran(Duration::from_secs(3600));
    late.assert_success().assert_stdout("too slow\n");
    assert_eq!(late.elapsed, Duration::from_secs(1800));
    let early = ran(Duration::from_secs(1799));
    early.assert_success().assert_stdout("in time\n");
    assert_eq!(early.elapsed, Duration::from_secs(1799));
}

/// The guest waits for the child, reads, and sleeps by its own clock, which is that of the host.
#[test]
fn a_guest_that_sleeps_shares_the_clock_of_its_children() {
    let grant = r#"
        version = 1
        [[component.any.command]]
        name = "job"
        program = "/opt/no-such-folder/bin/job"
    "#;
    let host = TestHost::new()
        .grant(grant)
        .guest(guests::POLL_PROGRESS.path)
        .args(["job"]);
    let job = host
        .on("job")
        .stdout("begun\n")
        .pause(Duration::from_secs(10));
    job.stdout("done\n").grandchild(Duration::from_secs(3600));
    let report = host.run();
    report.assert_exit(0);
    assert!(report.stdout_text().contains("[11 bytes] done"), "{report}");
    let seconds = report.elapsed.as_secs_f64();
    assert!((10.25..11.5).contains(&seconds), "{seconds}\n{report}");
}

/// An embedder's own data of the store, with the linker of its production.
#[test]
fn an_embedder_brings_its_own_state_and_linker() {
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let linked = std::sync::Arc::clone(&seen);
    let state = |parts: Parts| e2e::State::new(parts.wasi, parts.process);
    let host = TestHost::with_state(state, move |linker| {
        linked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        capspawn::p2::add_to_linker(linker)
    });
    let host = host.grant(GRANT).component("format-changes");
    let host = host
        .guest(guests::RUN_ONCE.path)
        .args(["neat", "--write", "src/a.rs"]);
    host.on("neat").stdout("done\n");
    let report: Report = host.run();
    report
        .assert_success()
        .assert_stdout("done\nneat: exit status: 0\n");
    assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_guest_that_traps_is_an_outcome_and_its_children_end() {
    let host: TestHost<TestState> = TestHost::new().grant(GRANT).component("format-changes");
    // Without arguments the example panics.
    let report = host.guest(guests::FORMAT_CHANGES.path).run();
    assert!(matches!(report.outcome, Outcome::Trapped(_)), "{report}");
    report.assert_children([]);
}
