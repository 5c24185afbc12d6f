//! A relay as a process, for a network namespace of its own: `relay LISTEN TARGET` prints where it listens, and passes
//! on whatever comes until its standard input is closed.

use std::io::Read as _;

use syngrad_tests::relay::{Nature, Relay};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "its first line is for whoever started it")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (listen, target) = (arguments.next().expect("LISTEN"), arguments.next().expect("TARGET"));
    let relay = Relay::start(&listen, &target, Nature::default()).await.expect("it can listen");
    println!("{}", relay.address());
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    // Closed or broken, nobody needs it any more.
    let _ = ended.await;
}
