//! A relay as a process, for a network namespace of its own: `relay LISTEN TARGET` prints where it listens, and passes
//! on whatever comes until its standard input is closed.

use std::io::{Read as _, Write as _};

use syngrad_tests::relay::{Nature, Relay};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (listen, target) = (arguments.next().expect("LISTEN"), arguments.next().expect("TARGET"));
    let relay = Relay::start(&listen, &target, Nature::default()).await.expect("it can listen");
    writeln!(std::io::stdout(), "{}", relay.address()).expect("someone reads where it listens");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    // Closed or broken, nobody needs it any more.
    let _ = ended.await;
}
