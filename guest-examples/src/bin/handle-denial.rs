//! What can go wrong, and how a component should react.
//!
//! Usage: `handle-denial PROGRAM [ARGS]...`. Exits with 0 if the grant denies the
//! request, and with 1 otherwise.

use guest_examples::types::{DeniedItem, ErrorCode, Quota};
use guest_examples::{ending, exit, item_name, reason, run};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: handle-denial PROGRAM [ARGS]...");
    let args: Vec<String> = args.collect();

    let error = match run::run(&program, &args, None) {
        Ok(output) => {
            println!("allowed: {program} {}", ending(output.status));
            exit(1);
        }
        Err(error) => error,
    };
    match &error {
        // The grant decides, and the same request will be denied again. Do without
        // the program, or tell the user what is missing. The host's events tell its
        // operator the whole reason.
        ErrorCode::AccessDenied(item) => {
            let advice = match item {
                DeniedItem::Program => "the grant lists no command of this name",
                DeniedItem::Argument => "another argument may be allowed",
                DeniedItem::Environment => "leave out the variable",
                DeniedItem::WorkingDirectory => "leave the directory at its default",
                DeniedItem::Stdio => "send no standard input",
                DeniedItem::Detach => "keep the handle instead",
            };
            println!("denied ({}): {advice}", item_name(*item));
            exit(0);
        }
        // The host never queues a request. All quotas but one may have room later.
        ErrorCode::QuotaExceeded(Quota::LiveChildren) => println!("release a child, try again"),
        ErrorCode::QuotaExceeded(Quota::HeldMemory | Quota::HeldDescriptors) => {
            println!("drop ended children and their streams, try again");
        }
        ErrorCode::QuotaExceeded(Quota::SpawnRate | Quota::HostCapacity) => println!("try later"),
        ErrorCode::QuotaExceeded(Quota::TotalChildren) => println!("no more children"),
        // The host is not set up for this grant; nothing was started.
        ErrorCode::SandboxUnavailable => println!("this host cannot confine the program"),
        // The request itself is invalid: a defect of the component.
        ErrorCode::InvalidArgument | ErrorCode::TooBig => println!("fix the request"),
        // Granted and not there: the host's setup is wrong.
        ErrorCode::NoEntry | ErrorCode::NotExecutable | ErrorCode::WorkingDirectoryNotFound => {
            println!("not installed on this host: {}", reason(&error));
        }
        other => println!("failed: {}", reason(other)),
    }
    exit(1);
}
