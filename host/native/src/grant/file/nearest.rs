//! The known name that is closest to a misspelled one, for a hint in an error.

/// Returns `; did you mean ...?` if one of `candidates` is close to `written`.
pub(in crate::grant) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(written, candidates) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

/// Returns the candidate that is the fewest edits away from `written`, if those are at most
/// half of its characters.
pub(in crate::grant) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::levenshtein(written, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= candidate.chars().count().max(3) / 2)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_few_edits_away() {
        assert_eq!(
            nearest("max-liv", ["max-total", "max-live"]),
            Some("max-live")
        );
        assert_eq!(nearest("argz", ["args", "env"]), Some("args"));
        assert_eq!(nearest("entirely-else", ["args", "env"]), None);
    }
}
