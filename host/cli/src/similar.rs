//! The known name that is closest to a mistyped one.

/// Returns ` (did you mean ...?)` if one of `names` is close to `written`.
pub(crate) fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let distance = |name: &&'a str| strsim::osa_distance(written, name);
    let nearest = names.into_iter().min_by_key(distance);
    match nearest.filter(|name| distance(name) <= name.chars().count().max(3) / 2) {
        Some(name) => format!(" (did you mean {name:?}?)"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_far_from_all_others_has_no_hint() {
        let names = ["git-read-only", "rustfmt"];
        assert_eq!(
            did_you_mean("rustfm", names),
            " (did you mean \"rustfmt\"?)"
        );
        assert_eq!(did_you_mean("python", names), "");
    }
}
