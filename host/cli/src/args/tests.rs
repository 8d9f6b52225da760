//! The command line is consistent, and its values are read as they are written.

use super::*;

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Args::command().debug_assert();
}

#[test]
fn arguments_after_the_dashes_are_the_components() {
    let args = Args::parse_from(["capspawn", "run", "a.wasm", "--", "--grants", "-x"]);
    let Subcommand::Run(run) = args.command else {
        panic!("not the expected command")
    };
    assert_eq!(run.args, ["--grants", "-x"]);
    assert_eq!(run.grants, None);
}

#[test]
fn the_sandbox_is_chosen_by_tier_and_identity() {
    let parse = |more: &[&str]| {
        let args = Args::try_parse_from([&["capspawn", "doctor"], more].concat())?;
        let Subcommand::Doctor(doctor) = args.command else {
            panic!("not the expected command")
        };
        Ok::<_, clap::Error>((doctor.sandbox.tier, doctor.sandbox.run_as.run_as))
    };
    let all = parse(&["--tier", "B", "--run-as", "1000:100"]).expect("both are valid");
    let identity = Identity {
        uid: 1000,
        gid: 100,
    };
    assert_eq!(all, (Some(Tier::B), Some(identity)));
    assert_eq!(parse(&[]).expect("both are optional"), (None, None));
    for bad in [
        ["--tier", "D"],
        ["--run-as", "nobody"],
        ["--run-as", "1"],
        ["--owner-uids", "1000"],
        ["--owner-uids", "0-9"],
    ] {
        parse(&bad).expect_err("not a valid value");
    }
}

#[test]
fn a_directory_may_have_another_name_in_the_guest_and_be_read_only() {
    let mapping = |host: &str, guest: &str, read_only| DirMapping {
        host: host.into(),
        guest: guest.into(),
        read_only,
    };
    assert_eq!("a".parse(), Ok(mapping("a", "a", false)));
    assert_eq!("/a::/b".parse(), Ok(mapping("/a", "/b", false)));
    assert_eq!("a:ro".parse(), Ok(mapping("a", "a", true)));
    assert_eq!("/a::/b:ro".parse(), Ok(mapping("/a", "/b", true)));
    // A directory of that name.
    assert_eq!("a::ro".parse(), Ok(mapping("a", "ro", false)));
    assert_eq!("a:ro::b".parse(), Ok(mapping("a:ro", "b", false)));
    for bad in ["", "::", "a::", "::b", ":ro", "::b:ro"] {
        assert!(bad.parse::<DirMapping>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_variable_has_a_name_and_may_have_an_empty_value() {
    let variable = "A=b=c".parse();
    assert_eq!(
        variable,
        Ok(Variable {
            name: "A".into(),
            value: "b=c".into()
        })
    );
    let empty = "A=".parse();
    assert_eq!(
        empty,
        Ok(Variable {
            name: "A".into(),
            value: String::new()
        })
    );
    for bad in ["", "A", "=b"] {
        assert!(bad.parse::<Variable>().is_err(), "{bad:?}");
    }
}
