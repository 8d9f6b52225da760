//! The `capspawn` command; `capspawn --help` describes it.

fn main() -> std::process::ExitCode {
    capspawn_cli::main()
}
