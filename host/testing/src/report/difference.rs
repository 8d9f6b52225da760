//! The difference of two lists of lines.

/// Returns both lists as one, with `-` before what only `expected` has and `+` before what only `found` has; none if they
/// are equal.
///
/// The lists of a test are short, so the table of all common parts is small: a tenth of a second for 1,000 lines each.
pub(super) fn difference(expected: &[&str], found: &[&str]) -> Option<String> {
    if expected == found {
        return None;
    }
    // common[i][j] is the most lines that expected[i..] and found[j..] have in common, in order.
    let mut common = vec![vec![0_usize; found.len() + 1]; expected.len() + 1];
    for i in (0..expected.len()).rev() {
        for j in (0..found.len()).rev() {
            common[i][j] = if expected[i] == found[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < expected.len() || j < found.len() {
        let both = i < expected.len() && j < found.len();
        if both && expected[i] == found[j] {
            lines.push(format!("    {}", expected[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == found.len() || (both && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("  - {}", expected[i]));
            i += 1;
        } else {
            lines.push(format!("  + {}", found[j]));
            j += 1;
        }
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_do_not_differ_and_what_both_have_is_shown_once() {
        assert_eq!(difference(&["a"], &["a"]), None);
        let shown = difference(&["a", "b", "c"], &["a", "c", "d"]);
        assert_eq!(shown.as_deref(), Some("    a\n  - b\n    c\n  + d"));
        let shown = difference(&["a"], &["b"]);
        assert_eq!(shown.as_deref(), Some("  - a\n  + b"));
        assert_eq!(difference(&[], &["b"]).as_deref(), Some("  + b"));
        assert_eq!(difference(&["a"], &[]).as_deref(), Some("  - a"));
    }

    /// Two lists with the same lines in another order differ.
    #[test]
    fn the_order_counts() {
        let shown = difference(&["a", "b"], &["b", "a"]);
        assert_eq!(shown.as_deref(), Some("  - a\n    b\n  + a"));
    }
}
