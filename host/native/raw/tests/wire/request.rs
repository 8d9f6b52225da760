//! Requests to start a child, their strings and their descriptors.

use proptest::prelude::*;

use super::{bytes, fault};
use capspawn_raw::limit::{Limit, LimitList, MAX_LIMITS};
use capspawn_raw::step::Fault;
use capspawn_raw::user::ChildUser;
use capspawn_raw::wire::{
    Alone, CgroupEntry, MAX_CGROUP_FILES, MAX_DATAGRAM, MAX_HEAD, MAX_INLINE, MAX_STRINGS,
    SPAWN_DESCRIPTORS, ServerRequest, SpawnFiles, SpawnRequest,
};

/// A request for one argument and nothing else.
fn sample() -> SpawnRequest<'static> {
    SpawnRequest {
        arguments: 1,
        variables: 0,
        fault: Fault::NONE,
        affinity: None,
        limits: LimitList::new(),
        streams: [false; 3],
        cgroup: CgroupEntry::None,
        alone: None,
        observed: false,
        strings: Some(b""),
    }
}

fn written(request: &SpawnRequest<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.write_head(|part| bytes.extend_from_slice(part));
    bytes.extend_from_slice(request.strings.unwrap_or(&[]));
    bytes
}

fn alone() -> impl Strategy<Value = Option<Alone>> {
    // The largest number of tasks stands for no limit.
    let tasks = prop::option::of(0..u64::MAX);
    let user = (any::<u32>(), any::<u32>(), tasks);
    let user = user.prop_map(|(uid, gid, tasks)| ChildUser { uid, gid, tasks });
    let alone = (prop::option::of(user), any::<[bool; 3]>());
    let alone = alone.prop_map(|(user, [has_ruleset, has_filter, lock_securebits])| Alone {
        user,
        has_ruleset,
        has_filter,
        lock_securebits,
    });
    prop::option::of(alone)
}

fn cgroup() -> impl Strategy<Value = CgroupEntry> {
    prop_oneof![
        Just(CgroupEntry::None),
        (1..=MAX_CGROUP_FILES).prop_map(CgroupEntry::Write),
        Just(CgroupEntry::Clone),
    ]
}

fn limits() -> impl Strategy<Value = LimitList> {
    let limit = (any::<u32>(), any::<[u64; 2]>());
    let limit = limit.prop_map(|(resource, values)| Limit { resource, values });
    prop::collection::vec(limit, 0..=MAX_LIMITS).prop_map(|limits| {
        let mut list = LimitList::new();
        for limit in limits {
            list.push(limit).expect("there is room");
        }
        list
    })
}

proptest! {
    #[test]
    fn random_bytes_make_no_reader_panic(bytes in bytes()) {
        if let Some(request) = SpawnRequest::read(&bytes) {
            prop_assert!(request.limits.len() <= MAX_LIMITS);
            let mut pointers = [std::ptr::null(); 64];
            if let Some(strings) = request.strings {
                let _ = request.split(strings, &mut pointers);
            }
        }
    }

    #[test]
    fn a_request_comes_back(
        arguments in 1..1000u32,
        variables in 0..1000u32,
        fault in fault(),
        affinity in prop::option::of(any::<u8>()),
        limits in limits(),
        streams in any::<[bool; 3]>(),
        cgroup in cgroup(),
        alone in alone(),
        observed in any::<bool>(),
        strings in prop::option::of(prop::collection::vec(any::<u8>(), 0..32)),
    ) {
        let affinity = affinity.map(|byte| [byte; 128]);
        let request = SpawnRequest {
            arguments,
            variables,
            fault,
            affinity: affinity.as_ref(),
            limits,
            streams,
            cgroup,
            alone,
            observed,
            strings: strings.as_deref(),
        };
        let bytes = written(&request);
        prop_assert_eq!(SpawnRequest::read(&bytes), Some(request.clone()));
        let head = bytes.len() - strings.as_deref().map_or(0, <[u8]>::len);
        prop_assert!(head <= MAX_HEAD);
        prop_assert_eq!(SpawnRequest::read(&bytes[..head - 1]), None);
        if strings.is_none() {
            let longer = [&bytes[..], &[0]].concat();
            prop_assert_eq!(SpawnRequest::read(&longer), None);
        }
    }

    #[test]
    fn strings_are_split_as_they_were_joined(
        strings in prop::collection::vec("[a-z/=]{0,9}", 3..20),
        cut in 0..20usize,
    ) {
        let arguments = 1 + cut % (strings.len() - 2);
        let variables = strings.len() - 2 - arguments;
        let blob: Vec<u8> = strings.iter().flat_map(|it| [it.as_bytes(), b"\0"].concat()).collect();
        let [arguments, variables] =
            [arguments, variables].map(|count| u32::try_from(count).expect("small"));
        let request = SpawnRequest { arguments, variables, strings: Some(&blob), ..sample() };
        let bytes = written(&request);
        let Some(request) = SpawnRequest::read(&bytes) else {
            return Err(TestCaseError::fail("a request"));
        };
        let sent = request.strings.expect("inline");
        let mut pointers = vec![std::ptr::dangling(); strings.len()];
        let split = request.split(sent, &mut pointers).expect("as many as announced");
        let all = [split.cwd, split.program].into_iter();
        let all: Vec<_> = all.chain(split.argv.iter()).chain(split.envp.iter()).collect();
        prop_assert_eq!(split.argv.iter().count(), arguments as usize);
        let texts: Vec<_> = all.iter().map(|string| string.to_bytes()).collect();
        let expected: Vec<_> = strings.iter().map(String::as_bytes).collect();
        prop_assert_eq!(texts, expected);
        // One string less or more, or too little room, is refused.
        prop_assert!(request.split(&blob[..blob.len() - 1], &mut pointers).is_none());
        prop_assert!(request.split(&[&blob[..], b"\0"].concat(), &mut pointers).is_none());
        let room = pointers.len() - 1;
        prop_assert!(request.split(sent, &mut pointers[..room]).is_none());
    }

    #[test]
    fn descriptors_come_back_in_their_order(
        streams in any::<[Option<u8>; 3]>(),
        program in any::<u8>(),
        strings in any::<Option<u8>>(),
        cgroup in cgroup(),
        alone in alone(),
        observed in any::<bool>(),
    ) {
        let count = usize::try_from(cgroup.descriptors()).expect("small");
        let cgroups = std::array::from_fn(|index| (index < count).then_some(7));
        let files = SpawnFiles { streams, program, cgroup: cgroups,
            cwd: alone.map(|_| 1),
            ruleset: alone.filter(|alone| alone.has_ruleset).map(|_| 2),
            filter: (observed || alone.is_some_and(|alone| alone.has_filter)).then_some(3),
            observer: observed.then_some(4),
            strings,
        };
        let request = SpawnRequest {
            streams: streams.map(|stream| stream.is_some()),
            cgroup,
            alone,
            observed,
            strings: if strings.is_some() { None } else { Some(b"") },
            ..sample()
        };
        let passed: Vec<u8> = files.clone().into_passed().collect();
        prop_assert!(passed.len() <= SPAWN_DESCRIPTORS);
        let read = |passed: &[u8]| SpawnFiles::from_passed(&request, passed.iter().copied());
        prop_assert_eq!(read(&passed), Some(files));
        // One less or more than announced is refused.
        prop_assert_eq!(read(&passed[1..]), None);
        prop_assert_eq!(read(&[&passed[..], &[0]].concat()), None);
    }
}

#[test]
fn the_largest_request_fits_into_a_datagram() {
    let mut limits = LimitList::new();
    let limit = Limit {
        resource: 1,
        values: [2, 3],
    };
    while limits.push(limit).is_some() {}
    assert_eq!(limits.len(), MAX_LIMITS);
    let strings = vec![b'a'; MAX_INLINE];
    let request = SpawnRequest {
        affinity: Some(&[1; 128]),
        limits,
        alone: Some(Alone {
            user: Some(ChildUser {
                uid: 1,
                gid: 2,
                tasks: None,
            }),
            has_ruleset: true,
            has_filter: true,
            lock_securebits: true,
        }),
        strings: Some(&strings),
        ..sample()
    };
    let mut head = 0;
    ServerRequest::Spawn(request).write_head(|part| head += part.len());
    assert_eq!(head, MAX_HEAD);
    assert_eq!(head + strings.len(), MAX_DATAGRAM);
}

#[test]
fn a_request_has_an_argument_and_no_more_strings_than_the_server_has_room_for() {
    let most = u32::try_from(MAX_STRINGS).expect("it fits");
    for (arguments, variables, good) in [
        (0, 1, false),
        (1, 0, true),
        (1, most - 1, true),
        (1, most, false),
        (u32::MAX, u32::MAX, false),
    ] {
        let request = SpawnRequest {
            arguments,
            variables,
            ..sample()
        };
        let is_read = SpawnRequest::read(&written(&request)).is_some();
        assert_eq!(is_read, good, "{arguments} {variables}");
    }
}

#[test]
fn a_list_of_limits_holds_what_is_set() {
    let limit = |resource| Limit {
        resource,
        values: [0, 1],
    };
    let list = LimitList::from([None, Some(limit(1)), None, Some(limit(2))]);
    assert_eq!(*list, [limit(1), limit(2)]);
}

#[test]
fn requests_without_strings_come_back_and_others_are_refused() {
    for request in [
        ServerRequest::StartServer {
            has_domain: true,
            number: 7,
        },
        ServerRequest::StartServer {
            has_domain: false,
            number: 0,
        },
        ServerRequest::SignalDomain(9),
    ] {
        let mut bytes = Vec::new();
        request.write_head(|part| bytes.extend_from_slice(part));
        assert_eq!(ServerRequest::read(&bytes), Some(request));
        assert_eq!(ServerRequest::read(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(ServerRequest::read(&bytes[..7]), None);
    }
    // The signal 0 and those beyond the last would be errors of kill(2).
    for words in [&[3, 0][..], &[3, 65], &[4, 1], &[2, 2, 7], &[2, 1]] {
        let bytes: Vec<u8> = words.iter().copied().flat_map(u32::to_ne_bytes).collect();
        assert_eq!(ServerRequest::read(&bytes), None, "{words:?}");
    }
}
