//! The configuration of a session, and the operations that make its root.

use std::ffi::CString;

use proptest::prelude::*;

use super::bytes;
use capspawn_raw::filter::Instruction;
use capspawn_raw::wire::{Configuration, Malformed, NetworkNamespace, Operation, filter_pass};

const PASS: [u64; 2] = [1, u64::MAX];

const SAMPLE: Configuration<'_> = Configuration {
    becomes_user: true,
    hides_cgroup: true,
    network: NetworkNamespace::OwnWithLoopback,
    uid: 1,
    gid: 2,
    inner_uid: 12,
    shared_memory_bytes: 13,
    list_rights: 3,
    proc_rights: 4,
    write_rights: 5,
    terminal_rights: 16,
    scopes: 6,
    filter: &[7, 8, 9],
    system_v_filter: &[14, 15],
    operations: &[10, 11],
};

fn written(configuration: &Configuration<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    configuration.write(PASS, |part| bytes.extend_from_slice(part));
    bytes
}

proptest! {
    #[test]
    fn random_bytes_make_no_reader_panic(bytes in bytes()) {
        let _ = filter_pass(&bytes);
        if let Some(configuration) = Configuration::read(&bytes) {
            prop_assert!(configuration.operations().count() <= bytes.len());
        }
        let operations = Configuration { operations: &bytes, ..SAMPLE };
        prop_assert!(operations.operations().count() <= bytes.len());
    }

    #[test]
    fn a_configuration_comes_back(
        becomes_user in any::<bool>(),
        hides_cgroup in any::<bool>(),
        network in prop::sample::select(vec![
            NetworkNamespace::Host,
            NetworkNamespace::Own,
            NetworkNamespace::OwnWithLoopback,
        ]),
        words in any::<[u32; 3]>(),
        longs in any::<[u64; 6]>(),
        filter in prop::collection::vec(any::<u8>(), 0..32),
        system_v_filter in prop::collection::vec(any::<u8>(), 0..32),
        operations in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let [uid, gid, inner_uid] = words;
        let [shared_memory_bytes, list_rights, proc_rights, write_rights, terminal_rights, scopes] = longs;
        let configuration = Configuration {
            becomes_user,
            hides_cgroup,
            network,
            uid,
            gid,
            inner_uid,
            shared_memory_bytes,
            list_rights,
            proc_rights,
            write_rights,
            terminal_rights,
            scopes,
            filter: &filter,
            system_v_filter: &system_v_filter,
            operations: &operations,
        };
        let bytes = written(&configuration);
        prop_assert_eq!(filter_pass(&bytes), Some(PASS));
        prop_assert_eq!(Configuration::read(&bytes), Some(configuration));
        // Every cut before the operations is refused.
        let head = bytes.len() - operations.len();
        prop_assert_eq!(Configuration::read(&bytes[..head - 1]), None);
    }
}

#[test]
fn operations_come_back() {
    let (path, at) = (c"/a/b", c"/c");
    let all = [
        Operation::Bind {
            mount: None,
            path,
            writable: true,
            required: false,
        },
        Operation::Bind {
            mount: Some(7),
            path,
            writable: false,
            required: true,
        },
        Operation::Dev { bytes: 1 },
        Operation::Proc,
        Operation::Tmp { bytes: u64::MAX },
        Operation::Pin { path },
        Operation::Mask {
            path,
            required: true,
        },
        Operation::File {
            path,
            replaces: true,
            contents: b"a\n",
        },
        Operation::Alias { path, at },
    ];
    let mut bytes = Vec::new();
    for operation in &all {
        operation.write(|part| bytes.extend_from_slice(part));
    }
    let read = |operations| -> Vec<_> {
        let configuration = Configuration {
            operations,
            ..SAMPLE
        };
        configuration.operations().collect()
    };
    assert_eq!(read(&bytes), all.map(Ok));
    let cut = read(&bytes[..bytes.len() - 1]);
    assert_eq!(cut.len(), all.len());
    assert_eq!(cut.last(), Some(&Err(Malformed)));
}

#[test]
fn a_path_is_absolute_and_ends_with_its_only_nul() {
    for (path, good) in [
        (&b"/a\0"[..], true),
        (b"a\0", false),
        (b"/a", false),
        (b"/a\0b\0", false),
        (b"\0", false),
    ] {
        let mut operations = Vec::new();
        Operation::Pin { path: c"/a" }.write(|part| operations.extend_from_slice(part));
        // The kind; then the length and the path.
        operations.truncate(4);
        operations.extend(u32::try_from(path.len()).expect("short").to_ne_bytes());
        operations.extend(path);
        let configuration = Configuration {
            operations: &operations,
            ..SAMPLE
        };
        let first = configuration.operations().next().expect("one");
        assert_eq!(first.is_ok(), good, "{:?}", CString::new(path).ok());
    }
}

#[test]
fn a_flag_is_zero_or_one_and_a_network_is_one_of_three() {
    // Behind the pass: whether the user changes, whether the cgroup is hidden, and the network.
    for (at, greatest) in [(16, 1), (20, 1), (24, 2)] {
        let mut bytes = written(&SAMPLE);
        for value in 0..=3u8 {
            bytes[at..at + 4].copy_from_slice(&u32::from(value).to_ne_bytes());
            let is_read = Configuration::read(&bytes).is_some();
            assert_eq!(is_read, value <= greatest, "{value} at {at}");
        }
    }
}

#[test]
fn the_filter_is_not_shown() {
    let shown = format!("{SAMPLE:?}");
    assert!(shown.contains("uid: 1"), "{shown}");
    assert!(!shown.contains("filter"), "{shown}");
}

#[test]
fn an_instruction_lies_in_a_file_as_the_kernel_reads_it() {
    let instruction = Instruction {
        code: 0x1234,
        jt: 5,
        jf: 6,
        k: 0x789a_bcde,
    };
    let expected = [0x34, 0x12, 5, 6, 0xde, 0xbc, 0x9a, 0x78];
    assert_eq!(instruction.to_bytes(), expected);
}
