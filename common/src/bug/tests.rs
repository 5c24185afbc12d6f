use std::env;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;

/// Says to this program where to panic, when it is started again for that.
const PLANTED: &str = "SYNGRAD_TEST_PANIC_IN";

/// The program under test: this one again, with only this test in it. On its own it tests nothing.
#[test]
fn planted() {
    let Ok(place) = env::var(PLANTED) else { return };
    ends_the_process();
    match place.as_str() {
        "main" => panic!("planted"),
        "thread" => {
            thread::spawn(|| panic!("planted")).join().expect_err("it panics");
        }
        "task" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
            runtime.block_on(async { tokio::spawn(async { panic!("planted") }).await }).expect_err("it panics");
        }
        "caught" => {
            panic::catch_unwind(|| panic!("planted")).expect_err("it panics");
        }
        other => unreachable!("nothing is planted in {other}"),
    }
    // Whoever is left goes on as if nothing had happened.
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_panic_anywhere_ends_the_process_and_says_whose_mistake_it_is() {
    for place in ["main", "thread", "task", "caught"] {
        let mut again = Command::new(env::current_exe().expect("this program"));
        again.args(["--exact", "bug::tests::planted", "--nocapture"]).env(PLANTED, place).stdin(Stdio::null());
        let ended = again.output().expect("it starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(70), "{place}: {said}");
        assert!(said.contains("planted") && said.contains("not a mistake of yours"), "{place}: {said}");
    }
}
