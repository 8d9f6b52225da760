//! What can go wrong, and what a component should do about it.
//!
//! Usage: `handle-denial PROGRAM [ARGS]...`; exits with 0 if the grant refuses
//! the request, with 1 if it does not.

use guest_examples::types::{DeniedItem, ErrorCode, Quota};
use guest_examples::{ending, exit, reason, run, word};

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
        // The grant decides, and asking again will not change it. Do without
        // the program, or tell the user what is missing: the operator of the
        // host finds the whole reason in the host's log.
        ErrorCode::AccessDenied(item) => {
            let advice = match item {
                DeniedItem::Program => "the grant lists no command of this name",
                DeniedItem::Argument => "another argument may be allowed",
                DeniedItem::Environment => "leave out the variable",
                DeniedItem::WorkingDirectory => "leave the directory at its default",
                DeniedItem::Stdio => "use captured output",
                DeniedItem::Timeout => "ask for less time",
                DeniedItem::Detach => "keep the handle instead",
            };
            println!("denied ({}): {advice}", word(*item));
            exit(0);
        }
        // The host never queues. Two of the four may be otherwise in a moment.
        ErrorCode::QuotaExceeded(Quota::LiveChildren) => println!("release a child, try again"),
        ErrorCode::QuotaExceeded(Quota::SpawnRate | Quota::HostCapacity) => println!("try later"),
        ErrorCode::QuotaExceeded(Quota::TotalChildren) => println!("no more children"),
        // The host is not set up for this grant; nothing was started.
        ErrorCode::SandboxUnavailable => println!("this host cannot confine the program"),
        // The request itself is wrong: a bug in the component.
        ErrorCode::InvalidArgument | ErrorCode::TooBig => println!("fix the request"),
        // Granted, and yet not there: a mistake in the set-up of the host.
        ErrorCode::NoEntry | ErrorCode::NotExecutable | ErrorCode::WorkingDirectoryNotFound => {
            println!("not installed properly: {}", reason(&error));
        }
        other => println!("failed: {}", reason(other)),
    }
    exit(1);
}
