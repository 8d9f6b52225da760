//! Makes a file, runs a program, and prints what the file then contains.
//!
//! Usage: `makes-file FILE PROGRAM [ARGS]...`

use capspawn_guest::{Command, exit};

fn main() {
    let mut args = std::env::args().skip(1);
    let usage = "usage: makes-file FILE PROGRAM [ARGS]...";
    let (file, program) = (args.next().expect(usage), args.next().expect(usage));
    // Without its folder the file cannot be made; the program is requested all the same.
    let made = std::fs::write(&file, "component\n");
    let status = Command::new(program).args(args).status();
    match (made, status) {
        (Ok(()), Ok(status)) => {
            print!("{}", std::fs::read_to_string(&file).expect("it was made"));
            exit(status.code().unwrap_or(255))
        }
        (made, status) => {
            eprintln!("{made:?} {status:?}");
            exit(1)
        }
    }
}
