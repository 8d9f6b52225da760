//! `capspawn explain`: the decision on one request, made by the code that `run` uses.

use anyhow::Result;
use capspawn_native::{Command, Decision};

use crate::args::ExplainArgs;
use crate::{load, output};

/// Exit code for a request that is denied.
const DENIED: u8 = 3;

/// Exit code for a request that needs the operator's approval.
const ASK: u8 = 4;

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

    let explanation = grants.component(&args.component).explain(&request);
    if args.json {
        output::print_json(&explanation)?;
    } else {
        output::print(&explanation.to_string())?;
    }
    Ok(match explanation.outcome {
        Ok(Decision::Allow(_)) => 0,
        Ok(Decision::Ask(_)) => ASK,
        Err(_) => DENIED,
    })
}
