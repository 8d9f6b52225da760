//! `capspawn init`: prints a recipe with the paths of this host.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::args::InitArgs;
use crate::recipe::{self, Kind, Parameter, RECIPES};
use crate::{output, similar};

/// Lists the recipes, or prints one.
pub(crate) fn init(args: &InitArgs) -> Result<u8> {
    let Some(name) = args.recipe.as_deref().filter(|_| !args.list) else {
        output::print(&list())?;
        return Ok(0);
    };
    let Some((_, text)) = RECIPES.iter().find(|(known, _)| *known == name) else {
        let hint = similar::did_you_mean(name, RECIPES.iter().map(|(known, _)| *known));
        bail!("there is no recipe {name:?}{hint}. `capspawn init --list` lists them");
    };
    let set: BTreeMap<&str, &str> = args
        .set
        .iter()
        .map(|it| (it.name.as_str(), it.value.as_str()))
        .collect();
    output::print(&filled(name, text, &set)?)?;
    Ok(0)
}

fn list() -> String {
    let mut text = String::new();
    for (name, recipe) in RECIPES {
        text += &format!("{name}\n    {}\n", recipe::title(recipe));
        for parameter in recipe::parameters(recipe) {
            let default = match (parameter.kind, parameter.default) {
                (Kind::Toolchain, _) => "default: that of rustup, or /usr".to_owned(),
                (_, "-") => "needed".to_owned(),
                (Kind::Program, name) => format!("default: {name}, as it is installed"),
                (Kind::Folder, ".") => "default: the current folder".to_owned(),
                (_, default) => format!("default: {default}"),
            };
            text += &format!(
                "    --set {}=...  {} ({default})\n",
                parameter.name, parameter.meaning
            );
        }
    }
    text
}

/// Returns the recipe with its values.
fn filled(name: &str, text: &str, set: &BTreeMap<&str, &str>) -> Result<String> {
    let parameters = recipe::parameters(text);
    let names = || parameters.iter().map(|it| it.name);
    if let Some(unknown) = set.keys().find(|key| !names().any(|name| name == **key)) {
        let hint = similar::did_you_mean(unknown, names());
        let known: Vec<_> = names().collect();
        bail!(
            "{name} has no value {unknown:?}{hint}. It takes {}",
            known.join(", ")
        );
    }
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("#:"))
        .collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    let mut filled = lines.join("\n") + "\n";
    for parameter in &parameters {
        let value = recipe::resolve(parameter, set.get(parameter.name).copied())?;
        if parameter.name == "workspace" {
            recipe::check_workspace(&value)?;
            filled = filled.replace("${secrets}", &recipe::secrets(&value));
        }
        filled = fill(&filled, parameter, &value);
    }
    Ok(filled)
}

fn fill(text: &str, parameter: &Parameter<'_>, value: &str) -> String {
    text.replace(&format!("${{{}}}", parameter.name), &recipe::escaped(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipe_declares_every_value_that_it_uses_and_uses_every_one_that_it_declares() {
        for (name, text) in RECIPES {
            let declared: Vec<_> = recipe::parameters(text)
                .into_iter()
                .map(|it| it.name)
                .collect();
            assert!(
                declared.contains(&"component") && declared.contains(&"workspace"),
                "{name}"
            );
            let body: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let body = body.join("\n");
            let used: Vec<_> = body
                .split("${")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once('}')?.0))
                .collect();
            for value in &used {
                assert!(
                    *value == "secrets" || declared.contains(value),
                    "{name}: {value}"
                );
            }
            for value in declared {
                assert!(used.contains(&value), "{name} does not use {value}");
            }
            assert!(used.contains(&"secrets"), "{name} denies no secrets");
            let title = recipe::title(text);
            assert!(title.len() > 20 && !title.contains("#:"), "{name}: {title}");
        }
    }

    #[test]
    fn a_value_is_escaped_as_a_string() {
        let parameter = Parameter {
            name: "workspace",
            kind: Kind::Text,
            default: ".",
            meaning: "",
        };
        let odd = "/a\"b\\c\nd";
        let text = fill("x = \"${workspace}/e\"", &parameter, odd);
        assert_eq!(text, "x = \"/a\\\"b\\\\c\\u000ad/e\"");
    }

    #[test]
    fn secrets_of_the_workspace_are_denied_and_a_home_is_no_workspace() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().to_str().expect("UTF-8");
        assert_eq!(recipe::secrets(path), "[]");
        std::fs::write(folder.path().join(".env"), "KEY=1").expect("an empty folder");
        assert_eq!(recipe::secrets(path), format!("[\"{path}/.env\"]"));
        for refused in ["/", "/home", "/root"] {
            recipe::check_workspace(refused).expect_err(refused);
        }
        recipe::check_workspace(path).expect("a folder of its own");
    }
}
