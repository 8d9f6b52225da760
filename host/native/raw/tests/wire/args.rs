//! The arguments of `capspawn-init`.

use proptest::prelude::*;

use super::fault;
use capspawn_raw::wire::{ExecuteArgs, InitArgs, SessionArgs};

fn descriptor() -> impl Strategy<Value = i32> {
    0..=i32::MAX
}

fn execute() -> impl Strategy<Value = InitArgs> {
    let optional = || prop::option::of(descriptor());
    let ids = (any::<u32>(), any::<u32>(), any::<u32>());
    let fields = (
        descriptor(),
        descriptor(),
        ids,
        optional(),
        optional(),
        fault(),
    );
    fields.prop_map(
        |(program, report, (uid, gid, user_tasks), ruleset, filter, fault)| {
            InitArgs::Execute(ExecuteArgs {
                program,
                report,
                uid,
                gid,
                ruleset,
                filter,
                user_tasks,
                fault,
            })
        },
    )
}

fn session() -> impl Strategy<Value = InitArgs> {
    let descriptors = prop::array::uniform4(descriptor());
    let fields = (descriptors, prop::option::of(descriptor()), fault());
    fields.prop_map(
        |([configuration, control, lifeline, announcements], ruleset, fault)| {
            InitArgs::Session(SessionArgs {
                configuration,
                control,
                lifeline,
                announcements,
                ruleset,
                fault,
            })
        },
    )
}

fn args() -> impl Strategy<Value = InitArgs> {
    let probe = (any::<u32>(), any::<bool>(), any::<bool>());
    prop_oneof![
        execute(),
        probe.prop_map(|(canary, in_session, free_groups)| InitArgs::Probe {
            canary,
            in_session,
            free_groups,
        }),
        (descriptor(), descriptor()).prop_map(|(control, announcements)| InitArgs::Serve {
            control,
            announcements,
        }),
        descriptor().prop_map(|socket| InitArgs::Watch { socket }),
        descriptor().prop_map(|socket| InitArgs::MapIds { socket }),
        session(),
    ]
}

proptest! {
    #[test]
    fn arguments_come_back(args in args()) {
        let encoded = args.encode();
        let string = encoded.as_str().as_bytes();
        prop_assert_eq!(string.len(), InitArgs::BYTES);
        prop_assert_eq!(InitArgs::read(string), Some(args));
        prop_assert_eq!(InitArgs::read(&string[1..]), None);
        prop_assert_eq!(InitArgs::read(&[string, b"0"].concat()), None);
    }

    #[test]
    fn every_string_that_is_read_is_one_that_is_written(
        task in 0..5u32,
        words in prop::collection::vec(prop_oneof![0..20u32, Just(u32::MAX), any::<u32>()], 9),
    ) {
        let all = std::iter::once(task).chain(words);
        let string: String = all.map(|word| format!("{word:08x}")).collect();
        if let Some(args) = InitArgs::read(string.as_bytes()) {
            let encoded = args.encode();
            prop_assert_eq!(encoded.as_str(), string);
        }
    }

    #[test]
    fn no_string_makes_it_panic(string in "[0-9a-gA-F\\x00]{80}") {
        let _ = InitArgs::read(string.as_bytes());
    }
}

#[test]
fn a_digit_is_hexadecimal_and_lower_case() {
    let encoded = InitArgs::Watch { socket: 0xa }.encode();
    let string = encoded.as_str();
    assert!(string.starts_with("000000020000000a"), "{string}");
    assert_eq!(InitArgs::read(string.to_uppercase().as_bytes()), None);
    assert_eq!(InitArgs::read(string.replace('a', "g").as_bytes()), None);
}
