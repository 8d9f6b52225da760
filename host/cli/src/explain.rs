//! `capspawn explain`: the decision on one request, made by the code that `run` uses.

use anyhow::Result;
use capspawn_native::{Command, Decision};

use crate::args::ExplainArgs;
use crate::{load, output};

/// Exit code for a request that is denied.
const DENIED: u8 = 3;

/// Exit code for a request that needs the operator's approval.
const ASK: u8 = 4;

/// The version of the JSON that `explain` prints.
const JSON_VERSION: u32 = 1;

/// Prints the decision. It starts no program.
pub(crate) fn explain(args: &ExplainArgs) -> Result<u8> {
    let grants = load::grants(&args.file, args.run_as.identity())?;
    let mut request = Command::new(&args.name).args(&args.args);
    request.cwd.clone_from(&args.cwd);
    request.arg0.clone_from(&args.arg0);
    request.env = args
        .env
        .iter()
        .map(|it| (it.name.clone(), it.value.clone().into()))
        .collect();

    let grant = grants.component(&args.component);
    if grant.commands().next().is_none() {
        let line = load::without_commands(&grants, &args.file, &args.component, "check the name");
        output::note(&line);
    }
    let explanation = grant.explain(&request);
    if args.json {
        let mut value = serde_json::to_value(&explanation)?;
        value["version"] = JSON_VERSION.into();
        output::print_json(&value)?;
    } else {
        output::print(&explanation.to_string())?;
    }
    Ok(match explanation.outcome {
        Ok(Decision::Allow(_)) => 0,
        Ok(Decision::Ask(_)) => ASK,
        Err(_) => DENIED,
    })
}
