//! The commands of one component: which rule of the new grant was which of the old one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Change, Direction, Found, command};
use crate::grant::component::Grant;
use crate::grant::file::document::Effect;
use crate::grant::rule::command::Rule;

/// Compares the commands of two grants of one component.
pub(super) fn compare(old: &Grant, new: &Grant, found: &mut Found<'_>) {
    let names: BTreeSet<&str> = old
        .rules()
        .chain(new.rules())
        .map(|rule| rule.name.as_str())
        .collect();
    let has_any = |grant: &Grant| grant.rules().any(|rule| rule.name == "*" && starts(rule));
    for name in names {
        let named = |grant: &Grant| -> Vec<Arc<Rule>> {
            grant
                .rules()
                .filter(|rule| rule.name == name)
                .cloned()
                .collect()
        };
        let (before, after) = (named(old), named(new));
        // A name without rules of its own has those of `*`.
        if after.is_empty() && name != "*" && has_any(new) {
            let place = before.first().and_then(|rule| rule.place);
            let what = "the rules of this name are gone: those of `*` now decide on it";
            found
                .command(name, place)
                .add("command", Direction::Undecided, what);
            continue;
        }
        compare_named(name, &before, &after, found);
    }
}

fn starts(rule: &Rule) -> bool {
    rule.effect != Effect::Deny
}

/// Returns the changes from one rule to another.
fn changes(component: &str, old: &Rule, new: &Rule) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut found = Found::of(component, &mut changes);
    command::compare(old, new, &mut found.command(&new.name, new.place));
    changes
}

fn compare_named(name: &str, before: &[Arc<Rule>], after: &[Arc<Rule>], found: &mut Found<'_>) {
    let component = found.component;
    let mut old: Vec<&Rule> = before.iter().map(Arc::as_ref).collect();
    let mut new: Vec<&Rule> = after.iter().map(Arc::as_ref).collect();
    let mut fewer_asked = false;
    // The pair with the fewest changes first, so that a rule that is the same is found whatever its place.
    loop {
        let pairs = old.iter().enumerate().flat_map(|(a, before)| {
            let same_kind = new
                .iter()
                .enumerate()
                .filter(|(_, after)| starts(before) == starts(after));
            same_kind.map(move |(b, after)| (changes(component, before, after), a, b))
        });
        let Some((of_pair, a, b)) = pairs.min_by_key(|(changes, ..)| changes.len()) else {
            break;
        };
        let (was, is) = (old.remove(a), new.remove(b));
        fewer_asked |= was.effect == Effect::Ask
            && of_pair.iter().any(|it| it.direction == Direction::Narrows);
        let widens = of_pair.iter().any(|it| it.direction.is_widening());
        if widens && starts(is) && is_covered(component, before, is) {
            let what = format!("allows what another rule allowed, {}", shown(is));
            found
                .command(name, is.place)
                .add("command", Direction::Neither, what);
        } else {
            found.changes.extend(of_pair);
        }
    }
    for rule in new {
        let mut found = found.command(name, rule.place);
        match rule.effect {
            Effect::Deny => found.add(
                "command",
                Direction::Narrows,
                format!("denies {}", shown(rule)),
            ),
            _ if is_covered(component, before, rule) => {
                found.add(
                    "command",
                    Direction::Neither,
                    format!("allows once more {}", shown(rule)),
                );
            }
            _ => found.add(
                "command",
                Direction::Widens,
                format!("may run {}", shown(rule)),
            ),
        }
    }
    for rule in old {
        let mut found = found.command(name, rule.place);
        match rule.effect {
            Effect::Deny if !after.iter().any(|it| starts(it)) => {}
            Effect::Deny => {
                found.add(
                    "command",
                    Direction::Widens,
                    format!("no longer denies {}", shown(rule)),
                );
            }
            effect => {
                fewer_asked |= effect == Effect::Ask;
                found.add(
                    "command",
                    Direction::Narrows,
                    format!("may no longer run {}", shown(rule)),
                );
            }
        }
    }
    if fewer_asked && after.iter().any(|rule| rule.effect == Effect::Allow) {
        let what = "fewer requests need approval, and a rule with decision = \"allow\" may now decide on them";
        let place = after.first().and_then(|rule| rule.place);
        found
            .command(name, place)
            .add("decision", Direction::Undecided, what);
    }
}

/// Returns whether one of the old rules allows all that a new one does.
fn is_covered(component: &str, before: &[Arc<Rule>], rule: &Rule) -> bool {
    let covers = |old: &Arc<Rule>| {
        starts(old)
            && !changes(component, old, rule)
                .iter()
                .any(|it| it.direction.is_widening())
    };
    before.iter().any(covers)
}

/// Returns a rule in words.
fn shown(rule: &Rule) -> String {
    let program = match (rule.program_path(), rule.effect) {
        (Some(path), _) => path.display().to_string(),
        (None, Effect::Deny) => "the program".to_owned(),
        (None, _) => "any program".to_owned(),
    };
    let fixed = rule.fixed.iter().map(|it| format!("{it:?}"));
    let args = rule.args.iter().map(ToString::to_string);
    let words: Vec<String> = [program].into_iter().chain(fixed).chain(args).collect();
    words.join(" ")
}
