use std::os::unix::fs::symlink;

use super::*;
use crate::grant::paths;

/// A folder with `dir/file`, `dir/deep/er`, and links: `out -> /etc`, `in -> dir`, `loop -> loop`, `dangling -> /etc/absent-x`,
/// `relative -> ../FOLDER/dir/new`, `twice -> in/deep`.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().canonicalize().expect("it exists");
    fs::create_dir_all(path.join("dir/deep/er")).expect("an empty folder");
    fs::write(path.join("dir/file"), "").expect("an empty folder");
    fs::write(path.join("dir/was (deleted)"), "").expect("an empty folder");
    let relative = Path::new("..").join(path.file_name().expect("a name"));
    for (target, link) in [
        (Path::new("/etc"), "out"),
        (Path::new("dir"), "in"),
        (Path::new("loop"), "loop"),
        (Path::new("/etc/absent-x"), "dangling"),
        (&relative.join("dir/new"), "relative"),
        (Path::new("in/deep"), "twice"),
    ] {
        symlink(target, path.join(link)).expect("an empty folder");
    }
    (folder, path)
}

#[test]
fn the_kernel_and_a_walk_by_name_agree() {
    let (_keep, path) = folder();
    let lookups = Lookups::new();
    for text in [
        "dir/file",
        "./in/file",
        "in/../dir/./file",
        "out/passwd",
        "out/../etc/absent-y",
        "dangling",
        "relative",
        "relative/below",
        "twice/er",
        "twice/new/file",
        "twice/../new",
        "new",
        "in/new/file",
        "new/../../x",
        "dir/file/x",
        "dir/file/..",
        "loop",
        "loop/x",
        "../../../../../../..",
        "/",
        "dir/was (deleted)",
        "/proc/version",
        "/absent-x/y/z",
    ] {
        let by_name = paths::resolve(&path, Path::new(text));
        let by_kernel = lookups.resolve(&path, Path::new(text));
        assert_eq!(by_name.as_ref().ok(), by_kernel.as_ref().ok(), "{text}");
        // The second time it is known.
        let again = lookups.resolve(&path, Path::new(text));
        assert_eq!(again.ok(), by_kernel.ok(), "{text}");
    }
    assert_eq!(lookups.stop.get(), None);
}

#[test]
fn a_path_costs_look_ups_once_and_few_however_many_links_it_has() {
    let (_keep, path) = folder();
    // Each link goes up and down 500 times: by name this is 20,000 look-ups.
    for number in 0..20 {
        let mut target = "dir/../".repeat(500);
        target.push_str(&format!("chain-{}", number + 1));
        symlink(target, path.join(format!("chain-{number}"))).expect("a new name");
    }
    symlink("dir/file", path.join("chain-20")).expect("a new name");
    let lookups = Lookups::bounded(1 + LOOP_RETRIES, DECISION_TIMEOUT);
    for _ in 0..100 {
        let found = lookups.resolve(&path, Path::new("chain-0"));
        assert_eq!(found.expect("it leads to a file"), path.join("dir/file"));
    }
    // One, unless the kernel had to begin anew.
    assert!(lookups.left.get() <= LOOP_RETRIES);
    lookups.finish(Ok(())).expect("the path is resolved once");
}

#[test]
fn a_decision_stops_when_its_look_ups_or_its_time_are_used_up() {
    let (_keep, path) = folder();
    let at = |lookups: &Lookups, text: &str| lookups.resolve(&path, Path::new(text)).is_ok();
    let few = Lookups::bounded(1, DECISION_TIMEOUT);
    assert!(at(&few, "dir/file"));
    few.finish(Ok(())).expect("one look-up was allowed");
    assert!(!at(&few, "in"));
    assert!(matches!(
        few.finish(Ok(())),
        Err(SpawnError::TooManyLookups)
    ));
    let late = Lookups::bounded(MAX_LOOKUPS, Duration::ZERO);
    assert!(!at(&late, "in"));
    assert!(matches!(
        late.finish(Ok(())),
        Err(SpawnError::Shortage(Shortage::Time))
    ));
    let within = Lookups::bounded(1, DECISION_TIMEOUT);
    within
        .resolve_within(&path.join("dir/file"), |_| true)
        .expect_err("a walk by name has several places");
    assert!(within.finish(Ok(())).is_err());
}

#[test]
fn a_walk_counts_a_place_once_and_takes_time_each_time() {
    let (_keep, path) = folder();
    let walk = |lookups: &Lookups, text: &str| lookups.resolve_within(&path.join(text), |_| true);
    let deep = path.join("dir/file").components().count() - 1;
    let lookups = Lookups::bounded(deep, DECISION_TIMEOUT);
    for _ in 0..100 {
        let found = walk(&lookups, "dir/file").expect("there are enough");
        assert_eq!(found, path.join("dir/file"));
    }
    assert_eq!(lookups.left.get(), 0);
    walk(&lookups, "dir").expect("it counts no more");
    walk(&lookups, "dir/other").expect_err("it is another place");
    assert_eq!(lookups.stop.get(), Some(Stop::Lookups));
    let late = Lookups {
        until: Instant::now(),
        ..Lookups::bounded(deep, DECISION_TIMEOUT)
    };
    late.walked.borrow_mut().extend(
        path.join("dir")
            .ancestors()
            .map(|it| late.hashes.hash_one(it)),
    );
    walk(&late, "dir").expect_err("the time is used up");
    assert_eq!(late.stop.get(), Some(Stop::Time));
}

#[test]
fn an_answer_about_a_path_is_found_once_for_each_rule_directory_and_root() {
    let lookups = Lookups::new();
    let about = |rule, cwd: &str, root: &str| (rule, PathBuf::from(cwd), vec![root.into()]);
    let found = Cell::new(0);
    let once = |about, path: &str, answer| {
        lookups.once(about, OsStr::new(path), || {
            found.set(found.get() + 1);
            answer
        })
    };
    for answer in [true, false] {
        assert!(once(about(1, "/a", "/r"), "x", answer), "the first answer");
    }
    assert_eq!(found.get(), 1);
    assert!(!once(about(2, "/a", "/r"), "x", false));
    assert!(!once(about(1, "/b", "/r"), "x", false));
    assert!(!once(about(1, "/a", "/s"), "x", false));
    assert!(!once(about(1, "/a", "/r"), "y", false));
    assert_eq!(found.get(), 5);
}

#[test]
fn a_link_to_an_open_file_is_not_followed() {
    let lookups = Lookups::new();
    let error = lookups.resolve(Path::new("/"), Path::new("/proc/self/fd/0"));
    error.expect_err("it is the host's, and not the child's");
    lookups.finish(Ok(())).expect("nothing is short");
}
