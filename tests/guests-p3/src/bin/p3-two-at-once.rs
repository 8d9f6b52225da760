//! Runs two programs, each of which ends only if the other runs too.
//!
//! Usage: `p3-two-at-once FOLDER`. `ping` and `pong` in FOLDER are named pipes.

use futures::try_join;
use guests_p3::{guest, run};

guest!(main);

async fn main() {
    let folder = std::env::args()
        .nth(1)
        .expect("usage: p3-two-at-once FOLDER");
    let shell = |script: String| run::run("sh".to_owned(), vec!["-c".to_owned(), script], None);
    let (first, second) = try_join!(
        shell(format!("echo 1 > {folder}/ping; cat {folder}/pong")),
        shell(format!("cat {folder}/ping; echo 2 > {folder}/pong")),
    )
    .expect("the grant allows both");
    print!("{}", String::from_utf8_lossy(&first.stdout.data));
    print!("{}", String::from_utf8_lossy(&second.stdout.data));
}
