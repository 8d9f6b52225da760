//! Cgroups that are kept, over a hierarchy whose kernel refuses limits at a given moment.

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;

use super::super::hierarchy::Controllers;
use super::*;

/// A hierarchy of names alone.
#[derive(Debug, Default)]
struct Names {
    present: Mutex<Vec<String>>,
    refuses_limits: AtomicBool,
    /// The tasks that are in each cgroup, and the most that were, where they are not as after a child without others.
    tasks: Mutex<Option<[u64; 2]>>,
}

/// The hierarchy of a [`Place`], which a test changes meanwhile.
#[derive(Debug)]
struct Shared(Arc<Names>);

/// Returns a file of this text.
fn file(text: &str) -> OwnedFd {
    let file = tempfile::tempfile().expect("a file");
    rustix::io::write(&file, text.as_bytes()).expect("it is open for writing");
    file.into()
}

impl Hierarchy for Shared {
    fn controllers(&self) -> Controllers {
        Controllers {
            memory: true,
            tasks: true,
            cpu: false,
        }
    }

    fn add(&self, name: &str) -> io::Result<()> {
        self.0.present.lock().push(name.to_owned());
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.present.lock().retain(|it| it != name);
        Ok(())
    }

    fn set_limits(&self, _name: &str, _limits: LeafLimits) -> io::Result<()> {
        match self.0.refuses_limits.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::ResourceBusy.into()),
            false => Ok(()),
        }
    }

    fn entry(&self, _name: &str, _has_clone3: bool) -> io::Result<Entry> {
        Ok(Entry::Write(Vec::new()))
    }

    fn counter_files(&self, _name: &str) -> io::Result<CounterFiles> {
        let [tasks, most] = self.0.tasks.lock().unwrap_or([0, 1]);
        Ok(CounterFiles {
            memory_peak: Some(file("0")),
            tasks_peak: Some(file(&most.to_string())),
            tasks: Some(file(&tasks.to_string())),
            cpu: None,
        })
    }

    fn memory_bytes(&self, _name: &str) -> io::Result<u64> {
        Ok(0)
    }

    fn memory_kills(&self, _name: &str) -> io::Result<u64> {
        Ok(0)
    }

    fn cpu(&self, _file: &OwnedFd) -> io::Result<Duration> {
        Ok(Duration::ZERO)
    }

    fn forget(&self) -> &'static [u8] {
        b"0"
    }
}

/// Returns a place with nothing in it.
fn place() -> (Arc<Names>, Arc<Place>) {
    let names = Arc::<Names>::default();
    let place = Place {
        hierarchy: Box::new(Shared(Arc::clone(&names))),
        next: AtomicU64::new(0),
        open: AtomicUsize::new(0),
        idle: Mutex::default(),
        ended: Mutex::default(),
        removal: Deferred::default(),
    };
    (names, Arc::new(place))
}

fn take(place: &Arc<Place>, memory_mib: u64) -> io::Result<Leaf> {
    let limits = Limits {
        memory_bytes: Some(memory_mib << 20),
        ..Limits::default()
    };
    place.take(&limits, Identity::host(), true)
}

/// Some of the limits may have been set before the one that failed.
#[test]
fn a_kept_cgroup_of_unknown_limits_is_removed() {
    let (names, place) = place();
    let name = |leaf: io::Result<Leaf>| leaf.expect("it can be made").name().to_owned();
    let first = name(take(&place, 64));
    assert_eq!(*names.present.lock(), ["0"], "it is kept");
    // With the limits that it has, nothing is set.
    names.refuses_limits.store(true, Ordering::Relaxed);
    assert_eq!(name(take(&place, 64)), first);
    let error = take(&place, 32).expect_err("the limits cannot be set");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert!(names.present.lock().is_empty(), "it is kept");
    assert_eq!(place.open.load(Ordering::Relaxed), 0, "its files are open");
    // A new one that fails is removed too.
    take(&place, 64).expect_err("the limits cannot be set");
    assert!(names.present.lock().is_empty(), "it is kept");
    names.refuses_limits.store(false, Ordering::Relaxed);
    let second = name(take(&place, 64));
    assert_ne!(second, first);
    assert_eq!(*names.present.lock(), std::slice::from_ref(&second));
    // What can be set is set, on the same cgroup.
    assert_eq!(name(take(&place, 32)), second);
}

/// A child that the kernel holds stays in its cgroup although its tree was killed.
#[test]
fn a_cgroup_that_is_not_empty_is_no_other_childs() {
    for (tasks, is_used_again) in [([0, 1], true), ([1, 1], false), ([0, 2], false)] {
        let (names, place) = place();
        *names.tasks.lock() = Some(tasks);
        let first = take(&place, 64).expect("it can be made");
        let name = first.name().to_owned();
        drop(first);
        let next = take(&place, 64).expect("it can be made");
        assert_eq!(next.name() == name, is_used_again, "{tasks:?}");
    }
}
