//! `capspawn explain`: the decision on one request, made by the code that `run` uses.

use anyhow::Result;
use capspawn_native::grant::Explanation;
use capspawn_native::launch::Plan;
use capspawn_native::{Command, Decision, SpawnError};
use serde_json::{Value, json};

use crate::args::ExplainArgs;
use crate::{confinement, load, output};

/// Exit code for a request that is denied.
const DENIED: u8 = 3;

/// Exit code for a request that needs the operator's approval.
const ASK: u8 = 4;

/// Prints the decision. It starts no program.
pub(crate) fn explain(args: &ExplainArgs) -> Result<u8> {
    let grants = load::grants(&args.file, args.run_as.identity())?;
    let mut request = Command::new(&args.name).args(&args.args);
    request.cwd.clone_from(&args.cwd);
    request.env = args
        .env
        .iter()
        .map(|it| (it.name.clone(), it.value.clone()))
        .collect();

    let explanation = grants.component(&args.component).explain(&request);
    if args.json {
        output::print(&format!("{:#}\n", object(&explanation)))?;
    } else {
        output::print(&explanation.to_string())?;
    }
    Ok(match explanation.outcome {
        Ok(Decision::Allow(_)) => 0,
        Ok(Decision::Ask(_)) => ASK,
        Err(_) => DENIED,
    })
}

/// Returns the explanation as JSON.
fn object(explanation: &Explanation) -> Value {
    let mut object = match &explanation.outcome {
        Ok(Decision::Allow(plan)) => planned("allow", plan),
        Ok(Decision::Ask(plan)) => planned("ask", plan),
        Err(SpawnError::Denied(denial)) => json!({
            "decision": "deny",
            "item": denial.item.to_string(),
            "reason": denial.reason,
            "nearest": denial.nearest,
            "would_allow": denial.would_allow,
        }),
        Err(error) => json!({ "decision": "deny", "reason": error.to_string() }),
    };
    object["component"] = json!(explanation.component);
    object["command"] = json!(explanation.command);
    if let Some((line, column)) = explanation.place {
        object["rule"] = json!({ "line": line, "column": column });
    }
    object
}

/// Returns the decision and the plan that it allows.
fn planned(decision: &str, plan: &Plan) -> Value {
    let limits = &plan.limits;
    let rules = &plan.confinement;
    let env: serde_json::Map<_, _> = plan
        .env
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({
        "decision": decision,
        "program": plan.program.path,
        "argv": plan.argv,
        "env": env,
        "cwd": plan.cwd.path,
        "limits": {
            "wall_seconds": limits.wall.as_secs_f64(),
            "cpu_seconds": limits.cpu.map(|it| it.as_secs_f64()),
            "memory_bytes": limits.memory_bytes,
            "processes": limits.processes,
            "open_files": limits.open_files,
            "file_size_bytes": limits.file_size_bytes,
            "tmpfs_bytes": limits.tmpfs_bytes,
            "output_bytes": limits.output_bytes,
            "stdout_bytes": plan.capture.stdout_bytes,
            "stderr_bytes": plan.capture.stderr_bytes,
        },
        "sandbox": confinement::sandbox(rules.sandbox),
        "network": confinement::network(rules.network),
        "disclose_pid": plan.disclose_pid,
        "fs": confinement::fs(&rules.fs),
    })
}
