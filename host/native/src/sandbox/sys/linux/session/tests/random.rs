//! The wire formats: random bytes, and round trips.

use std::ffi::CString;

use capspawn_raw::wire::{Configuration, Operation, Report, Spawn};
use proptest::prelude::*;

/// Returns bytes whose first words resemble a message.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![0..8u32, any::<u32>()].prop_map(u32::to_ne_bytes);
    let words = prop::collection::vec(word, 0..16).prop_map(|words| words.concat());
    let rest = prop::collection::vec(prop_oneof![Just(0), Just(b'/'), any::<u8>()], 0..64);
    (words, rest).prop_map(|(words, rest)| [words, rest].concat())
}

proptest! {
    #[test]
    fn random_bytes_cause_no_panic(bytes in bytes()) {
        if let Some(spawn) = Spawn::read(&bytes) {
            prop_assert!(spawn.limits().count() <= 16);
            let mut pointers = [std::ptr::null(); 64];
            if let Some(strings) = spawn.strings {
                let _ = spawn.split(strings, &mut pointers);
            }
        }
        if let Some(configuration) = Configuration::read(&bytes) {
            prop_assert!(configuration.operations().count() <= bytes.len());
        }
        let _ = Report::read(&bytes);
    }

    #[test]
    fn a_request_is_split_into_the_strings_that_it_was_made_of(
        strings in prop::collection::vec("[a-z/=]{0,9}", 3..20),
        cut in 0..20usize,
    ) {
        let arguments = 1 + cut % (strings.len() - 2);
        let variables = strings.len() - 2 - arguments;
        let blob: Vec<u8> = strings.iter().flat_map(|it| [it.as_bytes(), b"\0"].concat()).collect();
        let counts = [arguments, variables].map(|count| u32::try_from(count).expect("small"));
        let words = [counts[0], counts[1], 0, 0, 0, 0, 0, 0, 0];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(&blob);
        let Some(spawn) = Spawn::read(&bytes) else {
            return Err(TestCaseError::fail("a request"));
        };
        let sent = spawn.strings.expect("inline");
        let mut pointers = vec![std::ptr::dangling(); strings.len()];
        let (cwd, program) = spawn.split(sent, &mut pointers).expect("as many as announced");
        prop_assert_eq!(cwd.to_bytes(), strings[0].as_bytes());
        prop_assert_eq!(program.to_bytes(), strings[1].as_bytes());
        prop_assert!(pointers[arguments].is_null());
        prop_assert!(pointers[arguments + variables + 1].is_null());
        let offset = |index: usize| pointers[index].addr() - sent.as_ptr().addr();
        let mut expected = strings[0].len() + strings[1].len() + 2;
        for (index, string) in strings[2..].iter().enumerate() {
            let slot = if index < arguments { index } else { index + 1 };
            prop_assert_eq!(offset(slot), expected);
            expected += string.len() + 1;
        }
        // A missing string, an additional one, and too little room are refused.
        prop_assert!(spawn.split(&blob[..blob.len() - 1], &mut pointers).is_none());
        prop_assert!(spawn.split(&[blob.as_slice(), b"\0"].concat(), &mut pointers).is_none());
        let room = pointers.len() - 1;
        prop_assert!(spawn.split(sent, &mut pointers[..room]).is_none());
    }

    #[test]
    fn reports_round_trip(errno in any::<i32>(), pid in any::<u32>()) {
        let all = [
            Report::Started { pid },
            Report::Failed { step: 3, errno, operation: 4 },
            Report::Ready,
            Report::Refused { step: 3, errno, pid },
        ];
        for report in all {
            let bytes = report.bytes();
            prop_assert_eq!(Report::read(&bytes), Some(report));
            prop_assert_eq!(Report::read(&bytes[..15]), None);
            prop_assert_eq!(Report::read(&[&bytes[..], &[0]].concat()), None);
        }
    }
}

#[test]
fn a_request_names_its_descriptors() {
    // One argument; no limits, affinity or fault.
    let read = |streams: u32, apart: u32, shared: u32| {
        let words = [1, 0, 0, 0, 0, 0, streams, apart, shared];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let spawn = Spawn::read(&bytes);
        spawn.map(|spawn| (spawn.streams, spawn.apart, spawn.strings.is_none()))
    };
    assert_eq!(read(0, 0, 0), Some((0, false, false)));
    assert_eq!(read(7, 1, 1), Some((7, true, true)));
    for (streams, apart, shared) in [(8, 0, 0), (0, 2, 0), (0, 0, 2)] {
        assert_eq!(read(streams, apart, shared), None);
    }
}

#[test]
fn operations_round_trip() {
    let (path, at) = (c"/a/b", c"/c");
    let all = [
        Operation::Bind {
            path,
            writable: true,
            required: false,
        },
        Operation::Dev { bytes: 1 },
        Operation::Proc,
        Operation::Tmp { bytes: u64::MAX },
        Operation::Pin { path },
        Operation::Hole {
            path,
            required: true,
        },
        Operation::Alias { path, at },
    ];
    let mut bytes = vec![0; 3 * 4 + 7 * 8 + 4];
    for operation in &all {
        operation.write(|part| bytes.extend_from_slice(part));
    }
    let configuration = Configuration::read(&bytes).expect("a configuration");
    let read: Vec<_> = configuration.operations().collect();
    assert_eq!(read, all.map(Ok));
    bytes.pop();
    let configuration = Configuration::read(&bytes).expect("a configuration");
    assert_eq!(configuration.operations().last(), Some(Err(())));
}

#[test]
fn a_path_must_be_absolute_and_end_where_its_length_says() {
    for (path, good) in [
        (&b"/a\0"[..], true),
        (b"a\0", false),
        (b"/a", false),
        (b"/a\0b\0", false),
        (b"\0", false),
    ] {
        let mut bytes = vec![0; 3 * 4 + 7 * 8 + 4];
        bytes.extend(5u32.to_ne_bytes());
        bytes.extend(u32::try_from(path.len()).expect("small").to_ne_bytes());
        bytes.extend(path);
        let configuration = Configuration::read(&bytes).expect("a configuration");
        let first = configuration.operations().next().expect("one");
        assert_eq!(first.is_ok(), good, "{:?}", CString::new(path).ok());
    }
}
