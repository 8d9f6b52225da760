//! The child's environment: first the host's variables that `inherit` names, then those of
//! `set`, then the guest's variables that `allow` names. Nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::settings::Settings;
use crate::grant::check::covers;
use crate::grant::check::dangerous_variable::danger;

/// The `PATH` of a child whose grant gives it none: programs such as `gcc` find their parts only by it. The folders are
/// those of a login without privileges.
pub(in crate::grant) const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The variables of one command.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Environment {
    /// The variables of every child.
    base: BTreeMap<String, String>,
    /// The names that the guest may add or replace.
    allow: BTreeSet<String>,
    /// The names whose values are the host's, whether or not the host has them now.
    inherited: BTreeSet<String>,
    /// Whether the grant gives its children a `PATH`.
    has_own_path: bool,
}

impl Environment {
    /// Takes the host's variables now, so that a decision depends on the request and the
    /// file system alone.
    pub(in crate::grant) fn new(settings: &Settings) -> Self {
        let inherited = settings
            .inherit
            .iter()
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
        let mut base: BTreeMap<_, _> = inherited.collect();
        base.extend(settings.set.clone());
        let has_own_path = base.contains_key("PATH");
        base.entry("PATH".to_owned())
            .or_insert_with(|| DEFAULT_PATH.to_owned());
        Self {
            base,
            allow: settings.allow.clone(),
            inherited: settings
                .inherit
                .iter()
                .filter(|name| !settings.set.contains_key(*name))
                .cloned()
                .collect(),
            has_own_path,
        }
    }

    /// Returns the child's environment, or the first name that is not allowed.
    pub(in crate::grant) fn decide<'r>(
        &self,
        request: &'r [(String, OsString)],
    ) -> Result<Vec<(String, OsString)>, &'r str> {
        let base = self.base.iter();
        let mut env: BTreeMap<_, OsString> = base
            .map(|(name, value)| (name.clone(), value.into()))
            .collect();
        for (name, value) in request {
            if !self.allows(name) {
                return Err(name);
            }
            env.insert(name.clone(), value.clone());
        }
        Ok(env.into_iter().collect())
    }

    /// Returns the `PATH` of every child, by which bare names are looked up.
    pub(in crate::grant) fn path(&self) -> &str {
        self.base.get("PATH").map_or(DEFAULT_PATH, String::as_str)
    }

    /// Returns whether the grant gives its children a `PATH`; otherwise they have [`DEFAULT_PATH`].
    pub(in crate::grant) fn has_own_path(&self) -> bool {
        self.has_own_path
    }

    /// Returns the names of the variables of every child.
    pub(in crate::grant) fn names(&self) -> impl Iterator<Item = &str> {
        self.base.keys().map(String::as_str)
    }

    /// Returns the value of a variable of every child.
    pub(in crate::grant) fn value(&self, name: &str) -> Option<&str> {
        self.base.get(name).map(String::as_str)
    }

    /// Returns the names that the guest may set, `*` at the end for any rest.
    pub(in crate::grant) fn allowed(&self) -> impl Iterator<Item = &str> {
        self.allow.iter().map(String::as_str)
    }

    /// Returns the names whose values are the host's.
    pub(in crate::grant) fn inherited(&self) -> &BTreeSet<String> {
        &self.inherited
    }

    fn allows(&self, name: &str) -> bool {
        if self.allow.contains(name) {
            return true;
        }
        self.is_covered(name) && danger(name).is_none()
    }

    /// Returns why no pattern admits the variable; none if no pattern covers it either.
    pub(in crate::grant) fn danger(&self, name: &str) -> Option<&'static str> {
        danger(name).filter(|_| self.is_covered(name))
    }

    fn is_covered(&self, name: &str) -> bool {
        self.allow.iter().any(|pattern| covers(pattern, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(allow: &[&str]) -> Environment {
        Environment {
            base: BTreeMap::from([("LANG".into(), "C.UTF-8".into())]),
            allow: allow.iter().map(|&name| name.into()).collect(),
            inherited: BTreeSet::new(),
            has_own_path: false,
        }
    }

    fn request(name: &str) -> [(String, OsString); 1] {
        [(name.to_owned(), "x".into())]
    }

    #[test]
    fn only_allowed_names_are_added() {
        let environment = environment(&["GIT_AUTHOR_DATE"]);
        let env = environment
            .decide(&request("GIT_AUTHOR_DATE"))
            .expect("it is allowed");
        assert_eq!(env.len(), 2);
        assert_eq!(environment.decide(&request("LANG")), Err("LANG"));
        assert_eq!(
            environment.decide(&request("git_author_date")),
            Err("git_author_date")
        );
    }

    #[test]
    fn the_last_of_two_values_wins() {
        let twice = [("A".to_owned(), "1".into()), ("A".to_owned(), "2".into())];
        let env = environment(&["A"]).decide(&twice).expect("it is allowed");
        assert!(env.contains(&("A".into(), "2".into())) && env.len() == 2);
    }

    #[test]
    fn a_pattern_does_not_cover_a_dangerous_name() {
        let all = environment(&["*"]);
        all.decide(&request("HARMLESS"))
            .expect("the pattern covers it");
        let names = [
            "LD_PRELOAD",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "PATH",
            "IFS",
            "BASH_ENV",
            "ENV",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "PERL5OPT",
            "RUBYOPT",
            "GIT_SSH_COMMAND",
            "GCONV_PATH",
        ];
        for name in names {
            assert_eq!(all.decide(&request(name)), Err(name));
            environment(&[name])
                .decide(&request(name))
                .expect("it is written in full");
        }
        for prefix in ["LD_*", "LD_PRELOA*"] {
            let by_prefix = environment(&[prefix]);
            assert_eq!(by_prefix.decide(&request("LD_PRELOAD")), Err("LD_PRELOAD"));
            assert!(by_prefix.danger("LD_PRELOAD").is_some());
        }
        assert_eq!(environment(&["A"]).danger("LD_PRELOAD"), None);
    }
}
