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

#[test]
fn a_rule_that_denies_without_arguments_denies_every_vector_of_its_name() {
    let allow = echo("args = [{ rest = true, allow-dash = true }]");
    let vectors: [&[&str]; 5] = [&[], &["a"], &["-x", "@y"], &["a", "b", "c"], &["**"]];
    let all = component(&(allow.clone() + &echo("decision = \"deny\"")));
    let empty = component(&(allow.clone() + &echo("decision = \"deny\"\nargs = []")));
    for vector in vectors {
        allowed(&component(&allow), &request(vector));
        assert_eq!(denied(&all, &request(vector)).item, DeniedItem::Argument);
        // An empty list is a list.
        assert_eq!(empty.decide(&request(vector)).is_err(), vector.is_empty());
    }
    let shown: Vec<_> = all.commands().map(|command| command.args).collect();
    assert_eq!(shown[1], ["any further arguments"]);
    // A rule that allows and lists no arguments still allows none.
    denied(&component(&echo("")), &request(&["a"]));
}

#[test]
fn a_program_below_a_folder_is_found_by_every_place_that_names_it() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().canonicalize().expect("it exists");
    for name in ["links", "bin"] {
        std::fs::create_dir(path.join(name)).expect("an empty folder");
    }
    symlink("/bin/echo", path.join("links/echo")).expect("an empty folder");
    let program = path.join("links/echo");
    let text = echo("sandbox = \"none\"").replace("/bin/echo", program.to_str().expect("UTF-8"));
    let grant = component(&text);
    let below = |name: &str| grant.program_below(&path.join(name)).expect("it resolves");
    assert_eq!(below("links"), Some(program));
    assert_eq!(below("bin"), None);
    assert!(
        grant
            .program_below(Path::new("/usr"))
            .expect("it resolves")
            .is_some()
    );
    grant
        .program_below(&path.join("absent"))
        .expect_err("there is none");
    let any = "[[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n";
    let any = component(any).program_below(Path::new("/"));
    assert_eq!(any.expect("it resolves"), None);
}
