//! What a child sees and can reach.

use std::sync::Arc;

use super::support::{
    launch, output, piped, plan, processes, profile, profile_of, python, rules, run, script,
    session, spawner, status, wait,
};
use crate::confinement::{Confinement, Network};
use crate::launch::{Exit, Process};
use crate::sandbox::sys::linux::policy::landlock;
use crate::sandbox::sys::linux::session::Session;

#[test]
fn two_sessions_share_no_files_and_no_namespaces() {
    let (first, second) = (session(&profile()), session(&profile()));
    assert_eq!(
        output(
            &first,
            "echo secret > /tmp/file; echo secret > /dev/shm/file; ls /tmp /dev/shm"
        ),
        "/dev/shm:\nfile\n\n/tmp:\nfile\n"
    );
    assert_eq!(output(&second, "ls /tmp /dev/shm"), "/dev/shm:\n\n/tmp:\n");
    // Two children of one session share its file systems.
    assert_eq!(output(&first, "cat /tmp/file"), "secret\n");
    let names = |session: &Arc<Session>| {
        let text = "for n in mnt net pid ipc uts user; do readlink /proc/self/ns/$n; done";
        output(session, text)
            .lines()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let (ours, theirs) = (names(&first), names(&second));
    assert_eq!(ours.len(), 6);
    assert!(
        ours.iter().zip(&theirs).all(|(a, b)| a != b),
        "{ours:?} {theirs:?}"
    );
    assert_eq!(ours, names(&first));
}

#[test]
fn processes_of_the_host_are_not_visible() {
    let session = session(&profile());
    let text = "for p in /proc/[0-9]*; do echo ${p#/proc/}; done";
    let pids = output(&session, text);
    assert_eq!(pids.lines().next(), Some("1"));
    // Pid 1, the server that has started the child, and the child.
    assert_eq!(pids.lines().count(), 3, "{pids}");
    assert_eq!(output(&session, "hostname"), "capspawn\n");
}

/// Starts a child that sleeps, and returns its process id in the session.
fn sibling(session: &Arc<Session>) -> (impl Process + use<>, String) {
    let (stdio, reader) = piped();
    let child = launch(session, &script("echo $$; exec sleep 1000"), stdio).expect("it starts");
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(std::fs::File::from(reader)),
        &mut line,
    )
    .expect("text");
    (child, line.trim().to_owned())
}

#[test]
fn siblings_cannot_inspect_each_other() {
    let session = session(&profile());
    let (other, pid) = sibling(&session);
    let text = format!(
        "for f in environ mem maps fd/0; do for p in 1 {pid}; do head -c 1 /proc/$p/$f >/dev/null 2>&1 && echo $p $f; done; done; \
         head -c 1 /proc/$$/environ >/dev/null && echo own"
    );
    assert_eq!(output(&session, &text), "own\n");
    assert_eq!(other.try_exit().expect("a state"), None);
}

/// An older Landlock has no scope for signals. Pid 1 of a namespace ignores the signals of its processes.
#[test]
fn siblings_cannot_signal_each_other_where_landlock_has_scopes() {
    let session = session(&profile());
    let (other, pid) = sibling(&session);
    let text = format!(
        "kill -0 {pid} 2>/dev/null && echo sibling; kill -9 1 2>/dev/null && echo first; kill -0 $$ && echo own"
    );
    let expected = if landlock::abi() >= 6 {
        "own\n"
    } else {
        "sibling\nfirst\nown\n"
    };
    assert_eq!(output(&session, &text), expected);
    assert_eq!(other.try_exit().expect("a state"), None);
    assert!(session.is_alive());
}

#[test]
fn a_child_has_no_descriptors_and_no_privileges_and_cannot_gain_any() {
    let session = session(&profile());
    let text = "ls /proc/self/fd | wc -l; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t '; umask";
    let none = "0".repeat(16);
    // The three streams, and the directory that `ls` reads.
    let expected = format!(
        "4\nCapInh:{none}\nCapPrm:{none}\nCapEff:{none}\nCapBnd:{none}\nCapAmb:{none}\nNoNewPrivs:1\nSeccomp:2\n"
    );
    let text = output(&session, text);
    assert!(text.starts_with(&expected), "{text}");
    assert_ne!(text.lines().last(), Some("0000"));
    let text = output(
        &session,
        "unshare -Ur true 2>/dev/null && echo nested; mount -t tmpfs none /tmp 2>/dev/null && echo mounted; setsid true && echo quiet",
    );
    assert_eq!(text, "quiet\n");
}

#[test]
fn the_program_has_a_path_that_exists() {
    let session = session(&profile());
    let text = run(&session, &plan("/usr/bin/readlink", &["/proc/self/exe"])).0;
    assert!(text.starts_with("/usr/"), "{text}");
}

const CONNECT: &str = "import socket\ntry:\n  s = socket.socket()\n  s.bind(('127.0.0.1', PORT))\n  s.listen()\n  c = socket.create_connection(s.getsockname(), 5)\n  print('connected')\nexcept OSError as e:\n  print(e.errno)\n";
const HOSTS: &str = "import socket\ntry:\n  socket.create_connection(('127.0.0.1', PORT), 5)\n  print('connected')\nexcept OSError as e:\n  print(e.errno)\n";

#[test]
fn each_network_setting_reaches_what_it_names_and_nothing_else() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener
        .local_addr()
        .expect("an address")
        .port()
        .to_string();
    let (eperm, refused) = (libc::EPERM.to_string(), libc::ECONNREFUSED.to_string());
    let expected = [
        (Network::None, eperm.as_str(), eperm.as_str()),
        (Network::Loopback, "connected", refused.as_str()),
        (Network::Host, "connected", "connected"),
    ];
    for (network, own, hosts) in expected {
        let session = session(&profile_of(Confinement {
            network,
            fs: rules(),
            ..Confinement::default()
        }));
        let connect = |text: &str, port: &str| {
            let text = text.replace("PORT", port);
            run(&session, &plan(&python(), &["-ISc", &text])).0
        };
        assert_eq!(connect(CONNECT, "0").trim(), own, "{network:?}");
        assert_eq!(connect(HOSTS, &port).trim(), hosts, "{network:?}");
    }
}

#[test]
fn pid_1_is_in_the_network_namespace_of_its_children() {
    let own = std::fs::read_link("/proc/self/ns/net").expect("it is there");
    for (network, is_hosts) in [(Network::None, false), (Network::Host, true)] {
        let session = session(&profile_of(Confinement {
            network,
            fs: rules(),
            ..Confinement::default()
        }));
        // A child may read this file of pid 1, so it must not show the host's interfaces.
        let connections = output(
            &session,
            "cat /proc/1/net/dev | tail -n +3 | grep -vc ' lo:'",
        );
        let hosts = std::fs::read_to_string("/proc/self/net/dev").expect("it is there");
        let interfaces = hosts.lines().skip(2).filter(|line| !line.contains(" lo:"));
        let expected = if is_hosts { interfaces.count() } else { 0 };
        assert_eq!(connections.trim(), expected.to_string(), "{network:?}");
        // Only root can read the links: neither process is dumpable.
        for pid in processes(&session) {
            let pid = pid.as_raw_nonzero();
            if let Ok(of) = std::fs::read_link(format!("/proc/{pid}/ns/net")) {
                assert_eq!(of == own, is_hosts, "{network:?} {pid}");
            }
        }
    }
}

#[test]
fn pid_1_and_the_server_have_no_privileges_and_one_filter_each() {
    let session = session(&profile());
    for pid in processes(&session) {
        let Some(status) = status(pid) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).map(str::to_owned)
        };
        let none = Some("0000000000000000".to_owned());
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set), none, "{set} {status}");
        }
        for (name, value) in [
            ("NoNewPrivs:", "1"),
            ("Seccomp:", "2"),
            ("Seccomp_filters:", "1"),
        ] {
            // Where the host has a filter of its own, the count is higher.
            let own = std::fs::read_to_string("/proc/self/status").expect("it runs");
            if name == "Seccomp_filters:" && !own.contains("Seccomp:\t0") {
                continue;
            }
            assert_eq!(field(name).as_deref(), Some(value), "{status}");
        }
    }
}

#[test]
fn sessions_with_different_networks_run_at_the_same_time() {
    let spawner = spawner();
    let loopback = Confinement {
        network: Network::Loopback,
        fs: rules(),
        ..Confinement::default()
    };
    let profiles = [profile(), profile_of(loopback)];
    let sessions =
        profiles.map(|profile| Arc::new(Session::start(&spawner, &profile).expect("it starts")));
    let children: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (stdio, reader) = piped();
            (
                launch(session, &script("read line; cat /proc/net/dev"), stdio).expect("it starts"),
                reader,
            )
        })
        .collect();
    for (child, _) in &children {
        assert_eq!(wait(child), Ok(Exit::Code(0)));
    }
}
