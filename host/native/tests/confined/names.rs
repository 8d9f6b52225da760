//! The names by which programs find the machine they run on.

use capspawn_native::sandbox::{FsRoot, Network, Sandbox, Tier};
use test_kit::scratch;

use crate::installed::installed;
use crate::launcher::tier;
use crate::spec::Spec;

/// The children of tier B have the host's name, and its `/etc/hosts` decides.
fn as_outside(spec: &Spec, in_session: &str) {
    let expected = match tier() {
        Tier::A => in_session.to_owned(),
        Tier::B | Tier::C => spec.clone().sandbox(Sandbox::None).succeed(),
    };
    assert_eq!(spec.succeed(), expected);
}

#[test]
fn python_resolves_localhost_and_the_host_name() {
    let Some(python) = installed("python3", "python3") else {
        return;
    };
    let resolve = |name: &str| {
        let script = format!("import socket; print(socket.gethostbyname({name}))");
        Spec::new(&python).args(["-ISc", &script])
    };
    assert_eq!(resolve("'localhost'").succeed(), "127.0.0.1\n");
    as_outside(&resolve("socket.gethostname()"), "127.0.0.1\n");
}

#[test]
fn java_finds_its_local_host() {
    let Some(java) = installed("java", "default-jdk-headless") else {
        return;
    };
    let dir = scratch();
    let source = "class A { public static void main(String[] a) throws Exception { \
                  System.out.println(java.net.InetAddress.getLocalHost().getHostAddress()); } }";
    std::fs::write(dir.path().join("A.java"), source).expect("the test may write the folder");
    let mut spec = Spec::new(java).args(["A.java"]).home(dir.path());
    spec.limits.open_files = Some(1024);
    spec.limits.file_size_bytes = None;
    as_outside(&spec, "127.0.0.1\n");
}

/// In tier B netlink would show the host's interfaces, so node throws.
#[test]
fn node_lists_no_interface_without_a_network() {
    let Some(node) = installed("node", "nodejs") else {
        return;
    };
    let script = "const os = require('os'); console.log(os.hostname().length > 0);\n\
                  try { console.log(os.networkInterfaces()) } catch (e) { console.log(e.code) }";
    let expected = match tier() {
        Tier::A => "true\n{}\n",
        Tier::B | Tier::C => "true\nERR_SYSTEM_ERROR\n",
    };
    assert_eq!(Spec::new(node).args(["-e", script]).succeed(), expected);
}

/// The files that a grant with the host's network brings along, and no others of `/etc`.
#[test]
fn with_the_hosts_network_a_service_is_found_by_its_name() {
    let Some(python) = installed("python3", "python3") else {
        return;
    };
    let script = "import socket; print(socket.getaddrinfo('localhost', 'http', socket.AF_INET, socket.SOCK_STREAM)[0][4])";
    let mut spec = Spec::new(python)
        .args(["-ISc", script])
        .network(Network::Host);
    let read = &mut spec.confinement.fs.read;
    read.retain(|root| !root.written.ends_with("etc"));
    assert!(!spec.run().output.contains("80"), "without them it is not");
    let files = [
        "hosts",
        "nsswitch.conf",
        "services",
        "protocols",
        "resolv.conf",
    ];
    let files = files.map(|name| FsRoot::resolve(format!("/etc/{name}")));
    spec.confinement.fs.read.extend(files.into_iter().flatten());
    assert_eq!(spec.succeed(), "('127.0.0.1', 80)\n");
}
