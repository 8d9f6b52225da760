//! Whether the confinement permits a use of a path: a comparison with the grant, and a look at the host.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::view::View;
use crate::confinement::walk;
use crate::launch::{Access, Outcome};

/// A judged use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// What the path leads to on the host, or the link at its end that is used itself.
    pub(super) real: PathBuf,
    /// The outcome.
    pub(super) outcome: Outcome,
    /// The symbolic link on the path that is not shown, if that is the reason.
    pub(super) link: Option<PathBuf>,
}

/// Judges the use of `path`, which is absolute. `was_created` is whether the child has created a path itself.
pub(super) fn judge(
    view: &View,
    path: &Path,
    access: Access,
    follows: bool,
    was_created: impl Fn(&Path) -> bool,
) -> Judged {
    let judged = |real: &Path, outcome| Judged {
        real: real.to_owned(),
        outcome,
        link: None,
    };
    let links = RefCell::new(Vec::new());
    let Some(real) = resolve(path, follows, &links) else {
        return judged(path, Outcome::Absent);
    };
    if view.hides(&real) || view.hides(path) {
        return judged(&real, Outcome::Hidden);
    }
    let exists = real.symlink_metadata().is_ok();
    // The attributes of files outside the roots are visible where there is no private root.
    let needs_root = view.in_session || !matches!(access, Access::Look);
    if view.has(&real, access.changes()) {
        let is_shown = |link: &PathBuf| view.has(link, false) || view.leads_to_root(link);
        let hidden = links.into_inner().into_iter().find(|link| !is_shown(link));
        return match hidden {
            Some(link) if view.in_session && !view.is_own(&link) => Judged {
                real,
                outcome: Outcome::Refused,
                link: Some(link),
            },
            _ if exists || access.changes() => judged(&real, Outcome::Permitted),
            _ => judged(&real, Outcome::Absent),
        };
    }
    if view.is_own(&real) || view.is_own(path) {
        let is_hosts = exists
            && real.starts_with("/tmp")
            && !access.changes()
            && !view.leads_to_root(&real)
            && !was_created(&real);
        let outcome = match is_hosts {
            true => Outcome::Refused,
            false => Outcome::Private,
        };
        return judged(&real, outcome);
    }
    if !needs_root {
        return judged(
            &real,
            if exists {
                Outcome::Permitted
            } else {
                Outcome::Absent
            },
        );
    }
    // A session has the directories above its roots, and lists them.
    if view.in_session && view.leads_to_root(&real) && matches!(access, Access::Look | Access::Read)
    {
        return judged(&real, Outcome::Private);
    }
    let parent_exists = || real.parent().is_some_and(Path::is_dir);
    let matters = exists || access == Access::Create && parent_exists();
    judged(
        &real,
        match matters {
            true => Outcome::Refused,
            false => Outcome::Absent,
        },
    )
}

/// Resolves `path` on the host; the links on it go to `links`. None where the host cannot follow it either.
fn resolve(path: &Path, follows: bool, links: &RefCell<Vec<PathBuf>>) -> Option<PathBuf> {
    let root = Path::new("/");
    let on_link = |link: &Path| links.borrow_mut().push(link.to_owned());
    if follows {
        return walk(root, path, |_| true, on_link).ok();
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Some(walk(root, parent, |_| true, on_link).ok()?.join(name)),
        _ => walk(root, path, |_| true, on_link).ok(),
    }
}

#[cfg(test)]
mod tests;
