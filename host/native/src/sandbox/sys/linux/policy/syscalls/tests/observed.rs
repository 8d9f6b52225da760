//! The filter of an observed child, and that of its session: neither allows what the filter of another child refuses.

use capspawn_raw::filter::Instruction;

use super::{FilterOptions, Groups, SetGroupId};
use crate::confinement::Network;
use crate::sandbox::sys::linux::policy::filter_pass::FilterPass;
use crate::sandbox::sys::linux::policy::interpret::{Returned, interpret};
use crate::sandbox::sys::linux::policy::syscalls::{
    leave_denials, observed, program, session_program,
};

const NETWORKS: [Network; 3] = [Network::None, Network::Loopback, Network::Host];
/// Values of an argument at which some rule decides.
const VALUES: [u64; 12] = [
    0,
    1,
    2,
    3,
    10,
    16,
    0o4777,
    0o2010,
    0o100,
    0x1000_0000,
    0x0200_0000,
    u64::MAX,
];

fn options(groups: Groups) -> FilterOptions {
    FilterOptions {
        groups,
        has_domain: true,
        set_group_id: SetGroupId::Denied,
    }
}

/// Calls `check` with the arguments that are tried.
fn each_call(mut check: impl FnMut(u32, [u64; 6])) {
    for number in (0..480).chain([0x4000_0000, u32::MAX]) {
        check(number, [0; 6]);
        for place in 0..6 {
            for value in VALUES {
                let mut args = [0; 6];
                args[place] = value;
                check(number, args);
                let mut others = [1; 6];
                others[place] = value;
                check(number, others);
            }
        }
    }
}

#[test]
fn an_observed_filter_allows_only_what_the_other_allows() {
    for network in NETWORKS {
        for in_session in [false, true] {
            let calls = [
                libc::SYS_openat,
                libc::SYS_clone,
                libc::SYS_connect,
                libc::SYS_mknodat,
            ];
            let made = observed(network, options(Groups::Free), in_session, &calls);
            each_call(|number, args| {
                let of = |program: &[Instruction]| interpret(program, 0xc000_003e, number, args);
                let (decided, reported) = (of(&made.decides), of(&made.filter));
                let is_reported = reported == Returned::Other;
                let expected = match decided {
                    // A denial is always reported: the observer answers it.
                    Returned::Errno(1) => is_reported,
                    other => is_reported || reported == other,
                };
                assert!(
                    expected,
                    "{network} {in_session} {number} {args:x?}: {decided:?}, {reported:?}"
                );
            });
            let foreign = interpret(&made.filter, 0x4000_0003, 0, [0; 6]);
            assert_eq!(foreign, Returned::Kill);
        }
    }
}

#[test]
fn the_filter_that_decides_is_that_of_a_child_that_is_not_observed() {
    for network in NETWORKS {
        let options = options(Groups::Free);
        let alone = observed(network, options, false, &[libc::SYS_openat]);
        assert_eq!(alone.decides, program(network, options));
        let pass = FilterPass::draw().expect("there are random numbers");
        let of_session = session_program(network, options, pass);
        let in_session = observed(network, options, true, &[libc::SYS_openat]);
        each_call(|number, args| {
            let of = |program: &[Instruction]| interpret(program, 0xc000_003e, number, args);
            assert_eq!(
                of(&in_session.decides),
                of(&of_session),
                "{number} {args:x?}"
            );
        });
    }
}

#[test]
fn a_session_that_leaves_its_denials_allows_no_more() {
    for network in NETWORKS {
        let pass = FilterPass::draw().expect("there are random numbers");
        let before = session_program(network, options(Groups::Free), pass);
        let mut after = before.clone();
        leave_denials(&mut after);
        let mut left = 0;
        each_call(|number, args| {
            let of = |program: &[Instruction]| interpret(program, 0xc000_003e, number, args);
            match of(&before) {
                Returned::Errno(1) => {
                    left += 1;
                    assert_eq!(of(&after), Returned::Other, "{number} {args:x?}");
                }
                other => assert_eq!(of(&after), other, "{number} {args:x?}"),
            }
        });
        assert!(left > 1000);
    }
}
