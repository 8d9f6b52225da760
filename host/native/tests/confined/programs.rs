//! Real programs in the sandbox.

use std::fs;
use std::path::Path;

use capspawn_native::launch::Exit;
use capspawn_native::limits::Limits;
use capspawn_native::sandbox::Tier;

use test_kit::{Readable, open_to_all, scratch};

use crate::fixture::give_to_children;
use crate::installed::{installed, skip};
use crate::launcher::tier;
use crate::spec::Spec;

fn shell(dir: &Path, script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-ec", script]).home(dir)
}

#[test]
fn a_pipeline_works() {
    let dir = scratch();
    let script = "printf 'b\\na\\n' > in; sort < in | tee out | wc -l; cat out; timeout 5 true";
    assert_eq!(
        shell(dir.path(), script).succeed().replace(' ', ""),
        "2\na\nb\n"
    );
}

#[test]
fn git_commits_and_clones_a_local_path() {
    if installed("git", "git").is_none() {
        return;
    }
    let dir = scratch();
    let script = "git init -q a; cd a; git config user.email a@b; git config user.name n; echo x > f; \
                  git add f; git commit -qm one; cd ..; git clone -q ./a b; cat b/f; git -C b log --oneline | wc -l";
    assert_eq!(
        shell(dir.path(), script).succeed().replace(' ', ""),
        "x\n1\n"
    );
}

#[test]
fn make_shares_its_job_server_with_a_recursive_make() {
    if installed("make", "make").is_none() {
        return;
    }
    let dir = scratch();
    // The recursive make must get the job server, and take its tokens without a warning.
    let makefile = "all: a b c d\n\
                    \t+@case \"$$MAKEFLAGS\" in *--jobserver-*) echo served;; esac\n\
                    \t@$(MAKE) -f Makefile below\n\
                    below: e f g\n\
                    a b c d e f g:\n\
                    \t@echo $@ > $@\n";
    fs::write(dir.path().join("Makefile"), makefile).expect("the test may write the folder");
    let output = shell(dir.path(), "make -s -j2; cat a b c d e f g | tr -d '\\n'").succeed();
    assert_eq!(output, "served\nabcdefg");
}

#[test]
fn cargo_shares_its_job_server_with_a_build_script() {
    let Some(toolchain) = Readable::toolchain() else {
        return skip("there is no toolchain of cargo that children can read");
    };
    let dir = scratch();
    fs::write(
        dir.path().join("Cargo.toml"),
        "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[profile.dev]\ndebug = false\n",
    )
    .expect("the test may write the folder");
    fs::create_dir(dir.path().join("src")).expect("the test may write the folder");
    fs::write(dir.path().join("src/main.rs"), "fn main() { a::hi() }\n")
        .expect("the test may write the folder");
    fs::write(
        dir.path().join("src/lib.rs"),
        "pub fn hi() { println!(\"hi\") }\n",
    )
    .expect("the test may write the folder");
    fs::write(
        dir.path().join("build.rs"),
        "fn main() { assert!(std::env::var(\"CARGO_MAKEFLAGS\").is_ok_and(|it| it.contains(\"--jobserver\"))) }\n",
    )
    .expect("the test may write the folder");
    let mut spec = Spec::new(toolchain.path().join("bin/cargo"))
        .args(["run", "--quiet", "--offline", "-j2"])
        .env("RUSTC", toolchain.path().join("bin/rustc").display())
        .env("CARGO_HOME", dir.path().join("home").display())
        .home(dir.path());
    spec.confinement.fs.read.push(toolchain.path().into());
    spec.limits.open_files = Some(1024);
    spec.limits.cpu = Some(std::time::Duration::from_secs(120));
    spec.limits.file_size_bytes = None;
    assert_eq!(spec.succeed(), "hi\n");
}

#[test]
fn gcc_compiles_and_the_program_runs() {
    if installed("gcc", "gcc libc6-dev").is_none() {
        return;
    }
    let dir = scratch();
    fs::write(
        dir.path().join("a.c"),
        "#include <stdio.h>\nint main(void) { puts(\"hi\"); return 0; }\n",
    )
    .expect("the test may write the folder");
    assert_eq!(shell(dir.path(), "gcc -O1 -o a a.c; ./a").succeed(), "hi\n");
}

#[test]
fn tar_packs_and_unpacks() {
    if installed("tar", "tar").is_none() {
        return;
    }
    let dir = scratch();
    let script =
        "mkdir d; echo x > d/f; ln -s f d/l; tar czf d.tgz d; rm -r d; tar xzf d.tgz; cat d/l";
    assert_eq!(shell(dir.path(), script).succeed(), "x\n");
}

/// Sets an extended attribute, so that a copy has one to lose; false where the file system has none.
fn set_attribute(file: &Path) -> bool {
    rustix::fs::setxattr(file, "user.capspawn", b"v", rustix::fs::XattrFlags::empty()).is_ok()
}

#[test]
fn files_are_copied_moved_and_packed_without_their_extended_attributes() {
    let dir = scratch();
    let Ok(other) = tempfile::Builder::new().tempdir_in("/dev/shm") else {
        return skip("no second file system");
    };
    open_to_all(other.path());
    let source = dir.path().join("source");
    fs::create_dir(&source).expect("the test may write the folder");
    fs::write(source.join("file"), "x").expect("the test may write the folder");
    give_to_children(&source);
    give_to_children(&source.join("file"));
    let has_attribute = set_attribute(&source.join("file"));
    let mut script = String::from(
        "cp -a source copy; cp --preserve=mode source/file kept; install -m 640 source/file installed; \
         cp -p source/file $OTHER/moved; mv $OTHER/moved back; mv copy $OTHER/; cat $OTHER/copy/file kept installed back; \
         stat -c %a installed; tar cf a.tar source; mkdir un; tar xpf a.tar -C un; cat un/source/file; ",
    );
    let mut expected = String::from("xxxx640\nx");
    if installed("python3", "python3").is_some() {
        script += "python3 -c \"import shutil; shutil.copy2('source/file', 'by_python'); shutil.copytree('source', 'tree')\"; \
                   cat by_python tree/file; ";
        expected += "xx";
    }
    if installed("git", "git").is_some() {
        script += "git init -q r; cp -a source r/; git -C r add .; \
                   git -C r -c user.name=n -c user.email=e commit -qm m; git clone -q r c; cat c/source/file; ";
        expected += "x";
    }
    if Path::new("/usr/bin/rsync").exists() {
        script += "rsync -a source/ synced/; cat synced/file; ";
        expected += "x";
    }
    let mut spec = shell(dir.path(), &script).env("OTHER", other.path().display());
    spec.confinement.fs.write.push(other.path().into());
    assert_eq!(spec.succeed(), expected, "an attribute: {has_attribute}");
}

/// The pipes make it deterministic: the second line is written when the first has arrived, and `tail` ends with the
/// process that waits for `done`.
#[test]
fn tail_follows_a_file() {
    if installed("tail", "coreutils").is_none() {
        return;
    }
    let dir = scratch();
    let script = "echo a > f; mkfifo done; read x < done & \
                  tail -n +1 -f -s 0.05 --pid=$! f 2>errors | \
                  { read a; echo b >> f; read b; echo > done; cat; echo $a $b; }";
    assert_eq!(shell(dir.path(), script).succeed(), "a b\n");
    let errors = fs::read_to_string(dir.path().join("errors")).expect("the script writes it");
    match tier() {
        Tier::A => assert_eq!(errors, ""),
        Tier::B | Tier::C => assert!(errors.contains("polling"), "{errors}"),
    }
}

#[test]
fn node_watches_a_file_in_a_session_and_polls_it_in_tier_b() {
    let Some(node) = installed("node", "nodejs") else {
        return;
    };
    let dir = scratch();
    let script = "const fs = require('fs'); fs.writeFileSync('f', 'a');\n\
                  const seen = () => { console.log('seen'); process.exit(0) };\n\
                  try { fs.watch('.', seen) } catch (e) {\n\
                    console.log(e.code);\n\
                    fs.watchFile('f', { interval: 10 }, seen) }\n\
                  setInterval(() => fs.appendFileSync('f', 'b'), 20)\n";
    let expected = match tier() {
        Tier::A => "seen\n",
        Tier::B | Tier::C => "ENOSYS\nseen\n",
    };
    let spec = Spec::new(node).args(["-e", script]).home(dir.path());
    assert_eq!(spec.succeed(), expected);
}

#[test]
fn python_runs_asyncio_threads_and_children() {
    let Some(python) = installed("python3", "python3") else {
        return;
    };
    let dir = scratch();
    let script = "import asyncio, subprocess, threading\n\
                  async def main():\n    \
                      p = await asyncio.create_subprocess_exec('/bin/echo', 'child', stdout=asyncio.subprocess.PIPE)\n    \
                      print((await p.communicate())[0].decode().strip())\n\
                  t = threading.Thread(target=lambda: print('thread')); t.start(); t.join()\n\
                  asyncio.run(main())\n\
                  print(subprocess.run(['/bin/echo', 'run'], capture_output=True, text=True).stdout.strip())\n";
    let output = Spec::new(python)
        .args(["-c", script])
        .home(dir.path())
        .succeed();
    assert_eq!(output, "thread\nchild\nrun\n");
}

#[test]
fn python_makes_a_virtual_environment_and_runs_its_tests() {
    if installed("python3", "python3").is_none() {
        return;
    }
    let dir = scratch();
    let test = "import sys, unittest, tempfile, sqlite3\n\
                class T(unittest.TestCase):\n    \
                    def test_environment(self):\n        self.assertNotEqual(sys.prefix, sys.base_prefix)\n    \
                    def test_file(self):\n        \
                        with tempfile.NamedTemporaryFile() as f:\n            \
                            self.assertTrue(f.write(b'x'))\n    \
                    def test_database(self):\n        \
                        self.assertEqual(sqlite3.connect('d').execute('select 1').fetchone(), (1,))\n";
    fs::write(dir.path().join("test_it.py"), test).expect("the test may write the folder");
    let script = "/usr/bin/python3 -m venv --without-pip v; . v/bin/activate; python -m unittest 2>&1 | tail -1";
    assert_eq!(shell(dir.path(), script).succeed(), "OK\n");
}

/// Its locks are named semaphores, which are files in `/dev/shm`. A session has its own; in tier B
/// children have none.
#[test]
fn python_has_process_pools_in_a_session_and_processes_in_tier_b() {
    let Some(python) = installed("python3", "python3") else {
        return;
    };
    let dir = scratch();
    let script = "import multiprocessing as m, os\n\
                  m = m.get_context('fork')\n\
                  r, w = m.Pipe(False)\n\
                  p = m.Process(target=lambda: w.send('process'))\n\
                  p.start(); print(r.recv()); p.join()\n\
                  try:\n    \
                      with m.Pool(2) as pool: print(pool.map(abs, [-1, 2]))\n\
                  except OSError as e:\n    print(e.errno)\n";
    let expected = match tier() {
        Tier::A => "process\n[1, 2]\n",
        Tier::B | Tier::C => "process\n13\n",
    };
    let spec = Spec::new(python).args(["-c", script]).home(dir.path());
    assert_eq!(spec.succeed(), expected);
}

#[test]
fn node_runs() {
    let Some(node) = installed("node", "nodejs") else {
        return;
    };
    let dir = scratch();
    let script = "const c = require('child_process').execFileSync('/bin/echo', ['child']); process.stdout.write(c)";
    assert_eq!(
        Spec::new(node)
            .args(["-e", script])
            .home(dir.path())
            .succeed(),
        "child\n"
    );
}

#[test]
fn java_runs() {
    let Some(java) = installed("java", "default-jdk-headless") else {
        return;
    };
    let dir = scratch();
    let source = "class A { public static void main(String[] a) throws Exception { \
                  var p = new ProcessBuilder(\"/bin/echo\", \"child\").start(); \
                  System.out.print(new String(p.getInputStream().readAllBytes())); } }";
    fs::write(dir.path().join("A.java"), source).expect("the test may write the folder");
    let mut spec = Spec::new(java).args(["A.java"]).home(dir.path());
    spec.limits.open_files = Some(1024);
    spec.limits.file_size_bytes = None;
    assert!(spec.succeed().ends_with("child\n"));
}

#[test]
fn npm_runs_a_script() {
    let Some(npm) = installed("npm", "npm") else {
        return;
    };
    let dir = scratch();
    let package =
        "{\"name\": \"a\", \"version\": \"1.0.0\", \"scripts\": {\"hi\": \"echo hello\"}}";
    fs::write(dir.path().join("package.json"), package).expect("the test may write the folder");
    // A grant resolves a script to its interpreter too.
    let npm = fs::canonicalize(npm).expect("npm is installed");
    let node = installed("node", "nodejs").expect("npm runs on it");
    let mut spec = Spec::new(node)
        .args([npm.display().to_string().as_str(), "run", "--silent", "hi"])
        .home(dir.path());
    spec.limits.open_files = Some(1024);
    assert_eq!(spec.succeed(), "hello\n");
}

#[test]
fn programs_change_their_own_processors_priority_and_limits_by_number_in_a_session() {
    let dir = scratch();
    let script = "p=$(taskset -p $$ | sed 's/.*: //'); taskset -p $p $$ >/dev/null && echo processors\n\
                  renice -n 5 -p $$ >/dev/null && echo priority\n\
                  ionice -c 3 -p $$ && echo transfers\n\
                  chrt -b -p 0 $$ && echo policy\n\
                  prlimit --nofile=32 --pid $$ && ulimit -Sn\n";
    let run = shell(dir.path(), &format!("{{ {script} }} 2>&1")).run();
    match tier() {
        Tier::A => assert_eq!(run.output, "processors\npriority\ntransfers\npolicy\n32\n"),
        // A number may be that of any process of the user.
        Tier::B | Tier::C => assert!(!run.output.contains("priority\n"), "{}", run.output),
    }
    let Some(python) = installed("python3", "python3") else {
        return;
    };
    let script = "import os, threading\n\
                  def work():\n    os.sched_setaffinity(threading.get_native_id(), os.sched_getaffinity(0))\n    print('thread')\n\
                  try:\n    os.sched_setaffinity(os.getpid(), os.sched_getaffinity(0)); print('process')\n    \
                      t = threading.Thread(target=work); t.start(); t.join()\n\
                  except PermissionError: print('refused')\n";
    let expected = match tier() {
        Tier::A => "process\nthread\n",
        Tier::B | Tier::C => "refused\n",
    };
    let spec = Spec::new(python).args(["-c", script]).home(dir.path());
    assert_eq!(spec.succeed(), expected);
}

/// With a limit on memory, which is a limit on address space where there is no cgroup: the shadow memory of the
/// sanitizers is hundreds of GiB of it.
#[test]
fn programs_with_sanitizers_run() {
    let Some(gcc) = installed("gcc", "gcc") else {
        return;
    };
    let dir = scratch();
    let source = "#include <pthread.h>\n#include <stdlib.h>\n#include <stdio.h>\n\
                  static void *work(void *p) { *(int *)p += 1; return 0; }\n\
                  int main(int n, char **v) { pthread_t t; int *p = calloc(n, sizeof *p);\n\
                  pthread_create(&t, 0, work, p); pthread_join(t, 0); printf(\"%d\\n\", *p);\n\
                  if (n > 1) p = 0; else free(p); return 0; }\n";
    fs::write(dir.path().join("a.c"), source).expect("the test may write the folder");
    for kind in ["address", "leak", "undefined", "thread"] {
        let flag = format!("-fsanitize={kind}");
        Spec::new(&gcc)
            .args([flag.as_str(), "a.c", "-o", kind])
            .home(dir.path())
            .succeed();
        let program = dir.path().join(kind);
        // The leak checker finds the threads in `/proc`, which a session has and a grant may list.
        let sanitized = match tier() {
            Tier::A => Spec::new(&program).home(dir.path()),
            Tier::B | Tier::C => Spec::new(&program).home(dir.path()).read("/proc"),
        };
        let run = sanitized.run();
        assert_eq!(
            (run.exit, run.output.as_str()),
            (Exit::Code(0), "1\n"),
            "{kind}"
        );
        if kind == "leak" {
            // The leak checker stops and reads the threads of the process, by ptrace.
            let run = sanitized.args(["leak"]).run();
            assert!(run.output.contains("detected memory leaks"), "{run:?}");
        }
    }
}

/// In tier B there is no IPC namespace, and other processes of the user could reach what a child makes.
#[test]
fn a_session_has_message_queues_and_semaphores_of_system_v() {
    let Some(fakeroot) = installed("fakeroot", "fakeroot") else {
        return;
    };
    let dir = scratch();
    let fakeroot = fs::canonicalize(fakeroot).expect("it exists");
    let script = format!("{} id -u 2>&1", fakeroot.display());
    let run = shell(dir.path(), &script).run();
    match tier() {
        Tier::A => assert_eq!(run.output, "0\n"),
        Tier::B | Tier::C => assert_ne!(run.exit, Exit::Code(0), "{}", run.output),
    }
}

/// Also where no cgroup limits memory, and `RLIMIT_DATA` does: as an ordinary user.
#[test]
fn java_runs_under_the_default_limits() {
    let Some(java) = installed("java", "default-jdk-headless") else {
        return;
    };
    let dir = scratch();
    let mut spec = Spec::new(java).args(["-version"]).home(dir.path());
    spec.limits = Limits {
        // Outside a session the kernel may count the tasks of the user, and other tests' with them.
        processes: None,
        ..Limits::default()
    };
    assert!(spec.succeed().contains("Runtime"));
}
