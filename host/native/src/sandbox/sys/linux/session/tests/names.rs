//! The names of a session: localhost and its own host name.

use std::fs;
use std::sync::Arc;

use super::support::{output, plan, profile_of, python, rules, run, session};
use crate::confinement::{Confinement, FsRoot, FsRules, Network};
use crate::sandbox::sys::linux::session::{Profile, Session};

fn with(network: Network, fs: FsRules) -> Profile {
    profile_of(Confinement {
        network,
        fs,
        ..Confinement::default()
    })
}

fn of_python(session: &Arc<Session>, text: &str) -> String {
    run(session, &plan(&python(), &["-ISc", text])).0
}

const RESOLVE: &str = "import socket\n\
    for name in 'localhost', socket.gethostname():\n  \
      print(name, socket.gethostbyname(name), {it[4][0] for it in socket.getaddrinfo(name, 80, socket.AF_INET)})";
const RESOLVED: &str = "localhost 127.0.0.1 {'127.0.0.1'}\ncapspawn 127.0.0.1 {'127.0.0.1'}\n";

fn and(read: &[&str]) -> FsRules {
    let mut fs = rules();
    let roots = read
        .iter()
        .map(|path| FsRoot::resolve(*path).expect("it exists"));
    fs.read.extend(roots);
    fs
}

#[test]
fn localhost_and_the_host_name_resolve_whatever_the_grant_shows_of_etc() {
    for network in [Network::None, Network::Loopback] {
        for fs in [
            rules(),
            and(&["/etc"]),
            and(&["/etc/hosts", "/etc/hostname", "/etc/nsswitch.conf"]),
            and(&["/"]),
        ] {
            let shown = format!("{network} {fs:?}");
            let session = session(&with(network, fs));
            assert_eq!(of_python(&session, RESOLVE), RESOLVED, "{shown}");
            assert_eq!(
                output(&session, "cat /etc/hostname; hostname"),
                "capspawn\ncapspawn\n"
            );
        }
    }
}

#[test]
fn a_server_is_reached_by_the_name_localhost() {
    let session = session(&with(Network::Loopback, rules()));
    let text = "import socket\n\
        s = socket.create_server(('localhost', 0))\n\
        c = socket.create_connection((socket.gethostname(), s.getsockname()[1]))\n\
        print(s.accept()[1] == c.getsockname())";
    assert_eq!(of_python(&session, text), "True\n");
}

#[test]
fn the_files_of_names_cannot_be_changed() {
    let session = session(&with(Network::None, and(&["/etc"])));
    let text = "for f in hosts hostname; do { echo x >> /etc/$f; chmod 666 /etc/$f; rm -f /etc/$f; } 2>/dev/null; done; \
                cat /etc/hostname; wc -l < /etc/hosts";
    assert_eq!(output(&session, text), "capspawn\n2\n");
}

/// In the host's network the host's names are right.
#[test]
fn with_the_hosts_network_the_name_and_the_files_are_the_hosts() {
    let session = session(&with(Network::Host, and(&["/etc/hosts"])));
    let hosts = fs::read_to_string("/etc/hosts").expect("the host has one");
    assert_eq!(output(&session, "cat /etc/hosts"), hosts);
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("a /proc");
    assert_eq!(output(&session, "hostname"), name);
    assert_eq!(output(&session, "ls /etc/hostname 2>/dev/null"), "");
}

#[test]
fn a_denied_hosts_file_stays_denied() {
    let mut fs = and(&["/etc"]);
    fs.deny = vec!["/etc/hosts".into()];
    let session = session(&with(Network::None, fs));
    assert_eq!(
        output(&session, "cat /etc/hosts 2>/dev/null; cat /etc/hostname"),
        "capspawn\n"
    );
}
