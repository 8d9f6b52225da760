//! Decisions by the rules of one grant, and of two.

use super::*;
use crate::confinement::{Network, Sandbox};
use crate::grant::testing::{allowed, component, denied, echo, request};

#[test]
fn a_grant_without_rules_denies_everything() {
    let grant = Grant::deny_all("c");
    let denial = denied(&grant, &request(&[]));
    assert_eq!((denial.item, denial.nearest), (DeniedItem::Program, None));
}

#[test]
fn the_denial_of_an_unknown_name_has_the_nearest_name() {
    let grant = component(&echo(""));
    allowed(&grant, &request(&[]));
    let summary = grant.commands().next().expect("there is one");
    assert_eq!((summary.name.as_str(), summary.decision), ("echo", "allow"));
    assert!(summary.stdin);
    assert_eq!(summary.program.as_deref(), Some(Path::new("/bin/echo")));
    let denial = denied(&grant, &Command::new("ecko"));
    assert_eq!(denial.nearest.as_deref(), Some("echo"));
    assert!(
        denial
            .would_allow
            .is_some_and(|line| line.contains("name = \"ecko\""))
    );
    // The path of the program is not the name of the command.
    denied(&grant, &Command::new("/bin/echo"));
}

#[test]
fn a_request_that_no_grant_can_allow_is_invalid() {
    let grant = component(&echo("args = [\"*\"]"));
    let result = grant.decide(&request(&["a\0b"]));
    assert!(matches!(result, Err(SpawnError::InvalidArgument(_))));
}

#[test]
fn of_several_rules_the_strictest_wins() {
    let grant = component(
        &[
            echo("args = [\"**\"]"),
            echo("args = [\"push\", \"*\"]\ndecision = \"ask\""),
            echo("args = [\"push\", \"prod\", \"**\"]\ndecision = \"deny\""),
            echo("args = [\"gc\", { literal = \"--prune\" }]"),
        ]
        .concat(),
    );
    allowed(&grant, &request(&["log"]));
    allowed(&grant, &request(&["gc", "--prune"]));
    let asks = grant.decide(&request(&["push", "test"]));
    assert!(matches!(asks, Ok(Decision::Ask(_))), "{asks:?}");
    assert_eq!(
        denied(&grant, &request(&["push", "prod"])).item,
        DeniedItem::Argument
    );
    denied(&grant, &request(&["push", "--prod"]));
}

#[test]
fn a_rule_that_refuses_matches_options_too() {
    let grant = component(
        &[
            echo("args = [{ rest = true, allow-dash = true }]"),
            echo("args = [\"push\", \"**\"]\ndecision = \"deny\""),
        ]
        .concat(),
    );
    allowed(&grant, &request(&["--push"]));
    denied(&grant, &request(&["push", "--force"]));
}

#[test]
fn an_intersection_allows_what_both_allow_with_the_stricter_limits() {
    let operator = component(&format!(
        "[component.c]\nmax-live = 4\nrate = \"20/min\"\nnetwork = \"host\"\n{}{}",
        echo("args = [\"*\"]\nlimits = { wall = \"9s\", cpu = \"1s\" }"),
        echo("args = [\"secret\"]").replace("\"echo\"", "\"other\""),
    ));
    let manifest = component(&format!(
        "[component.c]\nmax-live = 9\nrate = \"1/s\"\nsandbox = \"none\"\nfs = {{ read = [\"/etc\"] }}\n{}",
        echo("args = [{ one-of = [\"a\", \"-b\"] }]\nlimits = { wall = \"5s\", cpu = \"2s\" }"),
    ));
    let both = operator.intersect(&manifest);
    assert_eq!(both.quotas().max_live, 4);
    assert_eq!(both.quotas().rate.map(|rate| rate.count), Some(20));
    let plan = allowed(&both, &request(&["a"]));
    assert_eq!(plan.limits.wall.as_secs(), 5);
    assert_eq!(plan.limits.cpu.map(|cpu| cpu.as_secs()), Some(1));
    assert_eq!(plan.confinement.sandbox, Sandbox::Required);
    assert_eq!(plan.confinement.network, Network::None);
    assert!(!plan.confinement.fs.read.contains(&"/etc".into()));
    assert!(plan.confinement.fs.read.contains(&"/usr".into()));
    // Only one of the two allows these.
    denied(&both, &request(&["c"]));
    denied(&both, &request(&["-b"]));
    denied(&both, &Command::new("other").arg("secret"));
}

#[test]
fn an_intersection_discloses_a_pid_if_both_do() {
    let quiet = component(&echo(""));
    let telling = component(&echo("disclose-pid = true"));
    let discloses =
        |one: &Arc<Grant>, two| allowed(&one.intersect(two), &request(&[])).disclose_pid;
    assert!(discloses(&telling, &telling));
    assert!(!discloses(&telling, &quiet) && !discloses(&quiet, &telling));
}

#[test]
fn an_intersection_needs_approval_if_either_does() {
    let allows = component(&echo(""));
    let asks = component(&echo("decision = \"ask\""));
    allowed(&allows.intersect(&allows), &request(&[]));
    for both in [allows.intersect(&asks), asks.intersect(&allows)] {
        let decision = both.decide(&request(&[]));
        assert!(matches!(decision, Ok(Decision::Ask(_))), "{decision:?}");
    }
}

#[test]
fn an_intersection_allows_standard_input_if_both_do() {
    let open = component(&echo(""));
    let closed = component(&echo("stdin = false"));
    let piped = Command {
        stdin: crate::streams::Stdin::Piped,
        ..request(&[])
    };
    allowed(&open.intersect(&open), &piped);
    for both in [open.intersect(&closed), closed.intersect(&open)] {
        assert_eq!(denied(&both, &piped).item, DeniedItem::Stdio);
        allowed(&both, &request(&[]));
        assert!(!both.explain(&request(&[])).allows_stdin);
    }
}

#[test]
fn an_intersection_needs_the_same_program_and_directory() {
    let echo_it = component(&echo(""));
    let cat_it = component(&echo("").replace("/bin/echo", "/bin/cat"));
    let denial = denied(&echo_it.intersect(&cat_it), &request(&[]));
    assert_eq!(denial.item, DeniedItem::Program);
    allowed(&echo_it.intersect(&echo_it), &request(&[]));
    let in_usr = component(&echo("cwd = { roots = [\"/usr\"] }"));
    let in_bin = component(&echo("cwd = { roots = [\"/usr/bin\"] }"));
    allowed(&in_bin.intersect(&in_usr), &request(&[]));
    let denial = denied(&in_usr.intersect(&in_bin), &request(&[]));
    assert_eq!(denial.item, DeniedItem::WorkingDirectory);
    let fixed = component(&echo("fixed = [\"x\"]"));
    denied(&echo_it.intersect(&fixed), &request(&[]));
    allowed(&fixed.intersect(&echo_it), &request(&[]));
}
