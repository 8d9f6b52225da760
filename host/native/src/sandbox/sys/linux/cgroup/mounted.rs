//! Where the cgroup file systems are mounted, and which cgroups this process is in.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A mounted hierarchy, and the cgroup of this process in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    /// The controllers of a hierarchy of version 1; none for version 2.
    pub(super) controllers: Option<Vec<String>>,
    /// Where the hierarchy is mounted.
    pub(super) mount_point: PathBuf,
    /// The directory of this process's cgroup.
    pub(super) own: PathBuf,
}

impl Mounted {
    /// Returns the hierarchies that this process can see.
    pub(super) fn all() -> io::Result<Vec<Self>> {
        let cgroups = std::fs::read("/proc/self/cgroup")?;
        let mounts = std::fs::read("/proc/self/mountinfo")?;
        Ok(parse(&cgroups, &mounts))
    }

    /// Whether this is the hierarchy of version 1 with the controller `name`.
    pub(super) fn has_v1(&self, name: &str) -> bool {
        let controllers = self.controllers.iter().flatten();
        controllers.into_iter().any(|own| own == name)
    }
}

/// Joins the lines of `/proc/self/cgroup` with those of `/proc/self/mountinfo`.
fn parse(cgroups: &[u8], mounts: &[u8]) -> Vec<Mounted> {
    let lines = |text: &'static u8| move |byte: &u8| byte == text;
    let memberships = cgroups.split(lines(&b'\n')).filter_map(membership);
    let mounts: Vec<_> = mounts.split(lines(&b'\n')).filter_map(mount).collect();
    let joined = memberships.filter_map(|(controllers, path)| {
        mounts.iter().find_map(|mount| {
            let is_same = match (&controllers, &mount.options) {
                (None, None) => true,
                (Some(own), Some(mounted)) => own.iter().all(|name| mounted.contains(name)),
                _ => false,
            };
            let below = is_same.then(|| path.strip_prefix(&mount.root).ok())??;
            // A path that leads out of the mounted part of the hierarchy.
            let is_inside = below.components().all(|part| part.as_os_str() != "..");
            is_inside.then(|| Mounted {
                controllers: controllers.clone(),
                mount_point: mount.point.clone(),
                own: mount.point.join(below),
            })
        })
    });
    joined.collect()
}

/// Parses a line of `/proc/self/cgroup`: `number:controllers:path`. Version 2 has no controllers.
fn membership(line: &[u8]) -> Option<(Option<Vec<String>>, PathBuf)> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    let (number, controllers) = (parts.next()?, parts.next()?);
    let path = PathBuf::from(OsStr::from_bytes(parts.next()?));
    let controllers = std::str::from_utf8(controllers).ok()?;
    match (number, controllers) {
        (b"0", "") => Some((None, path)),
        // A hierarchy with a name and without controllers.
        (_, "") => None,
        _ => Some((
            Some(controllers.split(',').map(String::from).collect()),
            path,
        )),
    }
}

struct Mount {
    /// The directory of the hierarchy that is mounted.
    root: PathBuf,
    point: PathBuf,
    /// The options of a mount of version 1, the controllers among them; none for version 2.
    options: Option<Vec<String>>,
}

/// Parses a line of `/proc/self/mountinfo`, if it is that of a cgroup file system.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (root, point) = (fields.nth(3)?, fields.next()?);
    // Optional fields end with a dash.
    fields.find(|field| *field == b"-")?;
    let (kind, options) = (fields.next()?, fields.nth(1)?);
    let options = match kind {
        b"cgroup" => {
            let options = std::str::from_utf8(options).ok()?;
            Some(options.split(',').map(String::from).collect())
        }
        b"cgroup2" => None,
        _ => return None,
    };
    Some(Mount {
        root: unescape(root),
        point: unescape(point),
        options,
    })
}

/// Undoes the octal escapes of a path in `/proc/self/mountinfo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        let (byte, skipped) = code.map_or((*first, 0), |code| (code, 3));
        bytes.push(byte);
        rest = after.get(skipped..).unwrap_or(&[]);
    }
    Path::new(OsStr::from_bytes(&bytes)).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cgroups: &str, mounts: &str) -> Vec<(bool, String)> {
        let found = parse(cgroups.as_bytes(), mounts.as_bytes());
        let named = found
            .iter()
            .map(|it| (it.controllers.is_none(), it.own.display().to_string()));
        named.collect()
    }

    #[test]
    fn both_versions_are_found_side_by_side() {
        let cgroups = "4:memory:/a/b\n3:cpu,cpuacct:/\n2:name=systemd:/x\n0::/\n";
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 master:1 - cgroup cgroup rw,memory\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n";
        let expected = [
            (false, "/sys/fs/cgroup/memory/a/b".to_string()),
            (false, "/sys/fs/cgroup/cpu,cpuacct/".to_string()),
            (true, "/sys/fs/cgroup/uni fied/".to_string()),
        ];
        assert_eq!(found(cgroups, mounts), expected);
    }

    #[test]
    fn a_part_of_a_hierarchy_shows_what_lies_in_it_alone() {
        let mounts = "41 31 0:38 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let expected = [(true, "/sys/fs/cgroup/x".to_string())];
        assert_eq!(found("0::/docker/1/x\n", mounts), expected);
        assert_eq!(found("0::/docker/12\n", mounts), []);
        assert_eq!(found("0::/../docker/1/x\n", mounts), []);
        let all = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found("0::/../x\n", all), []);
        assert_eq!(found("", all), []);
    }
}
